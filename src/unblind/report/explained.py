"""What the page says about errors: where they went, what makes an image hard, what confidence is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from unblind.report import charts
from unblind.report.charts import printable
from unblind.report.load import Evaluation, Study
from unblind.tasks.base import Trait

ENOUGH = 10  # answers in a bin, for the chart
MOST_FREQUENT = 10  # confusions in the table


def hard(study: Study) -> list[dict[str, Any]]:
    """Charts of accuracy by trait, each with its rows for a table; a trait of one group is left out."""
    by = [evaluation.scores["by"] for evaluation in study.evaluations]
    sections: dict[str, list[tuple[str, list[dict[str, Any]]]]] = {}
    for name, trait in study.task.traits.items():
        if trait.section and not trait.curve and len(by[-1].get(name, {})) > 1:
            groups = [groups.get(name, {}) for groups in by]
            sections.setdefault(trait.section, []).append((trait.label, group_rows(trait, groups)))
    return [_chart(title, parts) for title, parts in sections.items()]


def group_rows(trait: Trait, groups: Sequence[Mapping[str, Mapping[str, float]]]) -> list[dict[str, Any]]:
    """A row for each of the last one's groups: its `key`, `label` and `n`, and `cells`, a value each."""
    return [
        {
            "key": key,
            "label": printable(trait.shown(key), 40),
            "n": group["n"],
            "cells": [other.get(key) for other in groups],
        }
        for key, group in groups[-1].items()
    ]


def _chart(title: str, parts: list[tuple[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    rows = [{**row, "label": f"{label}: {row['label']}"} for label, group in parts for row in group]
    return {"title": title, "svg": charts.traits(parts), "rows": rows, "left_out": 0}


def looks(study: Study) -> list[dict[str, Any]]:
    """What covering a part of the images did: rows of ``{"label", "cells"}``, one a view.

    A cell is that view of an evaluation's occlusion.json with its `n`; None where it was not asked for. No
    rows if it was asked for nowhere.
    """
    occlusions = [evaluation.occlusion for evaluation in study.evaluations]
    if not any(occlusions):
        return []
    labels = {"whole": "nothing"} | {
        part: study.task.wording.parts.get(part, part) for part in study.task.parts
    }
    return [
        {
            "label": label,
            "cells": [{"n": views["n"], **views[view]} if views else None for views in occlusions],
        }
        for view, label in labels.items()
    ]


def pairs(study: Study) -> list[Mapping[str, Any] | None]:
    """Each evaluation's contrast pairs by the answers that count: ``{"n", "both", "twins"}``, None where not
    asked for; nothing if it was asked for nowhere.
    """
    contrasts = [evaluation.scores["contrast"] for evaluation in study.evaluations]
    if not any(contrasts):
        return []
    ways = [evaluation.counted for evaluation in study.evaluations]
    return [
        {"n": one["n"], "both": one["both"][way], "twins": one["twins"][way]} if one else None
        for one, way in zip(contrasts, ways, strict=True)
    ]


def errors(study: Study) -> list[dict[str, Any]]:
    """Where the errors of each evaluation went: rows of ``{"label", "cells"}``, a cell None where unknown."""
    shares = [evaluation.scores["errors"] or {} for evaluation in study.evaluations]
    rows = [
        {"label": mistake.label, "cells": [share.get(name) for share in shares]}
        for name, mistake in study.task.mistakes.items()
    ]
    return [row for row in rows if any(row["cells"])]


def confusion(evaluation: Evaluation) -> dict[str, Any] | None:
    """The errors of an evaluation as a matrix and a list, and what is told of them; None without errors."""
    answered = evaluation.answered
    wrong = answered.hits.count(False)
    if not wrong:
        return None
    pairs = answered.confusions()
    often = [pair for pair in pairs.items() if pair[1] > 1] or list(pairs.items())
    asked = Counter(answered.answers)
    return {
        "svg": charts.confusion_matrix(pairs, answered.task.wording.truth) if pairs else None,
        "errors": wrong,
        "top": [
            {"answer": printable(a, 8), "reply": printable(r, 8), "count": number, "of": asked[a]}
            for (a, r), number in often[:MOST_FREQUENT]
        ],
        "told": _told(evaluation),
    }


def _told(evaluation: Evaluation) -> dict[str, Any] | None:
    """The first mistake that can be compared with chance, with its shares."""
    shares = evaluation.scores["errors"] or {}
    for name, mistake in evaluation.answered.task.mistakes.items():
        if mistake.at_random and shares.get(name):
            return {
                "label": mistake.label,
                "at_random": mistake.at_random,
                "meaning": mistake.meaning,
                **shares[name],
            }
    return None


def reliability(study: Study) -> dict[str, Any] | None:
    """The reliability curves as a chart, each calibration error, the last one's bins; None without any."""
    calibrations = [evaluation.scores["calibration"] for evaluation in study.evaluations]
    if not any(calibrations):
        return None
    curves = [calibration["bins"] if calibration else [] for calibration in calibrations]
    shown = [[bin_ for bin_ in bins if bin_["n"] >= ENOUGH] for bins in curves]
    return {
        "svg": charts.reliability(shown),
        "errors": [calibration["ece"] if calibration else None for calibration in calibrations],
        "bins": curves[-1],
        "enough": ENOUGH,
    }
