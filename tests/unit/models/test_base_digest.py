"""An adapter knows the weights that it was made for."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from unblind.errors import ModelError
from unblind.models.adapters import add_adapter
from unblind.models.base_digest import BASE, digest_of, refuse_other_base
from unblind.models.embedded import TINY, UNMARKED
from unblind.models.loading import load


@pytest.fixture
def twin(tmp_path: Path) -> Path:
    """A base of the same shapes as tiny, with one weight changed."""
    folder = tmp_path / "twin"
    shutil.copytree(TINY, folder)
    weights = load_file(folder / "model.safetensors")
    name = sorted(weights)[-1]
    weights[name] = weights[name].clone()
    weights[name].view(-1)[0] += 1
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_equal_weights_have_equal_digests_whatever_they_are_called(tmp_path: Path, twin: Path) -> None:
    shutil.copytree(TINY, tmp_path / "copy")
    assert digest_of("tiny") == digest_of(str(TINY)) == digest_of(str(tmp_path / "copy"))
    assert len({digest_of("tiny"), digest_of(str(UNMARKED)), digest_of(str(twin))}) == 3
    assert digest_of("google/paligemma2-3b-pt-224") is None


def test_an_adapter_of_another_base_of_the_same_shapes_is_refused(tmp_path: Path, twin: Path) -> None:
    adapter = tmp_path / "adapter"
    scopes = {"language": "lora", "projector": "frozen", "vision": "frozen"}
    model = add_adapter(load("tiny", device="cpu", dtype="float32").model, scopes, rank=2)
    model.save_pretrained(str(adapter), save_embedding_layers=False)
    load(str(twin), adapter=adapter, device="cpu", dtype="float32")  # nobody knows what it was made for
    (adapter / BASE).write_text(json.dumps({"sha256": digest_of("tiny")}))
    with pytest.raises(ModelError, match=r"was trained on other weights than .*twin.* has: name its base"):
        load(str(twin), adapter=adapter, device="cpu", dtype="float32")
    refuse_other_base(adapter, "tiny")
    assert torch.is_tensor(next(load("tiny", adapter=adapter, device="cpu").model.parameters()))
