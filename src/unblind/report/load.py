"""Finished folders, read into what the page shows: runs, each with the studies of its tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unblind.errors import DatasetError, OutputError
from unblind.runtime.json_files import read_json_if_whole
from unblind.scoring.metrics import WAYS, score
from unblind.scoring.predictions import Answered, by_task, is_number, read_predictions
from unblind.tasks.base import Task


@dataclass(frozen=True)
class Evaluation:
    """One model's answers to the questions of one task.

    `metrics` says where they came from (metrics.json); `scores` are those of the task; `occlusion` is what is
    in occlusion.json, where that was asked for.
    """

    name: str
    metrics: Mapping[str, Any]
    answered: Answered
    scores: Mapping[str, Any]
    occlusion: Mapping[str, Any] | None = None

    @property
    def accuracy(self) -> Mapping[str, float]:
        """Of the answers that count: the restricted ones, or else the free ones."""
        accuracy: Mapping[str, float] = self.scores["accuracy"][self.counted]
        return accuracy

    @property
    def prompts(self) -> list[Mapping[str, Any]]:
        """The accuracies with each prompt, where several were asked (`unblind.evaluation.prompts`)."""
        measured = self.metrics.get("prompts")
        return [one for one in measured.values() if _is_measured(one)] if isinstance(measured, dict) else []

    @property
    def counted(self) -> str:
        """Which answers count: `restricted` or `free`."""
        return "restricted" if self.answered.restricted else "free"


@dataclass(frozen=True)
class Curve:
    """What training logged: (x, y) pairs, x in `unit` ("samples" or "steps"), accuracy in [0, 1]."""

    unit: str
    loss: tuple[tuple[float, float], ...]
    accuracy: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Study:
    """Evaluations of the same samples of one task, in the order they are compared."""

    evaluations: tuple[Evaluation, ...]
    images: tuple[Path, ...]  # parquet files or dataset folders that may hold the images
    quickstart: bool

    @property
    def task(self) -> Task[Any]:
        """The task."""
        return self.last.answered.task

    @property
    def first(self) -> Evaluation:
        """The evaluation that the others are compared with."""
        return self.evaluations[0]

    @property
    def last(self) -> Evaluation:
        """The evaluation that is looked at in detail."""
        return self.evaluations[-1]


@dataclass(frozen=True)
class Run:
    """What was measured on the same samples: a study for each of their tasks; and how the model learned."""

    title: str
    studies: tuple[Study, ...]
    train: Mapping[str, Any]
    curve: Curve | None
    quickstart: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the evaluations."""
        return tuple(evaluation.name for evaluation in self.studies[0].evaluations)


def load_runs(folders: Sequence[Path]) -> list[Run]:
    """Read quickstart, evaluation and training folders; evaluations of the same samples become one run.

    A training folder (log.jsonl) lends its learning curve to the run when there is just one.
    Raises OutputError for a folder that is none of these, DatasetError for predictions that cannot be scored.
    """
    runs: dict[Any, Run] = {}
    curves: list[Curve] = []
    for folder in folders:
        if (folder / "blind").is_dir() and (folder / "after").is_dir():
            runs[folder] = _quickstart(folder)
        elif (folder / "predictions.parquet").is_file():
            run = _evaluated(folder)
            key = _samples(run)
            runs[key] = _joined(runs[key], run) if key in runs else run
        elif (folder / "log.jsonl").is_file():
            curves.append(read_curve(folder / "log.jsonl"))
        else:
            raise OutputError(_not_finished(folder))
    if not runs:
        raise OutputError("nothing to report: name at least one quickstart or evaluation folder")
    loaded = list(runs.values())
    if len(loaded) == 1 and loaded[0].curve is None and curves:
        return [replace(loaded[0], curve=curves[-1])]
    return loaded


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
    unit = "samples" if any(_is_finite(entry.get("samples")) for entry in entries) else "steps"
    x = "samples" if unit == "samples" else "step"
    return Curve(unit, _points(entries, x, "loss"), _points(entries, x, "eval_accuracy"))


def _points(entries: Sequence[Mapping[str, Any]], x: str, y: str) -> tuple[tuple[float, float], ...]:
    return tuple((e[x], e[y]) for e in entries if _is_finite(e.get(x)) and _is_finite(e.get(y)))


def _is_finite(value: object) -> bool:
    return is_number(value) and abs(value) < 1e15  # NaN fails too


def _quickstart(folder: Path) -> Run:
    metrics = _read_json(folder / "metrics.json")
    log = folder / "train" / "log.jsonl"
    blind, after = (_evaluated(folder / name, _section(metrics, name)) for name in ("blind", "after"))
    if _samples(blind) != _samples(after):
        raise OutputError(
            f"{folder}: blind and after were measured on different samples; run the quickstart again"
        )
    both = _joined(blind, after)
    images = (folder / "data", *_image_sources(folder, _section(metrics, "after")))
    return Run(
        title=folder.resolve().name,
        studies=tuple(replace(study, images=images, quickstart=True) for study in both.studies),
        train=_section(metrics, "train"),
        curve=read_curve(log) if log.is_file() else None,
        quickstart=True,
    )


def _evaluated(folder: Path, metrics: Mapping[str, Any] | None = None) -> Run:
    """An evaluation's folder; `metrics` if they are not in the folder's own file."""
    path = folder / "predictions.parquet"
    if not path.is_file():
        raise OutputError(_not_finished(folder))
    if metrics is None:
        metrics = _read_json(folder / "metrics.json")
    name, images = folder.resolve().name, _image_sources(folder, metrics)
    predictions = read_predictions(path)
    scores = score(predictions)
    studies = []
    for task, answered in by_task(predictions).items():
        own = scores["tasks"][task] if "tasks" in scores else scores
        evaluation = Evaluation(name, metrics, answered, own, _occlusion(folder, answered.task))
        if own["accuracy"][evaluation.counted] is None:
            raise DatasetError(
                f"{path}: {task} has neither restricted nor free answers; evaluate again without --no-free"
            )
        studies.append(Study((evaluation,), images, quickstart=False))
    return Run(name, tuple(studies), train={}, curve=None)


def _joined(run: Run, other: Run) -> Run:
    """Both runs' evaluations, task by task."""
    others = {study.task.name: study for study in other.studies}
    studies = tuple(
        replace(
            study,
            evaluations=study.evaluations + others[study.task.name].evaluations,
            images=study.images + others[study.task.name].images,
        )
        for study in run.studies
    )
    return replace(run, studies=studies)


def _occlusion(folder: Path, task: Task[Any]) -> Mapping[str, Any] | None:
    """What covering the task's parts did; None where that was not asked."""
    path = folder / "occlusion.json"
    if not path.is_file() or not task.parts:
        return None
    whole = _read_json(path)
    views = whole["tasks"].get(task.name) if isinstance(whole.get("tasks"), dict) else whole
    if views is not None and not _is_occlusion(views, ("whole", *task.parts)):
        raise OutputError(
            f"{path} is not what `unblind evaluate --occlusion` writes; remove it, or evaluate again"
        )
    return views


def _is_measured(value: Any) -> bool:
    try:
        ends = [value[way][end] for way in WAYS if value[way] for end in ("value", "low", "high")]
        return isinstance(value["question"], str) and all(map(_is_finite, ends))
    except (KeyError, TypeError):
        return False


def _is_occlusion(views: Mapping[str, Any], names: Sequence[str]) -> bool:
    try:
        numbers = [views["n"], *(views[name][number] for name in names for number in ("drop", "changed"))]
        numbers += [views[name]["accuracy"][end] for name in names for end in ("value", "low", "high")]
    except (KeyError, TypeError):
        return False
    return all(map(_is_finite, numbers))


def _image_sources(folder: Path, metrics: Mapping[str, Any]) -> tuple[Path, ...]:
    data = metrics.get("data")
    return (Path(data), folder / data) if isinstance(data, str) and data else ()


def _samples(run: Run) -> frozenset[tuple[str, str, str]]:
    """Which samples were asked about: task, id and answer of each."""
    return frozenset(
        (study.task.name, str(row["id"]), row["answer"])
        for study in run.studies
        for row in study.last.answered.rows
    )


def _read_json(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise OutputError(_not_finished(path.parent))
    value = read_json_if_whole(path)
    if value is None:
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
