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

LETTERS_TASK, OTHER_TASK = "circled_letter", "default"  # the first is what our Inspect task is called as well
KINDS = {
    "restricted": "the likeliest of the 52 letters",
    "free": "greedy decoding, right if it is the answer alone",
}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Result:
    """An evaluation: its folder's name, the dataset by its public name, and its metrics.json."""

    name: str
    data: str
    dataset: str | None
    metrics: Mapping[str, Any]

    @property
    def task(self) -> str:
        """The hub's task_id: a task by the dataset's eval.yaml, if it has one."""
        return LETTERS_TASK if self.metrics["accuracy"].get("restricted") else OTHER_TASK

    def accuracies(self) -> Iterator[tuple[str, Mapping[str, float]]]:
        """Restricted and free accuracy, as far as they were measured: {"value", "low", "high"}."""
        for kind in KINDS:
            if found := self.metrics["accuracy"].get(kind):
                yield kind, found


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
        if not (folder / "metrics.json").is_file() or "accuracy" not in read_json(folder / "metrics.json"):
            raise DatasetError(
                f"{folder} is no evaluation: no accuracy in a metrics.json; make one with `unblind evaluate`"
            )
        metrics = read_json(folder / "metrics.json")
        data = str(metrics.get("data", ""))
        on_hub = _HUB_ID.fullmatch(data) and not is_local(data, folder)
        named = data if on_hub else dataset
        result = Result(folder.resolve().name, public_name(data, folder), named, metrics)
        (before if _is_base_alone(folder, metrics, model, origin) else after).append(result)
    local = {result.data for result in before + after if result.dataset == dataset}
    if dataset and len(local - {dataset}) > 1:
        both = " and ".join(sorted(local))
        raise DatasetError(f"--dataset {dataset} stands for one dataset, and the results are of {both}")
    names = [result.name for result in before + after]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DatasetError(f"two evaluations are called {twice}; rename the folder of one (--results)")
    return before, after


def found_results(model: Path) -> list[Path]:
    """The evaluations beside the run of a quickstart: its blind/ and after/."""
    beside = [run_folder(model).resolve().parent / name for name in ("blind", "after")]
    return beside if all((folder / "metrics.json").is_file() for folder in beside) else []


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
            task_name=result.task,
            dataset_type=result.dataset or result.data,
            dataset_name=result.dataset or result.data,
            metric_type="accuracy",
            metric_name=f"accuracy, {kind} answers",
            metric_value=round(accuracy["value"], 5),
            metric_args=_interval(result, accuracy),
        )
        for result in results
        for kind, accuracy in result.accuracies()
    ]


def eval_results(results: Sequence[Result], url: str) -> dict[str, str]:
    """The files of `.eval_results/`, by path: one a score, as the hub wants scores of one dataset parted.

    Results on data that is not on the hub have none: each names a dataset there.

    Args:
        results: of the model.
        url: of the model's page, where the card explains them.
    """
    files = {}
    for result in results:
        for kind, accuracy in result.accuracies():
            if result.dataset is None:
                continue
            args = _interval(result, accuracy)
            interval = f"{args['interval']} {args['low']} to {args['high']}"
            entry = EvalResultEntry(
                dataset_id=result.dataset,
                task_id=result.task,
                value=round(accuracy["value"], 5),
                source_url=url,
                source_name="Model card",
                notes=f"{kind} answers: {KINDS[kind]}; n = {args['n']}, {interval}",
            )
            files[f".eval_results/{result.name}-{kind}.yaml"] = yaml.safe_dump(
                eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True, width=1000
            )
    return files


def _interval(result: Result, accuracy: Mapping[str, float]) -> dict[str, Any]:
    return {
        "n": result.metrics["n"],
        "low": round(accuracy["low"], 5),
        "high": round(accuracy["high"], 5),
        "interval": "Wilson 95 %",
    }
