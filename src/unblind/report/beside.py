"""Published results beside ours: pair by pair on the same images, and as printed, never in one list."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import Any

from unblind.report.charts import printable
from unblind.report.load import Study
from unblind.scoring.compare import paired, published_hits_of, published_models
from unblind.scoring.intervals import proportion
from unblind.scoring.predictions import Answered
from unblind.scoring.published import Published, published_of

BEST = 5  # published models in the first picture


def beside(study: Study) -> dict[str, Any]:
    """What the page shows of others.

    `pairs`: for each published model and question that is recorded with these samples, the comparison of
    `compare.paired` with the study's last evaluation. `printed`: published accuracies on the task, in groups
    of the same items, prompts, rule and source. `opening`: what stands below our own bars in the first
    picture, or None where nothing is published, or where it is not sure that the samples are of the task.
    """
    answered = study.last.answered
    pairs = _pairs(answered)
    printed = published_of(study.task.name) if is_certain(answered) else []
    return {
        "pairs": pairs,
        "opening": _on_the_same(pairs) if pairs else _as_printed(printed),
        "printed": [_group(list(group)) for _, group in groupby(printed, attrgetter("setting"))],
    }


def is_certain(answered: Answered) -> bool:
    """Whether the samples say of which task they are, or tell what only samples of this task do."""
    own = ("task", *answered.task.own_columns)
    return any(row.get(column) is not None for row in answered.rows for column in own)


def _on_the_same(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """The best published models with their intervals, on the very same images."""
    question = pairs[0]["question"]
    rows = [(pair["model"], pair["accuracy"]["b"]) for pair in pairs if pair["question"] == question]
    return {
        "title": "Published models, the same images",
        "note": f"their answers to “{question}”, as published",
        "rows": _best(rows),
    }


def _as_printed(results: list[Published]) -> dict[str, Any] | None:
    """The best published models by the first results on the benchmark's own images."""
    first = next((result for result in results if result.whole and result.images), None)
    if first is None:
        return None
    n = first.images or 0
    rows = [
        (result.model, proportion(round(n * result.percent / 100), n))
        for result in results
        if result.setting == first.setting
    ]
    return {
        "title": f"Published models, BlindTest’s own {n:,} images",
        "note": f"other images than ours, and other questions: a yardstick, not a contest; {first.source}",
        "rows": _best(rows),
    }


def _best(rows: list[tuple[str, dict[str, float]]]) -> list[tuple[str, dict[str, float]]]:
    return sorted(rows, key=lambda row: -row[1]["value"])[:BEST]


def _pairs(answered: Answered) -> list[dict[str, Any]]:
    ids = [str(row["id"]) for row in answered.rows]
    ours = dict(zip(ids, answered.hits, strict=True))
    pairs = [
        {
            "model": printable(model, 40),
            "question": printable(question, 80),
            **paired(ours, published_hits_of(answered, model, question)),
        }
        for model, questions in published_models([answered]).items()
        for question in questions
    ]
    return sorted(pairs, key=lambda pair: (pair["question"], pair["model"]))


def _group(results: list[Published]) -> dict[str, Any]:
    first = results[0]
    ranked = sorted(results, key=lambda result: -result.percent)
    return {
        "items": first.items,
        "prompts": first.prompts,
        "rule": first.rule,
        "source": first.source,
        "address": first.url.removeprefix("https://"),
        "rows": [{"model": result.model, "share": result.percent / 100} for result in ranked],
    }
