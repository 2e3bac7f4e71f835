"""What the page says about errors: where they went, what makes an image hard, what confidence is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unblind.report import charts
from unblind.report.charts import printable
from unblind.report.load import VIEWS, Study

ENOUGH = 10  # answers in a bin, for the chart
TITLES = {
    "How it was drawn": ("overlap", "padding", "line_width"),
    "Which letter it is": ("case", "repeated", "look_alike"),
}
# trait -> its heading, and its groups' names where the keys are not plain enough
TRAITS: dict[str, tuple[str, Mapping[str, str]]] = {
    "overlap": ("The ring covers of a neighbour's width", {}),
    "padding": ("Padding, 1/96 em on either side", {}),
    "line_width": ("Width of the line, points", {}),
    "case": ("The circled letter is", {"lower": "a small letter", "upper": "a capital"}),
    "repeated": ("It is in the word", {"once": "once", "repeated": "more than once"}),
    "look_alike": (
        "A letter of similar shape is",
        {"beside": "beside it", "elsewhere": "elsewhere in the word", "nowhere": "not in the word"},
    ),
}
COVERED = dict(
    zip(
        VIEWS,
        ("nothing", "the circle", "the letter in the circle", "a letter half the word away"),
        strict=True,
    )
)
ERRORS = {
    "adjacent": "a direct neighbour of the circled letter",
    "in_word": "a letter of the word, next to it or not",
    "look_alike": "a letter of similar shape",
    "case": "the right letter in the other case",
}


def hard(study: Study) -> list[dict[str, Any]]:
    """Charts of accuracy by trait, each with its rows for a table; a trait of one group is left out."""
    by = [evaluation.scores["by"] for evaluation in study.evaluations]
    found = []
    for title, names in TITLES.items():
        sections = [_section(name, by) for name in names if len(by[-1].get(name, {})) > 1]
        rows = [{**row, "label": f"{head}: {row['label']}"} for head, group in sections for row in group]
        if sections:
            found.append({"title": title, "svg": charts.traits(sections), "rows": rows, "left_out": 0})
    return found


def _section(name: str, by: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    title, names = TRAITS[name]
    groups = by[-1][name]
    return title, [
        {
            "label": _label(name, key, names),
            "n": group["n"],
            "cells": [other.get(name, {}).get(key) for other in by],
        }
        for key, group in groups.items()
    ]


def _label(name: str, key: str, names: Mapping[str, str]) -> str:
    if name == "overlap":  # shares read better as per cent
        words = key.split(" ", 1)
        ends = [f"{float(end) * 100:.0f}" for end in words[0].split("–")]
        return " ".join(["–".join(ends) + "\u202f%", *words[1:]])
    return printable(names.get(key, key), 40)


def looks(study: Study) -> list[dict[str, Any]]:
    """What covering a part of the images did: rows of ``{"label", "cells"}``, one a view.

    A cell is that view of an evaluation's occlusion.json with its `n`; None where it was not asked for. No
    rows if it was asked for nowhere.
    """
    asked = [evaluation.occlusion for evaluation in study.evaluations]
    if not any(asked):
        return []
    return [
        {"label": label, "cells": [o and {"n": o["n"], **o[view]} for o in asked]}
        for view, label in COVERED.items()
    ]


def errors(study: Study) -> list[dict[str, Any]]:
    """Where the errors of each evaluation went: rows of ``{"label", "cells"}``, a cell None where unknown."""
    found = [evaluation.scores["errors"] for evaluation in study.evaluations]
    rows = [{"label": label, "cells": [error[name] for error in found]} for name, label in ERRORS.items()]
    return [row for row in rows if any(row["cells"])]


def reliability(study: Study) -> dict[str, Any] | None:
    """The reliability curves as a chart, each calibration error, the last one's bins; None without any."""
    found = [evaluation.scores["calibration"] for evaluation in study.evaluations]
    if not any(found):
        return None
    curves = [calibration["bins"] if calibration else [] for calibration in found]
    shown = [[b for b in bins if b["n"] >= ENOUGH] for bins in curves]
    return {
        "svg": charts.reliability(shown),
        "errors": [calibration and calibration["ece"] for calibration in found],
        "bins": curves[-1],
        "enough": ENOUGH,
    }
