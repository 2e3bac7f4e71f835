"""Evaluation results as the hub reads them: `model-index` in a card, and `.eval_results/*.yaml` beside it.

The first is the older form (https://github.com/huggingface/hub-docs/blob/main/modelcard.md), the second what
leaderboards read (https://huggingface.co/docs/hub/eval-results). Neither has a field for an interval: it
goes into the metric's `args` in the one and into `notes` in the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, eval_result_entries_to_yaml

from unblind.errors import DatasetError
from unblind.runtime.json_files import read_json
from unblind.sharing.origin import Origin, is_local, public_name, run_folder
from unblind.tasks.base import Task
from unblind.tasks.generic import GENERIC
from unblind.tasks.registry import task_of

OTHER_TASK = "default"  # the hub's task_id of questions that are none of our tasks
ANSWERS = ("restricted", "free")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class TaskResult:
    """How a model did at one task: the task, and its part of a metrics.json."""

    task: Task[Any]
    metrics: Mapping[str, Any]

    @property
    def task_id(self) -> str:
        """The hub's: what our Inspect task is called, too, and a dataset's eval.yaml if it has one."""
        return OTHER_TASK if self.task is GENERIC else self.task.name.replace("-", "_")

    def accuracies(self) -> Iterator[tuple[str, Mapping[str, float]]]:
        """Restricted and free accuracy, as far as they were measured: {"value", "low", "high"}."""
        for answers in ANSWERS:
            if accuracy := self.metrics["accuracy"].get(answers):
                yield answers, accuracy


@dataclass(frozen=True)
class Result:
    """An evaluation: its folder's name, the dataset by its public name, and its metrics.json."""

    name: str
    data: str
    dataset: str | None
    metrics: Mapping[str, Any]

    @property
    def by_task(self) -> list[TaskResult]:
        """Its tasks. Until they were recorded, what was restricted was of circled letters."""
        if "tasks" in self.metrics:
            return [TaskResult(task_of(name), metrics) for name, metrics in self.metrics["tasks"].items()]
        recorded = "task" in self.metrics or self.metrics["accuracy"].get("restricted")
        return [TaskResult(task_of(self.metrics.get("task")) if recorded else GENERIC, self.metrics)]


def read_results(
    folders: Sequence[Path], model: Path, origin: Origin, dataset: str | None
) -> tuple[list[Result], list[Result]]:
    """Evaluations of the base alone, and of the model.

    Args:
        folders: of `unblind evaluate`.
        model: the folder with the adapter or the merged checkpoint.
        origin: of the model.
        dataset: the id on the hub of the dataset they were measured on, where they name a local one.

    Raises:
        DatasetError: no evaluation, one of another model, two of a name, or `dataset` stands for two.
    """
    before: list[Result] = []
    after: list[Result] = []
    for folder in folders:
        metrics = read_json(folder / "metrics.json") if (folder / "metrics.json").is_file() else {}
        if not {"accuracy", "tasks"} & metrics.keys():
            raise DatasetError(
                f"{folder} is no evaluation: no accuracy in a metrics.json; make one with `unblind evaluate`"
            )
        data = str(metrics.get("data", ""))
        on_hub = _HUB_ID.fullmatch(data) and not is_local(data, folder)
        named = data if on_hub else dataset
        result = Result(folder.resolve().name, public_name(data, folder), named, metrics)
        _check(folder, result)
        (before if _is_base_alone(folder, metrics, model, origin) else after).append(result)
    local = {result.data for result in before + after if result.dataset == dataset}
    if dataset and len(local - {dataset}) > 1:
        both = " and ".join(sorted(local))
        raise DatasetError(f"--dataset {dataset} names one dataset, but the results are of {both}")
    names = [result.name for result in before + after]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DatasetError(f"two evaluations are called {twice}; rename the folder of one (--results)")
    return before, after


def found_results(model: Path) -> list[Path]:
    """The evaluations beside the run of a quickstart: its blind/ and after/."""
    beside = [run_folder(model).resolve().parent / name for name in ("blind", "after")]
    return beside if all((folder / "metrics.json").is_file() for folder in beside) else []


def _check(folder: Path, result: Result) -> None:
    """Raise DatasetError for a metrics.json without the numbers that are told."""
    try:
        numbers = [
            number
            for part in result.by_task
            for _, accuracy in part.accuracies()
            for number in (part.metrics["n"], accuracy["value"], accuracy["low"], accuracy["high"])
        ]
    except (KeyError, TypeError, AttributeError):
        numbers = [None]
    if not all(isinstance(number, int | float) for number in numbers):
        raise DatasetError(f"{folder / 'metrics.json'} is damaged; make it again with `unblind evaluate`")


def _is_base_alone(folder: Path, metrics: Mapping[str, Any], model: Path, origin: Origin) -> bool:
    name, adapter = str(metrics.get("model")), metrics.get("adapter")
    merged = Path(name).name == model.resolve().name
    if not merged and public_name(name, folder) != public_name(origin.base, model):
        raise DatasetError(
            f"{folder} measured {name}, and {model} comes from {origin.base}; name its own (--results)"
        )
    if adapter and _is_other(Path(adapter), model, origin):
        raise DatasetError(f"{folder} measured {adapter}, not {model}; name another evaluation (--results)")
    return adapter is None and not merged


def _is_other(adapter: Path, model: Path, origin: Origin) -> bool:
    """Whether an adapter is not the model's own; a merged model knows the name of its run alone."""
    run = run_folder(adapter)
    if origin.merged:
        return "out" in origin.options and run.name != origin.options["out"]
    return adapter.exists() and run.resolve() != run_folder(model).resolve()


def model_index(results: Sequence[Result]) -> list[EvalResult]:
    """The results for `huggingface_hub.ModelCardData`; accuracies are shares in [0, 1]."""
    return [
        EvalResult(
            task_type="image-text-to-text",
            task_name=part.task_id,
            dataset_type=result.dataset or result.data,
            dataset_name=result.dataset or result.data,
            metric_type="accuracy",
            metric_name=f"accuracy, {answers} answers",
            metric_value=round(accuracy["value"], 5),
            metric_args=_interval(part, accuracy),
        )
        for result in results
        for part in result.by_task
        for answers, accuracy in part.accuracies()
    ]


def eval_results(results: Sequence[Result], url: str) -> dict[str, str]:
    """The files of `.eval_results/`, by path: one a score, as the hub wants scores of one dataset parted.

    Results on data that is not on the hub have none: each names a dataset there.

    Args:
        results: of the model.
        url: of the model's page, where the card explains them.
    """
    return {
        f".eval_results/{_name(result, part)}-{answers}.yaml": _entry(
            result.dataset, part, answers, accuracy, url
        )
        for result in results
        for part in result.by_task
        for answers, accuracy in part.accuracies()
        if result.dataset is not None
    }


def explained(task: Task[Any], answers: str) -> str:
    """What an answer is."""
    choices = task.answers.choices
    if answers == "free" or choices is None:
        return "greedy decoding, right if it is the answer alone"
    return f"the likeliest of the {len(choices)} {task.answers.noun}"


def _name(result: Result, part: TaskResult) -> str:
    return f"{result.name}-{part.task.name}" if len(result.by_task) > 1 else result.name


def _entry(dataset: str, part: TaskResult, answers: str, accuracy: Mapping[str, float], url: str) -> str:
    args = _interval(part, accuracy)
    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=part.task_id,
        value=round(accuracy["value"], 5),
        source_url=url,
        source_name="Model card",
        notes=f"{answers} answers: {explained(part.task, answers)}; n = {args['n']},"
        f" {args['interval']} {args['low']} to {args['high']}",
    )
    return yaml.safe_dump(
        eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True, width=1000
    )


def _interval(part: TaskResult, accuracy: Mapping[str, float]) -> dict[str, Any]:
    return {
        "n": part.metrics["n"],
        "low": round(accuracy["low"], 5),
        "high": round(accuracy["high"], 5),
        "interval": "Wilson 95 %",
    }
