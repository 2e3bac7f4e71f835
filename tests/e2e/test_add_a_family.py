"""examples/own_family: a family of another package, installed, trained, evaluated and estimated."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import small_model
from e2e.conftest import Run
from unblind.models import registry

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_family"
# As llava-hf/llava-1.5-7b-hf has it.
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ message['role'].upper() + ': '}}{% endif %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' '}}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The example, installed into a folder of its own as pip installs it."""
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", target, EXAMPLE], check=True, timeout=300)
    monkeypatch.syspath_prepend(target)
    registry.family_named.cache_clear()
    yield
    sys.modules.pop("llava_family", None)
    registry.family_named.cache_clear()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small random LLaVA, with a token for each byte."""
    bytes_ = Tokenizer(
        models.BPE({c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, [])
    )
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_.decoder = decoders.ByteLevel()
    bytes_.add_special_tokens(["<s>", "</s>", "<pad>", "<image>"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    text = shape | {"model_type": "llama", "vocab_size": len(tokenizer), "num_hidden_layers": 2}
    clip = {"model_type": "clip_vision_model", "image_size": 28, "patch_size": 14, "num_hidden_layers": 24}
    config = transformers.LlavaConfig(
        text_config=text,
        vision_config=shape | clip,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    side = {"height": 28, "width": 28}
    processor = transformers.LlavaProcessor(
        transformers.CLIPImageProcessorPil(size=side, crop_size=side), tokenizer, patch_size=14,
        vision_feature_select_strategy="default", chat_template=TEMPLATE, num_additional_image_tokens=1,
    )  # fmt: skip
    torch.manual_seed(0)
    folder = tmp_path / "llava"
    transformers.LlavaForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_the_example_is_trained_evaluated_and_estimated(
    unblind: Run, installed: None, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    for split, n in (("train", 8), ("validation", 4), ("test", 6)):
        small_model.samples(n).to_parquet(tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    model = ["--model", checkpoint, "--data", tmp_path / "data", "--device", "cpu"]
    few = ["--max-steps", 2, "--batch-size", 2, "--accumulation", 1, "--eval-samples", 4, "--rank", 2]
    for line in (
        ["train", *model, "--out", tmp_path / "run", "--vision", "lora", *few],
        ["evaluate", *model, "--adapter", tmp_path / "run", "--out", tmp_path / "after"],
    ):
        done = unblind(*line)
        assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "after" / "metrics.json").read_text("utf-8"))
    assert metrics["n"] == 6 and metrics["accuracy"]["restricted"] is not None
    said = unblind("doctor", "--model", checkpoint)
    assert said.code == 0 and "LLaVA 1.5" in said.out, said
