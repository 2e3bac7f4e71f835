"""README, documentation and cards have the figures of docs/numbers.json, which docs/make_numbers.py makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unblind.scoring.intervals import wilson
from unblind.scoring.published import published

ROOT = Path(__file__).parents[2]
NUMBERS = json.loads((ROOT / "docs" / "numbers.json").read_text("utf-8"))
CARD = "src/unblind/tiny/checkpoint/README.md"


def share(value: float) -> str:
    """As the documentation writes it: 98.7 %."""
    return f"{100 * value:.1f} %"


def estimate(found: dict[str, float]) -> str:
    """With its interval: 98.7 % (97.8–99.2)."""
    return f"{share(found['value'])} ({100 * found['low']:.1f}–{100 * found['high']:.1f})"


def best_published(task: str) -> str:
    """The highest figure on the benchmark's own images, and whose it is."""
    best = max((one for one in published() if one.task == task and one.whole), key=lambda one: one.percent)
    return f"{best.percent:.1f} % {best.model}"


def expected() -> Iterator[tuple[str, str]]:
    """Files, and texts that must be in them."""
    quickstart, letters, tasks = (NUMBERS[name] for name in ("quickstart", "acknowledgement", "tasks"))
    blind, after, without = quickstart["blind"], quickstart["after"], quickstart["without sight"]
    readme = "README.md"
    yield readme, f"{quickstart['samples']:,} held-out samples"
    yield readme, f"| blind | {estimate(blind['restricted'])} | {estimate(blind['free'])} |"
    yield readme, f"| **{estimate(after['restricted'])}** | **{estimate(after['free'])}** |"
    yield readme, f"| always the first letter | {share(without['first_letter'])} | |"
    yield readme, f"| chance | {share(without['chance'])} | |"
    yield readme, f"shown a white image | {share(without['blank_image'])} | |"
    yield CARD, estimate(blind["restricted"])
    yield CARD, share(without["first_letter"])
    yield "docs/tiny-base.md", estimate(after["free"])

    for page in (readme, "docs/benchmark.md"):
        yield page, estimate(letters["after"]["free"])
        yield page, estimate(letters["fonts"]["Helvetica"])

    yield "docs/tasks.md", f"The mean over the tasks is {estimate(tasks['mean'])}."
    for name, task in tasks["blind"].items():
        frequent, right = share(task["most_frequent"]), task["restricted"]
        yield "docs/tasks.md", f"| `{name}` | {task['samples']:,} | {estimate(right)} | {frequent} |"
        row = (
            f"| {name.replace('-', ' ', 1)} | {share(right['value'])} | {frequent} | {best_published(name)} |"
        )
        yield readme, row


@pytest.mark.parametrize(("page", "text"), list(expected()))
def test_a_page_has_the_figure(page: str, text: str) -> None:
    written = " ".join((ROOT / page).read_text("utf-8").split())
    assert text in written, f"{page} is out of date: measured was {text}"


def estimates(node: dict[str, Any], samples: int | None = None) -> Iterator[tuple[dict[str, float], int]]:
    """All estimates below a node, each with the number of its samples."""
    samples = node.get("samples", node.get("n", samples))
    if "low" in node and samples:
        yield node, samples
    for value in node.values():
        if isinstance(value, dict):
            yield from estimates(value, samples)


def test_each_interval_is_that_of_its_samples() -> None:
    found = list(estimates(NUMBERS))
    assert len(found) >= 20
    for one, samples in found:
        right = round(one["value"] * samples)
        assert right / samples == pytest.approx(one["value"], abs=1e-9)
        assert wilson(right, samples) == pytest.approx((one["low"], one["high"]), abs=1e-9)
