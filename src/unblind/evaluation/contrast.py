"""Contrast pairs: each picture's twin, which differs in one small thing by which the right answer changes.

Gardner et al., "Evaluating models' local decision boundaries via contrast sets", 2020 (arXiv 2004.02709).
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import datasets
import numpy as np

from unblind.errors import DatasetError, RecipeError
from unblind.evaluation.questions import Question, recorded_tasks
from unblind.evaluation.views import redrawn
from unblind.tasks.base import Row, Task
from unblind.tasks.redraw import scene_of
from unblind.tasks.registry import task_of

FLAG = "--contrast"


def check_twins(dataset: datasets.Dataset) -> None:
    """Refuse rows of which no twin can be drawn.

    Raises:
        DatasetError: the dataset does not tell how its images were drawn.
        RecipeError: a task that knows of no twins.
    """
    if "scene" not in dataset.column_names:
        raise DatasetError(
            f"{FLAG} needs the column 'scene', which Parquet datasets by `unblind generate` have;"
            f" name one (--data), or leave out {FLAG}"
        )
    for name in dict.fromkeys(recorded_tasks(dataset)):
        if type(task_of(name)).contrast is Task.contrast:
            raise RecipeError(
                f"{FLAG}: the task {name} knows of no twins of its pictures; leave out {FLAG}, or choose"
                " other tasks (--task)"
            )


def twin_of(row: Row, question: Question) -> tuple[Row, Question] | None:
    """A row's twin, as drawn, and the question about it; the same one every time.

    Args:
        row: with the `scene` that its picture shows.
        question: what is asked about the row.

    Returns:
        None where no twin is possible, or where the question is not about what the scene tells.

    Raises:
        DatasetError: the row has no scene, or a damaged one.
        FontsError: its font is not there.
    """
    task, scene = scene_of({**row, "task": question.task})
    prompt = task.prompt_of(question.text, row)
    if task.truth(scene, prompt.truth) != question.answer:
        return None
    rng = np.random.default_rng(zlib.crc32(row["scene"].encode()))
    twin = task.contrast(rng, scene, prompt.truth)
    answer = None if twin is None else task.truth(twin, prompt.truth)
    if answer is None or (question.choices is not None and answer not in question.choices):
        return None
    text = task.question(prompt.text, task.columns(twin))
    asked = replace(question, text=text, answer=answer, reply=prompt.reply(answer))
    return _drawn(task, twin), asked


def _drawn(task: Task[Any], scene: Any) -> Row:
    return {"image": redrawn({"scene": task.to_json(scene)}, task)}
