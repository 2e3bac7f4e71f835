"""Checkpoints' files under the names that older versions of transformers read."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

import small_model
from unblind.models.loading import load
from unblind.models.paligemma import FAMILY
from unblind.models.published_files import publish, rename_tensors


def test_every_tensor_keeps_its_value_and_loads_again(tmp_path: Path) -> None:
    base = small_model.model()
    base.save_pretrained(tmp_path, max_shard_size="100kB")
    small_model.processor().save_pretrained(tmp_path)
    shards = sorted(tmp_path.glob("*.safetensors"))
    before = {name: tensor for shard in shards for name, tensor in load_file(shard).items()}
    publish(tmp_path, FAMILY)
    after = {name: tensor for shard in shards for name, tensor in load_file(shard).items()}
    assert len(shards) > 1 and sorted(tmp_path.glob("*.renamed")) == []
    assert list(after) != list(before) and len(after) == len(before)
    assert all(torch.equal(before[name.replace(".vision_model", "")], after[name]) for name in after)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(after)
    again = load(str(tmp_path), device="cpu", dtype="float32").model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in base.state_dict().items())
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    publish(tmp_path, FAMILY)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_special_tokens_have_the_name_that_both_versions_know(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer_config.json"
    for given, wanted in (
        ({"a": 1, "extra_special_tokens": []}, {"a": 1}),
        ({"extra_special_tokens": ["<x>"]}, {"additional_special_tokens": ["<x>"]}),
        ({"extra_special_tokens": {"x": "<x>"}}, {"extra_special_tokens": {"x": "<x>"}}),
    ):
        path.write_text(json.dumps(given))
        publish(tmp_path, FAMILY)
        assert json.loads(path.read_text()) == wanted


def test_a_file_that_needs_no_new_name_is_left_alone(tmp_path: Path) -> None:
    small_model.checkpoint(tmp_path)
    path = tmp_path / "model.safetensors"
    before = path.stat().st_mtime_ns
    rename_tensors(path, lambda name: name)
    assert path.stat().st_mtime_ns == before
