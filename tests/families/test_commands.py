"""The commands, as a user calls them, on small checkpoints of two families."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from transformers import AutoModelForImageTextToText

from unblind.cli import main
from unblind.errors import ModelError, RecipeError
from unblind.evaluation.answers import answer
from unblind.models.loading import load
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
    assert unblind("predict", *base, "--json", picture) == 0
    told = json.loads(capsys.readouterr().out)

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
