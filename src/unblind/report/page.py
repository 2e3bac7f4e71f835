"""The page: studies in, one HTML file out."""

from __future__ import annotations

import base64
import hashlib
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from unblind.errors import OutputError
from unblind.report import charts, explained
from unblind.report.beside import beside
from unblind.report.charts import percent, printable
from unblind.report.gallery import pick, read_images, with_images
from unblind.report.load import Evaluation, Study, load_studies
from unblind.runtime.outputs import write_text
from unblind.scoring.mistakes import confusions
from unblind.scoring.predictions import texts
from unblind.scoring.rules import RULES

MAX_BYTES = 4_000_000
IMAGE_BUDGET = 2_400_000  # characters of base64, shared by the studies
ROWS = 60  # of a table or an axis; a dataset may have thousands of fonts
AXES = {"length": "letters in the word", "position": "place of the circled letter (1 = first)"}
BASE_RATES = {
    "chance": "Chance",
    "first_letter": "Always the word's first letter",
    "most_frequent_letter": "Always the commonest answer",
}
UNSEEING = {"blank_image": "shown a blank image", "uncircled": "shown the word without its circle"}
TEMPLATES = Path(__file__).parent


def write_report(out: Path, folders: Sequence[Path]) -> Path:
    """Write one self-contained HTML page about finished folders, and return its path.

    A folder is a quickstart's, an evaluation's (those of the same samples are compared, in this order), or
    a run's (its learning curve is added). `out` is the file, or the folder for `report.html`.
    Raises OutputError or DatasetError for a folder that is not finished or cannot be read.
    """
    studies = load_studies([Path(folder) for folder in folders])
    views = [_view(study, IMAGE_BUDGET // len(studies)) for study in studies]
    html = _environment().get_template("report.html.j2").render(views=views)
    if len(html.encode()) >= MAX_BYTES:
        raise OutputError(f"the report of {len(folders)} folders would pass 4 MB; name fewer folders at once")
    path = out if out.suffix.lower() in (".html", ".htm") and not out.is_dir() else out / "report.html"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent} cannot be made ({error.strerror}); name another place") from error
    write_text(path, html)
    return path


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "interval": interval, "count": count, "duration": duration}
    environment.filters["short"] = lambda value: printable(str(value), 80)
    script = (TEMPLATES / "report.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = (TEMPLATES / "report.css").read_text("utf-8")
    environment.globals.update(script=Markup(script), script_hash=digest, style=Markup(style))  # noqa: S704
    return environment


def interval(value: Mapping[str, float]) -> str:
    """The two ends of an interval, in per cent."""
    return f"{value['low'] * 100:.1f}–{value['high'] * 100:.1f}"


def count(value: object) -> str:
    """A number for reading; a dash for anything else."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.1f}"


def duration(seconds: object) -> str:
    """Seconds for reading; a dash for anything else."""
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        return "–"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _view(study: Study, budget: int) -> dict[str, Any]:
    """Everything that the template shows of one study."""
    first, last = study.first.scores, study.last.scores
    published = beside(study)
    wrong, right = pick(study)
    predictions = study.last.predictions
    known = zip(texts(predictions, "answer"), texts(predictions, "word"), strict=True)
    samples = dict(zip(map(str, predictions["id"].to_pylist()), known, strict=True))
    images = read_images(study.images, {card.id: samples[card.id] for card in wrong + right}, budget)
    return {
        "study": study,
        "legend": _legend(study),
        "first": first["accuracy"]["restricted"]["value"],
        "last": last["accuracy"]["restricted"]["value"],
        "hits": round(last["n"] * last["accuracy"]["restricted"]["value"]),
        "any_free": any(evaluation.scores["accuracy"]["free"] for evaluation in study.evaluations),
        "overall": _overall(study, published["opening"]),
        "curves": _curves(study),
        "breakdowns": [_breakdown(study, name) for name in AXES if name in last["by"]],
        "tables": [_table(study, name) for name in ("font", "letter") if name in last["by"]],
        "confusion": _confusion(study.last),
        "wrong": with_images(wrong, images),
        "right": with_images(right, images),
        "has_images": bool(images),
        "base_rates": _base_rates(study),
        "hard": explained.hard(study),
        "errors": explained.errors(study),
        "reliability": explained.reliability(study),
        "looks": explained.looks(study),
        "beside": published,
        "rules": [
            {"name": rule, "cells": [(e.scores["rules"] or {}).get(rule) for e in study.evaluations]}
            for rule in RULES
        ],
    }


def _base_rates(study: Study) -> list[dict[str, Any]]:
    """What needs no eyes, and what each model answers when there is nothing to see."""
    common = study.last.scores["base_rates"]
    rows = [{"label": label, "value": common[name]} for name, label in BASE_RATES.items() if name in common]
    for item, evaluation in zip(_legend(study), study.evaluations, strict=True):
        own = evaluation.scores["base_rates"]
        rows += [
            {"label": f"{item['label']}, {what}", "value": own[name]}
            for name, what in UNSEEING.items()
            if name in own
        ]
    return rows


def _legend(study: Study) -> list[dict[str, str]]:
    names = [e.name.capitalize() if study.quickstart else printable(e.name, 40) for e in study.evaluations]
    return [{"label": name, "colour": charts.series_name(i, len(names))} for i, name in enumerate(names)]


def _overall(study: Study, published: Mapping[str, Any] | None) -> Markup:
    rows = [
        (item["label"], evaluation.scores["accuracy"]["restricted"], evaluation.scores["accuracy"]["free"])
        for item, evaluation in zip(_legend(study), study.evaluations, strict=True)
    ]
    chance = study.last.scores["base_rates"]["chance"]
    if published is None:
        return charts.overall(rows, chance)
    return charts.overall(rows, chance, published["rows"], published["title"])


def _curves(study: Study) -> list[dict[str, Any]]:
    """The charts of what was logged, each with how many points it has and whether chance is dotted in."""
    curve = study.curve
    drawn: list[tuple[str, Markup, int, bool]] = []
    if curve and curve.loss:
        drawn.append(("Training loss", charts.loss_curve(curve), len(curve.loss), False))
    if curve and curve.accuracy:
        svg = charts.accuracy_curve(curve, study.last.scores["base_rates"]["chance"])
        drawn.append(("Validation accuracy", svg, len(curve.accuracy), True))
    return [dict(zip(("title", "svg", "points", "dotted"), chart, strict=True)) for chart in drawn]


def _breakdown(study: Study, name: str) -> dict[str, Any]:
    """A chart and its table, of all evaluations."""
    table = _table(study, name)
    series = [evaluation.scores["by"].get(name, {}) for evaluation in study.evaluations]
    keys = [row["key"] for row in table["rows"]]
    labels = [row["label"] for row in table["rows"]]
    return {**table, "axis": AXES[name], "svg": charts.breakdown(series, keys, labels, AXES[name])}


def _table(study: Study, name: str) -> dict[str, Any]:
    by = [evaluation.scores["by"].get(name, {}) for evaluation in study.evaluations]
    common = set(sorted(by[-1], key=lambda key: -by[-1][key]["n"])[:ROWS])
    rows = [
        {
            "key": key,
            "label": str(int(key) + 1) if name == "position" else printable(key, 40),
            "n": value["n"],
            "cells": [other.get(key) for other in by],
        }
        for key, value in by[-1].items()
        if key in common
    ]
    return {
        "name": name,
        "rows": rows,
        "left_out": len(by[-1]) - len(rows),
        "median_n": round(statistics.median(row["n"] for row in rows)),
    }


def _confusion(evaluation: Evaluation) -> dict[str, Any] | None:
    pairs = confusions(evaluation.predictions)
    if not pairs:
        return None
    letters = evaluation.scores["by"]["letter"]
    top = [
        {"answer": printable(a, 8), "reply": printable(r, 8), "count": number, "of": letters[a]["n"]}
        for (a, r), number in ([pair for pair in pairs.items() if pair[1] > 1] or list(pairs.items()))[:10]
    ]
    return {
        "svg": charts.confusion_matrix(pairs),
        "errors": sum(pairs.values()),
        "top": top,
        "adjacent": evaluation.scores["errors"]["adjacent"],
    }
