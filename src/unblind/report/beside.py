"""Published results beside ours: pair by pair on the same images, and as printed, never in one list."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from unblind.compare import hits_by_id, paired, published_hits, published_models
from unblind.predictions import texts
from unblind.published import Published, published
from unblind.report.charts import printable
from unblind.report.load import Study
from unblind.words import BENCHMARK_WORDS


def beside(study: Study) -> dict[str, Any]:
    """What the page shows of others.

    `pairs`: for each published model and question that is recorded with these samples, the comparison of
    `compare.paired` with the study's last evaluation. `printed`: published accuracies on circled letters, in
    groups of the same items, prompts, rule and source. `benchmark`: whether the samples are the benchmark's.
    """
    words = set(texts(study.last.predictions, "word"))
    return {
        "pairs": _pairs(study),
        "printed": [_group(list(group)) for _, group in groupby(_ours(), _setting)],
        "benchmark": bool(words) and words <= set(BENCHMARK_WORDS),
    }


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
