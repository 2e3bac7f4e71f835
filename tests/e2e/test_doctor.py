"""What there is to draw with, and what this machine can run."""

from __future__ import annotations

import pytest

from e2e.conftest import Run
from unblind.models.memory_estimate import Job, Memory


def test_fonts_and_doctor(unblind: Run) -> None:
    done = unblind("fonts", "--left-out")
    assert done.code == 0 and "Source Serif Pro" in done.out and "cmsy10.ttf" in done.out
    done = unblind("doctor")
    assert done.code == 0 and "torch" in done.out and "quickstart" in done.out


@pytest.mark.parametrize(
    ("gib", "says"),
    [
        (80, "--recipe paligemma2-3b-lora --batch-size 8"),
        (6, "--recipe paligemma2-3b-qlora --batch-size 8"),
        (3, "--recipe paligemma2-3b-qlora --batch-size 1"),
        (1, "No recipe fits"),
    ],
)
def test_doctor_names_the_recipe_that_fits(
    unblind: Run, monkeypatch: pytest.MonkeyPatch, gib: int, says: str
) -> None:
    jobs = [  # as estimated for the 3 B model at 224 px, in GiB
        ("paligemma2-3b-lora", 8, 6.9),
        ("paligemma2-3b-lora", 1, 6.0),
        ("paligemma2-3b-qlora", 8, 4.1),
        ("paligemma2-3b-qlora", 1, 2.6),
        (None, 32, 0.1),
    ]
    made = [Job(f"{recipe}", recipe, batch, Memory(int(size * 2**30))) for recipe, batch, size in jobs]
    monkeypatch.setattr("unblind.models.memory_estimate.estimated_jobs", lambda *_, **__: iter(made))
    monkeypatch.setattr("unblind.runtime.device_memory.total_memory", lambda _: gib * 2**30)
    done = unblind("doctor", "--model", "google/paligemma2-3b-pt-224")
    assert done.code == 0 and says in done.out, done.out


def test_doctor_estimates_a_model(unblind: Run) -> None:
    done = unblind("doctor", "--model", "tiny")
    lines = [line.strip() for line in done.out.splitlines()]
    rows = [line.split() for line in lines if line.startswith(("train, tiny", "evaluate"))]
    assert len(rows) == 4
    for row in rows:
        *parts, total = (float(number) for number in row[-6:])
        assert total == pytest.approx(sum(parts), abs=0.031) and total > 0
    assert "unblind train --model tiny --recipe tiny" in done.out
