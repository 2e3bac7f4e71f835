"""Pictures that are asked about beside a row's own: white paper, and the row drawn again without a part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import datasets
from PIL import Image

from unblind.errors import DatasetError, RecipeError, SceneError
from unblind.evaluation.questions import recorded_tasks
from unblind.tasks.base import Row, Task
from unblind.tasks.redraw import redraw
from unblind.tasks.registry import task_of

WHITE = Image.new("RGB", (28, 28), "white")
WHOLE = "whole"


def views_of(task: Task[Any]) -> tuple[str, ...]:
    """The names of what occlusion asks about: the whole picture, and it without each of the task's parts."""
    return (WHOLE, *task.parts)


def check_views(dataset: datasets.Dataset, flag: str) -> None:
    """Refuse rows that cannot be drawn again without a part.

    Raises:
        DatasetError: the dataset does not tell how its images were drawn.
        RecipeError: a task has no parts that could be left out.
    """
    if "scene" not in dataset.column_names:
        raise DatasetError(
            f"{flag} needs the column 'scene', which Parquet datasets by `unblind generate` have;"
            f" name one (--data), or leave out {flag}"
        )
    for name in dict.fromkeys(recorded_tasks(dataset)):
        if not task_of(name).parts:
            raise RecipeError(
                f"{flag}: the task {name} has no parts that could be left out; leave out {flag}, ask about"
                " twins instead (--contrast), or choose other tasks (--task)"
            )


def redrawn(row: Row, task: Task[Any], without: str | None = None) -> Image.Image:
    """A row's picture, drawn again by its task; `without` one of the task's parts.

    Raises:
        DatasetError: the row has no scene, or a damaged one.
        SceneError: its scene does not have this part.
        FontsError: its font is not there.
    """
    return Image.fromarray(redraw({**row, "task": task.name}, without=without))


def all_views(row: Row, task: Task[Any]) -> Mapping[str, Image.Image] | None:
    """A row's picture in each of `views_of`; None if its scene lacks one of the parts.

    Raises DatasetError and FontsError as `redrawn` does.
    """
    try:
        return {view: redrawn(row, task, None if view == WHOLE else view) for view in views_of(task)}
    except SceneError:
        return None
