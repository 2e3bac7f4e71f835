"""Where a model looks, asked by covering: each part of a picture that its task can leave out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import datasets
import torch
from torch import Tensor

from unblind.errors import DatasetError
from unblind.evaluation.answers import choice_shares, collate, prefill
from unblind.evaluation.batches import BatchSize
from unblind.evaluation.questions import Question, questions, with_ids
from unblind.evaluation.views import all_views, check_views, views_of
from unblind.models.collate import prepared
from unblind.models.loading import Loaded
from unblind.runtime.progress import progress
from unblind.scoring.intervals import proportion
from unblind.tasks.base import Row, Task
from unblind.tasks.registry import task_of


def occlusion_check(
    loaded: Loaded, dataset: datasets.Dataset, *, prompt: str | None = None, batch_size: int = 32
) -> dict[str, Any]:
    """How restricted answers change as parts of the images are left out.

    A model that sees the part on which the answer depends falls back to its prior without it, and hardly
    minds another part's absence. Rows whose scene lacks one of the parts are not asked.

    Args:
        loaded: the model.
        dataset: with image, prompt, answer and scene, of tasks that have parts.
        prompt: instead of the dataset's own.
        batch_size: images a forward pass; each sample has one more than its task has parts.

    Returns:
        `n`, and for the `whole` picture and for each part that was left out: `accuracy` ({"value", "low",
        "high"}, Wilson's 95 %), `probability` (mean share of the right answer among the task's choices),
        `drop` (of it, against `whole`) and `changed` (share of answers that differ from those to `whole`).
        Where the dataset is of several tasks: {"tasks": {name: that of the task}}.

    Raises:
        DatasetError: no scenes, no sample that has all parts, answers that are none of a task's choices.
        RecipeError: a task without parts.
        FontsError: a font is not there.
        ModelError: as `answer` does.
    """
    check_views(dataset, "--occlusion")
    rows = with_ids(prepared(dataset))
    asked = questions(rows, prompt)
    for row_id, question in zip(rows["id"], asked, strict=True):
        _refuse_open(row_id, question)
    size = BatchSize(batch_size)
    results = {}
    with progress("occlusion", len(rows)) as advance:
        for name in dict.fromkeys(question.task for question in asked):
            samples = [(i, question) for i, question in enumerate(asked) if question.task == name]
            results[name] = _of_task(loaded, rows, samples, size, advance)
    return next(iter(results.values())) if len(results) == 1 else {"tasks": results}


def _refuse_open(row_id: str, question: Question) -> None:
    if question.choices is None:
        raise DatasetError(
            f"row {row_id}: the answer {question.answer!r} is none of the"
            f" {task_of(question.task).answers.noun} of {question.task}, as --occlusion needs it"
        )


def _of_task(
    loaded: Loaded,
    rows: datasets.Dataset,
    samples: Sequence[tuple[int, Question]],
    size: BatchSize,
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """The numbers of one task, from its samples: row numbers and questions."""
    task = task_of(samples[0][1].task)
    shares, right = [], []
    at_once = max(1, size.value // len(views_of(task)))
    for start in range(0, len(samples), at_once):
        part = [(rows[i], question) for i, question in samples[start : start + at_once]]
        for of_sample, question in _shares(loaded, task, part, size):
            shares.append(of_sample)
            right.append((question.choices or ()).index(question.answer or ""))
        advance(len(part))
    if not shares:
        raise DatasetError(
            f"no sample of {task.name} has all of {', '.join(task.parts)} to leave out; name another dataset"
        )
    return _summary(views_of(task), torch.stack(shares), torch.tensor(right))


def _shares(
    loaded: Loaded, task: Task[Any], samples: Sequence[tuple[Row, Question]], size: BatchSize
) -> list[tuple[Tensor, Question]]:
    """For each sample that has all parts, float32 (views, choices)."""
    drawn = [(row, question, all_views(row, task)) for row, question in samples]
    pictures = [
        ({**row, "image": image}, question)
        for row, question, views in drawn
        if views is not None
        for image in views.values()
    ]

    def ask(start: int, stop: int) -> list[Tensor | None]:
        rows, asked = zip(*pictures[start:stop], strict=True)
        return choice_shares(loaded, prefill(loaded, collate(loaded, rows, asked)), asked)

    shares = [share for share in size.apply(ask, len(pictures)) if share is not None]
    count = len(views_of(task))
    return [(torch.stack(shares[i : i + count]), pictures[i][1]) for i in range(0, len(pictures), count)]


def _summary(views: tuple[str, ...], shares: Tensor, right: Tensor) -> dict[str, Any]:
    """Numbers of (N, views, choices) probabilities and (N,) right choices."""
    best = shares.argmax(-1)
    of_right = shares[torch.arange(len(right)), :, right].double().mean(0)
    whole = float(of_right[0])
    result: dict[str, Any] = {"n": len(right)}
    for i, name in enumerate(views):
        result[name] = {
            "accuracy": proportion(int((best[:, i] == right).sum()), len(right)),
            "probability": float(of_right[i]),
            "drop": whole - float(of_right[i]),
            "changed": float((best[:, i] != best[:, 0]).double().mean()),
        }
    return result
