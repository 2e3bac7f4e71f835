"""A run on each family's small checkpoint: what it leaves, how it goes on, and what it learns."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
import torch
from peft import PeftModel
from test_properties import ROWS, batch_of, full_logits
from transformers import AutoModelForImageTextToText

from unblind.data.dataset_options import GenerateOptions
from unblind.data.mixture import mixture_of
from unblind.errors import RecipeError
from unblind.evaluation.answers import answer
from unblind.models.adapters import add_adapter, merge
from unblind.models.family import with_fixed_grid
from unblind.models.loading import Loaded, load
from unblind.recipe import TrainOptions
from unblind.tasks.registry import task_named
from unblind.training.run import TrainResult, fit

TASK = "two-circles"


@pytest.fixture(scope="session")
def circles() -> datasets.Dataset:
    """Pairs of circles, which overlap or don't, and what is asked about them."""
    options = GenerateOptions(task=(TASK,), train=32, validation=0, test=0, knobs=("image_size=56",))
    return datasets.Dataset.from_list(list(mixture_of(options).rows("train", 0, 32))).cast_column(
        "image", datasets.Image()
    )


def told(folder: Path, out: Path, family: str, **changes: object) -> TrainOptions:
    options = TrainOptions(
        data="in memory", out=out, model=str(folder), max_steps=4, batch_size=4, accumulation=1,
        learning_rate=1e-2, warmup_steps=0, rank=4, log_every=1, eval_every=2, eval_samples=4, dropout=0.1,
        projector="full" if family == "Gemma 3" else "lora", device="cpu", dtype="float32",
    )  # fmt: skip
    return replace(options, **changes)


def run(options: TrainOptions, rows: datasets.Dataset) -> TrainResult:
    return fit(load(options.model, device="cpu", dtype="float32"), rows, rows.select(range(4)), options)


def weights(result: TrainResult) -> bytes:
    return (result.adapter / "adapter_model.safetensors").read_bytes()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`")  # of peft, about transformers' names
def test_a_run_is_resumed_to_the_same_bytes_and_its_adapter_is_anyones(
    folder: Path, loaded: Loaded, circles: datasets.Dataset, tmp_path: Path
) -> None:
    options = told(folder, tmp_path / "whole", loaded.family.name)
    whole = run(options, circles)
    shutil.copytree(whole.out, tmp_path / "halted")  # as a kill after the second step leaves it
    for path in ("metrics.json", "log.jsonl"):
        (tmp_path / "halted" / path).unlink()
    for path in ("adapter", "checkpoints/checkpoint-4"):
        shutil.rmtree(tmp_path / "halted" / path)
    resumed = run(replace(options, out=tmp_path / "halted", resume=True), circles)
    assert weights(resumed) == weights(whole)

    ours = load(str(folder), adapter=whole.out, device="cpu", dtype="float32")
    base = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    theirs = replace(ours, model=PeftModel.from_pretrained(base, whole.adapter).eval())
    batch = batch_of(loaded, ROWS)
    expected = full_logits(ours, batch)
    assert not torch.allclose(expected, full_logits(loaded, batch), atol=1e-3)
    torch.testing.assert_close(full_logits(theirs, batch), expected)
    merged = replace(ours, model=merge(theirs.model))
    torch.testing.assert_close(full_logits(merged, batch), expected, rtol=1e-3, atol=1e-3)
    rows, task = list(circles.select(range(4))), task_named(TASK)
    said = [
        [(one.restricted, one.free) for one in answer(model, rows, task=task)] for model in (ours, merged)
    ]
    assert said[0] == said[1]


def test_the_loss_falls_on_two_circles(
    folder: Path, loaded: Loaded, circles: datasets.Dataset, tmp_path: Path
) -> None:
    options = told(
        folder, tmp_path / "run", loaded.family.name, max_steps=150, eval_every=0, dropout=0.0,
        language="full", projector="full", vision="full", learning_rate=3e-3, gradient_checkpointing=True,
    )  # fmt: skip
    result = run(options, circles)
    rows = [json.loads(line) for line in (result.out / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in rows if "loss" in line]
    shares = [circles["answer"][:].count(answer) / len(circles) for answer in ("Yes", "No")]
    guessing = -sum(share * math.log(share) for share in shares) / 2  # an answer is a token, and its end
    epoch = len(circles) // options.batch_size
    last = sum(losses[-epoch:]) / epoch
    assert last < losses[0] / 4
    if loaded.family.name not in ("Gemma 3", "LLaVA-OneVision"):  # which take longer
        assert last < 0.95 * guessing


def test_lora_in_gemma3s_projector_is_refused_with_what_to_do(folders: dict[str, Path]) -> None:
    base = load(str(folders["gemma3"]), device="cpu", dtype="float32")
    with pytest.raises(RecipeError, match=r"projector of Gemma 3 has no linear layer.*full or frozen"):
        add_adapter(base.model, {"language": "lora", "projector": "lora", "vision": "lora"})


@pytest.mark.parametrize("option", ["drop_blank", "cache_features"])
def test_what_needs_a_fixed_grid_is_refused_by_name(
    folder: Path, loaded: Loaded, circles: datasets.Dataset, tmp_path: Path, option: str
) -> None:
    value = True if option == "drop_blank" else tmp_path / "cache"
    options = told(folder, tmp_path / "run", loaded.family.name, vision="frozen", **{option: value})
    with pytest.raises(RecipeError, match=f"^{option} needs .* and {loaded.family.name} has"):
        run(options, circles)
    with pytest.raises(RecipeError, match=option):
        with_fixed_grid(loaded.family, option)
