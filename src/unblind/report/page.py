"""The page: finished folders in, one HTML file out."""

from __future__ import annotations

import base64
import hashlib
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from unblind.errors import OutputError
from unblind.report import charts, explained
from unblind.report.beside import beside, is_certain
from unblind.report.charts import percent, printable
from unblind.report.gallery import Card, pick, read_images, with_images
from unblind.report.load import Evaluation, Run, Study, load_runs
from unblind.runtime.outputs import write_text
from unblind.scoring.base_rates import known_rates, rates_by_label
from unblind.scoring.intervals import mean_share
from unblind.scoring.published import best_published
from unblind.scoring.rules import rules_of
from unblind.tasks.base import AnswerSpace

MAX_BYTES = 4_000_000
IMAGE_BUDGET = 2_400_000  # characters of base64, shared by all tasks
ROWS = 60  # of a table or an axis; a dataset may have thousands of fonts
TEMPLATES = Path(__file__).parent


def write_report(out: Path, folders: Sequence[Path]) -> Path:
    """Write one self-contained HTML page about finished folders, and return its path.

    A folder is a quickstart's, an evaluation's (those of the same samples are compared, in this order), or
    a run's (its learning curve is added). `out` is the file, or the folder for `report.html`.
    Raises OutputError or DatasetError for a folder that is not finished or cannot be read.
    """
    runs = load_runs([Path(folder) for folder in folders])
    budget = IMAGE_BUDGET // sum(len(run.studies) for run in runs)
    html = _environment().get_template("report.html.j2").render(runs=[_run(run, budget) for run in runs])
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


def _run(run: Run, budget: int) -> dict[str, Any]:
    """Everything that the template shows of one run."""
    several = len(run.studies) > 1
    return {
        "run": run,
        "legend": _legend(run),
        "overview": _overview(run) if several else None,
        "views": [_view(run, study, budget) for study in run.studies],
        "curves": _curves(run),
    }


def _overview(run: Run) -> dict[str, Any]:
    """What stands above the tasks if there are several: each task's accuracies, and their means."""
    rows = [_task_row(study) for study in run.studies]
    means = [mean_share(cells) for cells in zip(*(row["cells"] for row in rows), strict=True)]
    last = {"label": "mean", "cells": means, "chance": None, "most_frequent": None, "published": None}
    return {
        "rows": rows,
        "means": means,
        "paired": any(row["pairs"] for row in rows),
        "n": sum(row["n"] for row in rows),
        "svg": charts.tasks([*rows, last]),
        "counted": _listed(sorted({row["counted"] for row in rows}, reverse=True)),
    }


def _task_row(study: Study) -> dict[str, Any]:
    """A task's accuracies, one an evaluation, and what to compare them with."""
    rates = study.last.scores["base_rates"]
    best = best_published(study.task.name)
    return {
        "label": study.task.name,
        "title": study.task.title,
        "n": study.last.scores["n"],
        "cells": [evaluation.accuracy for evaluation in study.evaluations],
        "counted": study.last.counted,
        "pairs": explained.pairs(study),
        "chance": rates.get("chance"),
        "most_frequent": rates["most_frequent"],
        "published": best.percent / 100 if best else None,
        "best": best,
    }


def _view(run: Run, study: Study, budget: int) -> dict[str, Any]:
    """Everything that the template shows of one task."""
    published = beside(study)
    wrong, right = _cards(study, budget, few=len(run.studies) > 1)
    traits = study.task.traits
    known = study.last.scores["by"]
    curves = [name for name in known if traits[name].curve]
    tables = [name for name in known if not traits[name].section and not traits[name].curve]
    return {
        "study": study,
        "task": study.task,
        "legend": _legend(run),
        "counted": study.last.counted,
        "choices": _choices(study.task.answers),
        "hits": study.last.answered.hits.count(True),
        "chance": study.last.scores["base_rates"].get("chance"),
        "any_free": any(evaluation.scores["accuracy"]["free"] for evaluation in study.evaluations),
        "overall": _overall(run, study, published["opening"]),
        "breakdowns": [_breakdown(study, name) for name in curves],
        "breakdown_names": _listed([_spaced(name) for name in curves]),
        "tables": [_table(study, name) for name in tables],
        "table_names": _listed([_spaced(name) for name in tables]),
        "confusion": explained.confusion(study.last),
        "wrong": wrong,
        "right": right,
        "has_images": any(card.image for card in wrong + right),
        "base_rates": _base_rates(run, study),
        "chance_explained": known_rates(study.last.answered).get("chance"),
        "hard": explained.hard(study),
        "errors": explained.errors(study),
        "reliability": explained.reliability(study),
        "looks": explained.looks(study),
        "pairs": explained.pairs(study),
        "beside": published,
        "rules": [
            {"name": name, "rule": rule, "cells": [_by_rule(one, name) for one in study.evaluations]}
            for name, rule in rules_of(study.task).items()
        ],
        "certain": is_certain(study.last.answered),
    }


def _cards(study: Study, budget: int, few: bool) -> tuple[list[Card], list[Card]]:
    """The wrong and the right samples that are shown, each with its image where that is at hand."""
    wrong, right = pick(study, few)
    rows = {str(row["id"]): row for row in study.last.answered.rows}
    texts = [name for name, type_ in study.task.own_columns.items() if type_ == "string"]
    wanted = {card.id: rows[card.id] for card in wrong + right}
    images = read_images(study.images, wanted, texts, budget)
    return with_images(wrong, images), with_images(right, images)


def _by_rule(evaluation: Evaluation, rule: str) -> Mapping[str, float] | None:
    return (evaluation.scores["rules"] or {}).get(rule)


def _choices(answers: AnswerSpace) -> str:
    """What the answers are that a restricted one is chosen from."""
    if answers.called or answers.choices is None:
        return answers.called
    few = len(answers.choices) <= 12
    return _listed(answers.choices) if few else f"the {len(answers.choices)} {answers.noun}"


def _listed(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _base_rates(run: Run, study: Study) -> list[dict[str, Any]]:
    """What needs no eyes, and what each model answers when there is nothing to see."""
    common, _ = rates_by_label(study.task, study.last.scores["base_rates"])
    rows = [{"label": label[:1].upper() + label[1:], "value": share} for label, share in common.items()]
    for item, evaluation in zip(_legend(run), study.evaluations, strict=True):
        _, own = rates_by_label(study.task, evaluation.scores["base_rates"])
        rows += [{"label": f"{item['label']}, {label}", "value": share} for label, share in own.items()]
    return rows


def _legend(run: Run) -> list[dict[str, str]]:
    names = [name.capitalize() if run.quickstart else printable(name, 40) for name in run.names]
    return [{"label": name, "colour": charts.series_name(i, len(names))} for i, name in enumerate(names)]


def _overall(run: Run, study: Study, published: Mapping[str, Any] | None) -> Markup:
    rows = [
        (
            item["label"],
            evaluation.accuracy,
            evaluation.scores["accuracy"]["free"] if evaluation.counted == "restricted" else None,
        )
        for item, evaluation in zip(_legend(run), study.evaluations, strict=True)
    ]
    chance = study.last.scores["base_rates"].get("chance")
    if published is None:
        return charts.overall(rows, chance)
    return charts.overall(rows, chance, published["rows"], published["title"])


def _curves(run: Run) -> list[dict[str, Any]]:
    """The charts of what was logged, each with how many points it has and whether chance is dotted in."""
    curve, chance = run.curve, _chance(run)
    drawn: list[tuple[str, Markup, int, bool]] = []
    if curve and curve.loss:
        drawn.append(("Training loss", charts.loss_curve(curve), len(curve.loss), False))
    if curve and curve.accuracy:
        svg = charts.accuracy_curve(curve, chance)
        drawn.append(("Validation accuracy", svg, len(curve.accuracy), chance is not None))
    return [dict(zip(("title", "svg", "points", "dotted"), chart, strict=True)) for chart in drawn]


def _chance(run: Run) -> float | None:
    """The chance of a sample of any task; None if some task has none."""
    scores = [study.last.scores for study in run.studies]
    if not all("chance" in one["base_rates"] for one in scores):
        return None
    right = math.fsum(one["n"] * one["base_rates"]["chance"] for one in scores)
    return right / float(sum(one["n"] for one in scores))


def _breakdown(study: Study, name: str) -> dict[str, Any]:
    """A chart and its table, of all evaluations."""
    table = _table(study, name)
    series = [evaluation.scores["by"].get(name, {}) for evaluation in study.evaluations]
    keys = [row["key"] for row in table["rows"]]
    labels = [row["label"] for row in table["rows"]]
    axis = study.task.traits[name].label
    return {**table, "axis": axis, "svg": charts.breakdown(series, keys, labels, axis)}


def _table(study: Study, name: str) -> dict[str, Any]:
    groups = [evaluation.scores["by"].get(name, {}) for evaluation in study.evaluations]
    common = set(sorted(groups[-1], key=lambda key: -groups[-1][key]["n"])[:ROWS])
    rows = [row for row in explained.group_rows(study.task.traits[name], groups) if row["key"] in common]
    return {
        "name": _spaced(name),
        "rows": rows,
        "left_out": len(groups[-1]) - len(rows),
        "median_n": round(statistics.median(row["n"] for row in rows)),
    }
