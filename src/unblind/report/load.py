"""Finished folders, read into what the page shows: studies, each with evaluations of the same samples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from unblind.errors import DatasetError, OutputError
from unblind.scoring.metrics import score
from unblind.scoring.predictions import read_predictions

VIEWS = ("whole", "ellipse", "letter", "other")  # of occlusion.json: what is covered


@dataclass(frozen=True)
class Evaluation:
    """One model's answers: where they came from (metrics.json), the answers, and their scores.

    `occlusion` is what is in occlusion.json, where that was asked for.
    """

    name: str
    metrics: Mapping[str, Any]
    predictions: pa.Table
    scores: Mapping[str, Any]
    occlusion: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Curve:
    """What training logged: (x, y) pairs, x in `unit` ("samples" or "steps"), accuracy in [0, 1]."""

    unit: str
    loss: tuple[tuple[float, float], ...]
    accuracy: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Study:
    """Evaluations of the same samples, in the order they are compared; the last is looked at in detail."""

    title: str
    evaluations: tuple[Evaluation, ...]
    images: tuple[Path, ...]  # parquet files or dataset folders that may hold the images
    train: Mapping[str, Any]
    curve: Curve | None
    quickstart: bool = False

    @property
    def first(self) -> Evaluation:
        """The evaluation that the others are compared with."""
        return self.evaluations[0]

    @property
    def last(self) -> Evaluation:
        """The evaluation that is looked at in detail."""
        return self.evaluations[-1]


def load_studies(folders: Sequence[Path]) -> list[Study]:
    """Read quickstart, evaluation and run folders; evaluations of the same samples become one study.

    A run folder (log.jsonl) lends its learning curve to the study when there is just one.
    Raises OutputError for a folder that is none of these, DatasetError for predictions that cannot be scored.
    """
    studies: dict[Any, Study] = {}
    curves: list[Curve] = []
    for folder in folders:
        if (folder / "blind").is_dir() and (folder / "after").is_dir():
            studies[folder] = _quickstart(folder)
        elif (folder / "predictions.parquet").is_file():
            study = _evaluation_study(folder)
            key = _samples(study.last)
            studies[key] = _joined(studies[key], study) if key in studies else study
        elif (folder / "log.jsonl").is_file():
            curves.append(read_curve(folder / "log.jsonl"))
        else:
            raise OutputError(_not_finished(folder))
    if not studies:
        raise OutputError("nothing to report: name at least one quickstart or evaluation folder")
    found = list(studies.values())
    if len(found) == 1 and found[0].curve is None and curves:
        return [replace(found[0], curve=curves[-1])]
    return found


def read_curve(path: Path) -> Curve:
    """The learning curve in a log of one JSON object a line, as transformers.Trainer's log_history."""
    entries = []
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise OutputError(
                f"{path}, line {number}: no JSON ({error}); train again or remove the file"
            ) from error
        if isinstance(entry, dict):
            entries.append(entry)
    unit = "samples" if any(_is_number(entry.get("samples")) for entry in entries) else "steps"
    x = "samples" if unit == "samples" else "step"
    return Curve(unit, _points(entries, x, "loss"), _points(entries, x, "eval_accuracy"))


def _points(entries: Sequence[Mapping[str, Any]], x: str, y: str) -> tuple[tuple[float, float], ...]:
    return tuple((e[x], e[y]) for e in entries if _is_number(e.get(x)) and _is_number(e.get(y)))


def _is_number(value: object) -> bool:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15
    )  # NaN fails too


def _quickstart(folder: Path) -> Study:
    metrics = _read_json(folder / "metrics.json")
    log = folder / "train" / "log.jsonl"
    blind, after = (_evaluation(folder / name, name, _section(metrics, name)) for name in ("blind", "after"))
    if _samples(blind) != _samples(after):
        raise OutputError(
            f"{folder}: blind and after were measured on different samples; run the quickstart again"
        )
    return Study(
        title=folder.resolve().name,
        evaluations=(blind, after),
        images=(folder / "data", *_image_sources(folder, after)),
        train=_section(metrics, "train"),
        curve=read_curve(log) if log.is_file() else None,
        quickstart=True,
    )


def _evaluation_study(folder: Path) -> Study:
    evaluation = _evaluation(folder, folder.resolve().name, _read_json(folder / "metrics.json"))
    return Study(evaluation.name, (evaluation,), _image_sources(folder, evaluation), train={}, curve=None)


def _joined(study: Study, other: Study) -> Study:
    return replace(
        study, evaluations=study.evaluations + other.evaluations, images=study.images + other.images
    )


def _evaluation(folder: Path, name: str, metrics: Mapping[str, Any]) -> Evaluation:
    path = folder / "predictions.parquet"
    if not path.is_file():
        raise OutputError(_not_finished(folder))
    predictions = read_predictions(path)
    scores = score(predictions)
    if scores["accuracy"]["restricted"] is None:
        raise DatasetError(
            f"{path}: its answers are longer than a letter, and the report is about single letters;"
            f" the numbers are in {folder / 'metrics.json'}, so leave this folder out"
        )
    return Evaluation(name, metrics, predictions, scores, _occlusion(folder / "occlusion.json"))


def _occlusion(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    found = _read_json(path)
    try:
        numbers = [found["n"], *(found[view][name] for view in VIEWS for name in ("drop", "changed"))]
        numbers += [found[view]["accuracy"][end] for view in VIEWS for end in ("value", "low", "high")]
    except (KeyError, TypeError):
        numbers = [None]
    if not all(map(_is_number, numbers)):
        raise OutputError(
            f"{path} is not what `unblind evaluate --occlusion` writes; remove it, or evaluate again"
        )
    return found


def _image_sources(folder: Path, evaluation: Evaluation) -> tuple[Path, ...]:
    data = evaluation.metrics.get("data")
    return (Path(data), folder / data) if isinstance(data, str) and data else ()


def _samples(evaluation: Evaluation) -> frozenset[tuple[str, str]]:
    table = evaluation.predictions
    return frozenset(zip(map(str, table["id"].to_pylist()), table["answer"].to_pylist(), strict=True))


def _read_json(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise OutputError(_not_finished(path.parent))
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise OutputError(f"{path} holds no JSON ({_first_line(error)}); make it again") from error
    if not isinstance(value, dict):
        raise OutputError(f"{path} holds no JSON object; make it again")
    return value


def _section(metrics: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = metrics.get(name)
    return section if isinstance(section, dict) else {}


def _not_finished(folder: Path) -> str:
    if not folder.is_dir():
        return (
            f"{folder} is no folder; name the output of a finished `unblind quickstart` or `unblind evaluate`"
        )
    return (
        f"{folder} is no finished quickstart or evaluation: it needs metrics.json and predictions.parquet; "
        "run `unblind quickstart` or `unblind evaluate` to its end"
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
