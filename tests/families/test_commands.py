"""The commands, as a user calls them, on small checkpoints of two families."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from safetensors import safe_open
from transformers import AutoModelForImageTextToText

import dot_task
import stand_in_hub
from e2e.test_push import push
from unblind.cli import main
from unblind.errors import ModelError, RecipeError
from unblind.evaluation.answers import answer
from unblind.models.adapters import add_adapter
from unblind.models.loading import load
from unblind.models.published_files import publish
from unblind.models.registry import family_named


def unblind(*arguments: object) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # the recipes name more workers than cores
@pytest.mark.parametrize("name", ["qwen3_vl", "smolvlm"])
def test_from_the_quickstart_to_an_exported_checkpoint(
    name: str, folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "quickstart"
    sizes = ("--train", 8, "--validation", 2, "--test", 2)
    assert unblind("quickstart", "--model", folders[name], "--out", out, *sizes) == 0
    assert set(json.loads((out / "metrics.json").read_text())) == {"blind", "after", "train"}
    assert "circled" in (out / "report.html").read_text()
    config = yaml.safe_load((out / "train" / "config.yaml").read_text())
    assert config["max_pixels"] == (200_704 if name == "qwen3_vl" else None)

    picture = tmp_path / "a.png"
    Image.new("RGB", (120, 90), "white").save(picture)
    base = ("--adapter", out / "train", "--model", folders[name])
    capsys.readouterr()
    assert unblind("predict", *base, "--json", "--dtype", "float32", picture) == 0
    told = json.loads(capsys.readouterr().out)

    with stand_in_hub.serve() as hub:
        code, said_of_push = push(hub, tmp_path, out / "train", "me/cured")
    assert code == 0, said_of_push
    assert {"README.md", "adapter_config.json", "adapter_model.safetensors"} <= set(
        hub.files("models/me/cured")
    )

    assert unblind("export", *base, "--out", tmp_path / "whole", "--samples", 2) == 0
    merged = load(str(tmp_path / "whole"), device="cpu", dtype="float32")
    (given,) = answer(merged, [{"image": Image.open(picture), "prompt": "circled"}])
    assert given.free == told["free"] and given.restricted == told["letter"]
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path / "whole", dtype=torch.float32)
    assert {k: v.shape for k, v in plain.state_dict().items()} == {
        k: v.shape for k, v in merged.model.state_dict().items()
    }
    saved = json.loads((tmp_path / "whole" / "processor_config.json").read_text())
    assert saved["processor_class"] == merged.family.processor_class
    assert saved["video_processor"]["video_processor_type"].endswith("VideoProcessor")


def test_the_demo_asks_the_blind_and_the_cured_model(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="Gradio is not installed: pip install -e '.[demo]'")
    from unblind.demo.ask import Models
    from unblind.demo.generic import controls_of

    loaded = load(str(folder), device="cpu", dtype="float32")
    projector = "full" if loaded.family.name == "Gemma 3" else "lora"
    tuned = add_adapter(loaded.model, {"language": "lora", "projector": projector, "vision": "lora"})
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:  # which begin as zeros
            torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(0))
    tuned.save_pretrained(tmp_path)

    plain = load(str(folder), device="cpu", dtype="float32")
    models = Models(load(str(folder), adapter=tmp_path, device="cpu", dtype="float32"), dot_task.TASK)
    picture = controls_of(dot_task.TASK, "side", models.image_size).picture([0, 3, "side"])
    blind, cured = models.ask(picture)
    (alone,) = answer(plain, [picture.row | {"image": picture.image}], task=dot_task.TASK)
    assert (blind.free, blind.restricted) == (alone.free, alone.restricted)
    assert blind.probability != cured.probability
    assert all(len(falls) == 2 for falls in list(models.hide(picture))[-1])


def test_exported_tensors_have_the_names_of_the_published_checkpoints(folder: Path, tmp_path: Path) -> None:
    """By which servers find them; as the weight maps on the hub have them, some for each part."""
    published = {
        "Gemma 3": ("vision_tower.vision_model.encoder.", "multi_modal_projector.", "language_model.model."),
        "Idefics3": ("model.vision_model.encoder.", "model.connector.", "model.text_model.layers."),
        "SmolVLM": ("model.vision_model.encoder.", "model.connector.", "model.text_model.layers."),
        "LLaVA-OneVision": ("vision_tower.vision_model.", "multi_modal_projector.", "language_model.model."),
    }
    loaded = load(str(folder), device="cpu", dtype="float32")
    shutil.copytree(folder, tmp_path / "whole")
    publish(tmp_path / "whole", loaded.family)
    with safe_open(tmp_path / "whole" / "model.safetensors", "pt") as file:
        names = set(file.keys())
    for prefix in published.get(loaded.family.name, ()):
        assert any(name.startswith(prefix) for name in names), (prefix, sorted(names)[:5])
    again = load(str(tmp_path / "whole"), device="cpu", dtype="float32").model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in loaded.model.state_dict().items())


def test_doctor_names_family_and_parts(folders: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert unblind("doctor", "--model", folders["qwen3_vl"]) == 0
    said = capsys.readouterr().out
    assert "family    Qwen3-VL (qwen3_vl)" in said
    assert "parameters in model.visual.merger, model.visual.deepstack_merger_list" in said
    assert "train, qwen3-vl-4b-qlora" in said and "--recipe qwen3-vl-4b-lora" in said


def test_a_bound_of_pixels_changes_what_qwen_sees_and_is_kept_by_the_run(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    large = Image.new("RGB", (400, 300), "white")

    def tokens(**options: object) -> int:
        loaded = load(str(folders["qwen3_vl"]), device="cpu", dtype="float32", **options)
        batch = loaded.family.encode(loaded.processor, [large], ["?"])
        return int((batch["input_ids"] == loaded.processor.image_token_id).sum())

    assert tokens() == 12 and tokens(max_pixels=64 * 64) == 2  # each of 32 x 32 pixels
    with pytest.raises(RecipeError, match="max_pixels bounds images that keep their size, and Gemma 3"):
        load(str(folders["gemma3"]), device="cpu", max_pixels=4096)


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError) as caught:
        family_named("molmo", "allenai/Molmo-7B")
    for known in ("paligemma", "gemma3", "idefics3", "smolvlm", "qwen2_5_vl", "qwen3_vl", "llava_onevision"):
        assert known in str(caught.value)
    assert "docs/add-a-family.md" in str(caught.value)
