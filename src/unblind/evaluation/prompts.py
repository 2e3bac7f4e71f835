"""A model asked in each of the wordings that its task and its family offer, so that none is favoured."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import datasets

from unblind.errors import RecipeError
from unblind.evaluation.questions import recorded_tasks
from unblind.evaluation.run import evaluate_to
from unblind.models.family import Family
from unblind.models.loading import Loaded
from unblind.runtime.distributed import from_main_process, is_main_process
from unblind.runtime.json_files import read_json_if_whole
from unblind.runtime.outputs import atomic, write_json
from unblind.scoring.metrics import WAYS
from unblind.tasks.base import EACH, Task
from unblind.tasks.registry import task_of


def offered_prompts(task: Task[Any], family: Family) -> dict[str, str]:
    """The questions about a task's usual truth, by what `--prompt` takes for them.

    They are the task's own, and its first one again behind each of the family's prefixes.
    """
    first = task.default_prompt
    names = [name for name in task.questions if task.prompts[name].truth == task.prompts[first].truth]
    names += [prefix + first for prefix in family.question_prefixes]
    return {name: task.prompt_of(name, {}).text for name in names}


def evaluate_each(
    out: Path, loaded: Loaded, dataset: datasets.Dataset, *, data: str, **options: Any
) -> dict[str, Any]:
    """`evaluate_to` with each of the prompts offered; what is in `out` then is that of the best one.

    Each has a folder of its own in `out`/prompts. If it is interrupted, the same call goes on. The best is
    chosen on these very samples, which flatters the model, and so makes a fair "before".

    Returns:
        The metrics of the best, with `prompt`, what `--prompt` takes for it, and `prompts`: for each prompt
        the `question`, and the accuracies `free` and `restricted` as in `unblind.scoring.metrics.score`.

    Raises:
        RecipeError: the dataset is of several tasks.
        DatasetError, ModelError, OutputError: as `evaluate_to` does.
    """
    prompts = offered_prompts(_only_task(dataset), loaded.family)
    measured = {
        name: _finished(folder) or evaluate_to(folder, loaded, dataset, data=data, prompt=name, **options)
        for name in prompts
        for folder in [prompt_folder(out, name)]
    }
    best = max(measured, key=lambda name: _value(measured[name]))
    shown = {name: {"question": prompts[name]} | _accuracies(metrics) for name, metrics in measured.items()}
    metrics = measured[best] | {"prompt": best, "prompts": shown}
    if is_main_process():
        with atomic(out / "predictions.parquet") as path:
            shutil.copyfile(prompt_folder(out, best) / "predictions.parquet", path)
        write_json(out / "metrics.json", metrics)
    return metrics


def prompt_folder(out: Path, name: str) -> Path:
    """Where the answers to one of the prompts lie."""
    return out / "prompts" / name.replace(" ", "-")


def _only_task(dataset: datasets.Dataset) -> Task[Any]:
    names = set(recorded_tasks(dataset))
    if len(names) > 1:
        raise RecipeError(
            f"--prompt {EACH} asks about one task, and the data has {', '.join(sorted(names))}; choose one"
            " (--task)"
        )
    return task_of(names.pop())


def _finished(folder: Path) -> dict[str, Any] | None:
    """What was measured before an interruption."""
    return from_main_process(partial(read_json_if_whole, folder / "metrics.json"))


def _accuracies(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {way: metrics["accuracy"][way] for way in WAYS}


def _value(metrics: Mapping[str, Any]) -> float:
    """The accuracy that counts: of the restricted answers, or else of the free ones."""
    accuracy = _accuracies(metrics)
    value: float = (accuracy["restricted"] or accuracy["free"] or {"value": 0.0})["value"]
    return value
