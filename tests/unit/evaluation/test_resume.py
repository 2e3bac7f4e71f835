"""An interrupted evaluation goes on with the answers that are there."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

import small_model
from unblind.evaluation import resume, run
from unblind.evaluation.answers import Prefill
from unblind.evaluation.run import evaluate, evaluate_to
from unblind.models.loading import Loaded

ROWS = 8


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "ROWS_PER_FILE", ROWS)


class Asked:
    """Counts the batches, and interrupts before one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, interrupt_at: int | None = None) -> None:
        self.batches = 0
        prefill = run.prefill

        def counted(loaded: Loaded, batch: dict[str, Tensor]) -> Prefill:
            if self.batches == interrupt_at:
                raise KeyboardInterrupt
            self.batches += 1
            return prefill(loaded, batch)

        monkeypatch.setattr(run, "prefill", counted)


def ask(out: Path, **changes: object) -> dict[str, object]:
    told: dict[str, object] = {"seed": 0, "n": 20, "batch_size": 4, "blank": True}
    told |= changes
    rows = small_model.samples(told.pop("n"), prompt=told.pop("prompt", "Dark?"))
    return evaluate_to(out, small_model.loaded(told.pop("seed")), rows, data="d", **told)


@pytest.mark.parametrize(
    ("changes", "batches"),
    [
        ({}, 2),  # the last of 5, as 2 parts of 2 are there, and the white image
        ({"seed": 1}, 6),
        ({"prompt": "Light?"}, 6),
        ({"batch_size": 2}, 11),
        ({"free": False}, 6),
        ({"n": 19}, 6),
    ],
)
def test_no_row_is_asked_twice_and_no_answer_taken_from_elsewhere(
    tmp_path: Path, changes: dict[str, object], batches: int
) -> None:
    import pyarrow.parquet as pq

    with pytest.MonkeyPatch.context() as patch:
        Asked(patch, interrupt_at=5)
        with pytest.raises(KeyboardInterrupt):
            ask(tmp_path / "out")
    assert len(list((tmp_path / "out" / "parts").glob("*/*.parquet"))) == 2
    assert not (tmp_path / "out" / "metrics.json").exists()
    with pytest.MonkeyPatch.context() as patch:
        asked = Asked(patch)
        metrics = ask(tmp_path / "out", **changes)
    assert asked.batches == batches
    assert ask(tmp_path / "whole", **changes)["accuracy"] == metrics["accuracy"]
    tables = [pq.read_table(tmp_path / name / "predictions.parquet") for name in ("out", "whole")]
    assert tables[0].equals(tables[1]) and tables[0].schema.equals(tables[1].schema, check_metadata=True)
    assert not (tmp_path / "out" / "parts").exists()


def test_the_time_of_both_counts(tmp_path: Path) -> None:
    kept = resume.KeptAnswers(tmp_path)
    table = evaluate(small_model.loaded(), small_model.samples(4), kept=kept)
    assert kept.seconds == 0
    again = resume.KeptAnswers(tmp_path)
    assert evaluate(small_model.loaded(), small_model.samples(4), kept=again).equals(table)
    assert again.seconds > 0


def test_a_small_evaluation_keeps_no_parts(tmp_path: Path) -> None:
    assert resume.kept_answers(tmp_path, small_model.loaded(), small_model.samples(ROWS), {}) is None
