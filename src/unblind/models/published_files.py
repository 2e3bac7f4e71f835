"""A saved checkpoint as other versions of transformers read it: 4.57, the last of its line, and 5."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unblind.models.family import Family
from unblind.runtime.json_files import read_json
from unblind.runtime.outputs import write_json

_COPIED = 16 * 2**20  # bytes at once


def publish(folder: Path, family: Family) -> None:
    """Give the tensors in a folder their published names, and its tokenizer the names of older versions.

    transformers 5 reads both names, and saves those of the files that it read. 4.57 reads the published ones
    alone: it leaves others at random values, with a warning only.

    Args:
        folder: where `save_pretrained` of a model and its processor has saved.
        family: of the model.
    """
    rename = family.published_name
    for path in sorted(folder.glob("*.safetensors")):
        rename_tensors(path, rename)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        content = read_json(index)
        weights = {rename(name): shard for name, shard in content["weight_map"].items()}
        write_json(index, content | {"weight_map": weights})
    tokenizer = folder / "tokenizer_config.json"
    if tokenizer.is_file():
        write_json(tokenizer, _older(read_json(tokenizer)))


def rename_tensors(path: Path, rename: Callable[[str], str]) -> None:
    """Rename the tensors of a safetensors file, whose bytes are copied as they are.

    The format (https://github.com/huggingface/safetensors): 8 bytes with the header's length, little-endian;
    the header, a JSON object by name, padded with spaces to a multiple of 8; the tensors' bytes.
    """
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        renamed = {name if name == "__metadata__" else rename(name): value for name, value in header.items()}
        if list(renamed) == list(header):
            return
        text = json.dumps(renamed, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        beside = path.with_suffix(".renamed")
        with beside.open("wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            shutil.copyfileobj(file, out, _COPIED)
    shutil.copymode(path, beside)
    beside.replace(path)


def _older(config: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer's config, further special tokens by the name that both versions know."""
    extra = config.get("extra_special_tokens")
    if not isinstance(extra, list):  # 4.57 writes a mapping
        return config
    config = {name: value for name, value in config.items() if name != "extra_special_tokens"}
    return config | ({"additional_special_tokens": extra} if extra else {})
