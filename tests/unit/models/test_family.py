"""Families: found by a checkpoint's model type, ours and others'; and their parts."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from PIL import Image
from transformers import PreTrainedConfig, Qwen2_5_VLConfig

import small_model
from unblind.commands.doctor import doctor
from unblind.errors import ModelError, RecipeError
from unblind.models import registry
from unblind.models.adapters import add_adapter, trainable_parameters
from unblind.models.collate import Collator
from unblind.models.family import Family
from unblind.models.paligemma import FAMILY
from unblind.models.weights import on_meta, parameters_by_part
from unblind.recipe import TrainOptions
from unblind.training.run import fit

OTHERS = """
    from unblind.models.family import Family, targets

    class Others(Family):
        name = "Others"
        model_types = frozenset({"othervl"})
        parts = {
            "language": ("model.language_model",),
            "projector": ("model.visual.merger",),
            "vision": ("model.visual",),
        }
        image_text = "<|image_pad|>"

        def encode(self, processor, images, questions, replies=None): ...
        def reply_tokens(self, processor, reply): ...
        def logits_on_meta(self, model, batch_size, *, question, answer, cached_vision=False): ...

    FAMILY = Others()
"""
LAYERS, WIDTH, RANK = 2, 32, 4


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with three families, of which only the first can be loaded."""
    (tmp_path / "others_family.py").write_text(dedent(OTHERS))
    (tmp_path / "broken_family.py").write_text("import no_such_library\n")
    info = tmp_path / "others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    entries = {
        "othervl": "others_family:FAMILY",
        "brokenvl": "broken_family:FAMILY",
        "nonevl": "others_family:LAYERS",
    }
    lines = [f"{model_type} = {place}\n" for model_type, place in entries.items()]
    (info / "entry_points.txt").write_text("[unblind.families]\n" + "".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("others_family", "broken_family"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    registry.family_named.cache_clear()
    yield tmp_path
    registry.family_named.cache_clear()


def qwen() -> torch.nn.Module:
    shape = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS}
    text = shape | {"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 64}
    vision = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "depth": LAYERS, "num_heads": 2}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision | {"out_hidden_size": WIDTH})
    return on_meta(config, torch.float32)


def test_ours_is_found_by_its_model_type() -> None:
    assert registry.family_of(small_model.model().config) is FAMILY
    assert small_model.loaded().family is FAMILY


def test_an_unknown_model_type_is_refused_with_what_is_known(others: Path) -> None:
    with pytest.raises(ModelError) as caught:
        registry.family_of(PreTrainedConfig())
    assert "of the type none; known are paligemma, gemma3, idefics3, smolvlm, " in str(caught.value)
    assert "docs/add-a-family.md" in str(caught.value)
    assert (Path(__file__).parents[3] / "docs" / "add-a-family.md").is_file()


def test_another_packages_family_is_imported_when_it_is_named(others: Path) -> None:
    assert registry.family_named("paligemma") is FAMILY
    assert "others_family" not in sys.modules and "broken_family" not in sys.modules
    assert registry.family_named("othervl").name == "Others"


def test_a_broken_family_breaks_nothing_else_and_is_named(
    others: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    defects = registry.broken_families()
    assert set(defects) == {"brokenvl", "nonevl"}
    assert "no_such_library" in defects["brokenvl"]
    with pytest.raises(ModelError, match="cannot be loaded"):
        registry.family_named("brokenvl")
    doctor()
    said = capsys.readouterr().out
    assert "broken    the family of brokenvl" in said and "unblind quickstart" in said


def test_doctor_names_family_and_parts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unblind.models.memory_estimate.estimated_jobs", lambda *_, **__: iter(()))
    doctor(model="google/paligemma2-3b-pt-224")
    said = capsys.readouterr().out
    assert "family    PaliGemma (paligemma)" in said
    assert "language  2,617,143,552 parameters in model.language_model" in said
    assert "projector 2,656,512 parameters in model.multi_modal_projector" in said


def test_the_longer_prefix_wins(others: Path) -> None:
    family = registry.family_named("qwen2_5_vl")
    assert family.part_of("model.visual.blocks.0.mlp.up_proj") == "vision"
    assert family.part_of("model.visual.merger.mlp.0") == "projector"
    assert family.part_of("model.visual") == "vision"
    assert family.part_of("model.language_model.layers.0") == "language"
    assert family.part_of("model.visually") is family.part_of("lm_head") is None


def test_parts_make_up_the_model(others: Path) -> None:
    for model, outside in ((small_model.model(), 0), (qwen(), 64 * WIDTH)):  # an untied head is in no part
        whole = sum(parameter.numel() for parameter in model.parameters())
        assert sum(parameters_by_part(model).values()) == whole - outside


@pytest.mark.parametrize("part", ["language", "projector", "vision"])
def test_lora_is_on_every_linear_layer_of_a_part(others: Path, part: str) -> None:
    model = qwen()
    family = registry.family_of(model.config)
    linear = {
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and family.part_of(name) == part
    }
    assert len(linear) == {"language": 7 * LAYERS, "projector": 2, "vision": 5 * LAYERS}[part]
    with torch.device("meta"):
        adapted = add_adapter(model, {part: "lora"}, rank=RANK)
    trained = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert {name.split(".lora_")[0].removeprefix("base_model.model.") for name in trained} == linear


def test_full_leaves_out_the_part_that_lies_inside_another(others: Path) -> None:
    sizes = parameters_by_part(qwen())
    with torch.device("meta"):
        assert trainable_parameters(add_adapter(qwen(), {"vision": "full"})) == sizes["vision"]
        assert trainable_parameters(add_adapter(qwen(), {"projector": "full"})) == sizes["projector"]
        language = trainable_parameters(add_adapter(qwen(), {"language": "full"}))
    assert language == sizes["language"] - 64 * WIDTH  # but the embeddings


def test_a_part_without_a_linear_layer_gets_no_lora(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model.model()
    model.model.multi_modal_projector.linear = torch.nn.Conv1d(1, 1, 1)
    with pytest.raises(RecipeError, match=r"projector of PaliGemma has no linear layer .* full or frozen"):
        add_adapter(model, {"language": "lora", "projector": "lora"})


def test_layers_are_found_for_sharding(others: Path) -> None:
    assert FAMILY.layer_classes(small_model.model()) == ["Gemma2DecoderLayer", "SiglipEncoderLayer"]
    model = qwen()
    assert registry.family_of(model.config).layer_classes(model) == [
        "Qwen2_5_VLDecoderLayer",
        "Qwen2_5_VLVisionBlock",
    ]


@pytest.mark.parametrize("option", ["drop_blank", "cache_features"])
def test_what_needs_a_fixed_grid_is_refused_by_name(
    others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    family: Family = registry.family_named("qwen2_5_vl")
    row = {"image": Image.new("RGB", (28, 28)), "prompt": "?", "answer": "a"}
    value = {"drop_blank": True, "cache_features": tmp_path / "cache"}[option]
    with pytest.raises(RecipeError, match=rf"{option} needs one image token a patch.* Qwen2\.5-VL"):
        name = {"cache_features": "features"}.get(option, option)
        Collator(family, small_model.processor(), **{name: value})([row])
    told = TrainOptions(data="in memory", out=tmp_path / "run", max_steps=1, vision="frozen", device="cpu")
    monkeypatch.setattr("unblind.models.loading.Loaded.family", family)
    with pytest.raises(RecipeError, match=rf"{option} needs one image token a patch.* Qwen2\.5-VL"):
        fit(small_model.loaded(), small_model.samples(8), None, replace(told, **{option: value}))
