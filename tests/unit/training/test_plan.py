"""The recipe that fits a device, and the time that a cure is estimated to take."""

from pathlib import Path

import pytest
import torch

import small_model
from unblind.errors import ModelError
from unblind.models.loading import configuration
from unblind.models.memory_estimate import Job, Memory
from unblind.models.speed import SHARE, SHARE_WITHOUT_BLANK
from unblind.recipe import TrainOptions, load_recipe
from unblind.training import plan

CPU = torch.device("cpu")
SIZES = [  # as estimated for the 3 B model at 224 px, in GiB; the notebook's never takes part
    ("paligemma2-3b-lora", 8, 6.9),
    ("paligemma2-3b-lora", 1, 6.0),
    ("paligemma2-3b-qlora", 8, 4.1),
    ("paligemma2-3b-qlora", 1, 2.6),
    ("seed-notebook", 1, 0.1),
    (None, 32, 0.1),
]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A device with as many GiB as the test's parameter says."""
    jobs = [Job(f"{recipe}", recipe, batch, Memory(int(size * 2**30))) for recipe, batch, size in SIZES]
    shape = configuration("tiny")  # of the family whose recipes are asked for
    monkeypatch.setattr(plan, "configuration", lambda _: shape)
    monkeypatch.setattr(plan, "estimated_jobs", lambda *_, **__: iter(jobs))
    monkeypatch.setattr(plan, "total_memory", lambda _: request.param * 2**30)


@pytest.mark.parametrize(
    ("card", "recipe", "batch"),
    [(80, "paligemma2-3b-lora", 8), (6, "paligemma2-3b-qlora", 8), (3, "paligemma2-3b-qlora", 1)],
    indirect=["card"],
)
@pytest.mark.usefixtures("card")
def test_the_fastest_recipe_that_fits(recipe: str, batch: int) -> None:
    name, options = plan.fitting_recipe("google/paligemma2-3b-pt-224", CPU)
    assert (name, options["batch_size"], options["batch_size"] * options["accumulation"]) == (
        recipe,
        batch,
        32,
    )
    changed = {"model", "batch_size", "accumulation", "workers"}
    assert {key: value for key, value in options.items() if key not in changed} == {
        key: value for key, value in load_recipe(recipe).items() if key not in changed
    }


@pytest.mark.parametrize("card", [1], indirect=True)
@pytest.mark.usefixtures("card")
def test_no_recipe_fits() -> None:
    with pytest.raises(ModelError, match=r"no recipe for big fits cpu \(1\.0 GiB\).*doctor --model big"):
        plan.fitting_recipe("big", CPU)


def test_an_embedded_model_has_its_own_recipe() -> None:
    name, options = plan.fitting_recipe("tiny-unmarked", CPU)
    assert name == "tiny" and options == load_recipe("tiny") | {"model": "tiny-unmarked"}


def test_the_time_is_that_of_all_steps_and_questions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(plan, "matrix_rate", lambda *_: 1e12)
    monkeypatch.setattr(plan, "training_operations", lambda *_: 3e9)
    monkeypatch.setattr(plan, "evaluation_operations", lambda _: 1e9)
    told = {"data": "", "out": tmp_path, "model": str(small_model.checkpoint(tmp_path / "base"))}
    told |= {"batch_size": 8, "accumulation": 4, "eval_every": 50, "eval_samples": 256}
    options = TrainOptions(**told)
    # 100 steps, watched twice
    work = 3200 * 3e9 + (2 * 256 + 6000) * 1e9
    assert plan.seconds_needed(options, CPU, train=3200, asked=6000) == pytest.approx(work / (SHARE * 1e12))
    repeated = TrainOptions(**told | {"gradient_checkpointing": True})
    work += 3200 * 1e9
    assert plan.seconds_needed(repeated, CPU, train=3200, asked=6000) == pytest.approx(work / (SHARE * 1e12))
    without_blank = TrainOptions(**told | {"drop_blank": True})
    work -= 3200 * 1e9
    seconds = plan.seconds_needed(without_blank, CPU, train=3200, asked=6000)
    assert seconds == pytest.approx(work / (SHARE_WITHOUT_BLANK * 1e12))
