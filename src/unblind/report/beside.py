"""Published results beside ours: pair by pair on the same images, and as printed, never in one list."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from unblind.report.charts import printable
from unblind.report.load import Study
from unblind.scoring.compare import hits_by_id, paired, published_hits, published_models
from unblind.scoring.intervals import proportion
from unblind.scoring.predictions import texts
from unblind.scoring.published import Published, published
from unblind.tasks.words import BENCHMARK_WORDS

BEST = 5  # published models in the first picture


def beside(study: Study) -> dict[str, Any]:
    """What the page shows of others.

    `pairs`: for each published model and question that is recorded with these samples, the comparison of
    `compare.paired` with the study's last evaluation. `printed`: published accuracies on circled letters, in
    groups of the same items, prompts, rule and source. `benchmark`: whether the samples are the benchmark's.
    `opening`: what stands below our own bars in the first picture, or None where the task is another one.
    """
    words = set(texts(study.last.predictions, "word"))
    pairs = _pairs(study)
    return {
        "pairs": pairs,
        "opening": _opening(pairs) if any(words) else None,
        "printed": [_group(list(group)) for _, group in groupby(_ours(), _setting)],
        "benchmark": bool(words) and words <= set(BENCHMARK_WORDS),
    }


def _opening(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """The best published models with their intervals: on the very same images if their answers are known."""
    if pairs:
        question = pairs[0]["question"]
        same = [(pair["model"], pair["accuracy"]["b"]) for pair in pairs if pair["question"] == question]
        title, note = "Published models, the same images", f"their answers to “{question}”, as published"
        return {"title": title, "note": note, "rows": _best(same)}
    first = _ours()[0]
    n = first.images or 0
    printed = [
        (result.model, proportion(round(n * result.percent / 100), n))
        for result in _ours()
        if _setting(result) == _setting(first)
    ]
    return {
        "title": f"Published models, BlindTest’s own {n:,} images",
        "note": f"other images than ours, and other questions: a yardstick, not a contest; {first.source}",
        "rows": _best(printed),
    }


def _best(rows: list[tuple[str, dict[str, float]]]) -> list[tuple[str, dict[str, float]]]:
    return sorted(rows, key=lambda row: -row[1]["value"])[:BEST]


def _pairs(study: Study) -> list[dict[str, Any]]:
    table, name = study.last.predictions, study.last.name
    ours = hits_by_id(table, "restricted", name)
    found = []
    for model, questions in published_models(table).items():
        for question in questions:
            pair = paired(ours, published_hits(table, model, question, name))
            found.append({"model": printable(model, 40), "question": printable(question, 80), **pair})
    return sorted(found, key=lambda pair: (pair["question"], pair["model"]))


def _ours() -> list[Published]:
    return [result for result in published() if result.circled_letters_alone]


def _setting(result: Published) -> tuple[str, ...]:
    return result.items, result.prompts, result.rule, result.source


def _group(results: list[Published]) -> dict[str, Any]:
    first = results[0]
    address = (first.url or "").removeprefix("https://")
    ranked = sorted(results, key=lambda result: -result.percent)
    return {
        "items": first.items.removeprefix("circled letters, "),
        "prompts": first.prompts,
        "rule": first.rule,
        "source": first.source,
        "address": address,
        "rows": [{"model": result.model, "share": result.percent / 100} for result in ranked],
    }
