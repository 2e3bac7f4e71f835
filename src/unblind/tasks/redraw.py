"""A row of a dataset drawn again from its scene, by the task that drew it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from unblind.errors import DatasetError, RecipeError, SceneError
from unblind.tasks.base import Pixels, Task
from unblind.tasks.registry import DEFAULT_TASK, task_named


def redraw(
    row: Mapping[str, Any], resources: Any = None, *, circled: bool = True, without: str | None = None
) -> Pixels:
    """Draw a row of one of our datasets again from its `scene`: the same pixels, bit for bit.

    Args:
        row: with `scene`, a JSON text, and `task`; circled letters need no `task`.
        resources: what the task draws with, such as the `FontLibrary` of circled letters; None: what a plain
            install has, and the benchmark's fonts.
        circled: with the ellipse, for circled letters.
        without: what to leave out, one of the task's `parts`.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        DatasetError: the row has no scene, or a damaged one, or a task that is not known here.
        FontsError: its font is not there.
        RecipeError: the task has no such part.
    """
    task, scene = scene_of(row)
    part = without if circled else "ellipse"
    if part is not None and part not in task.parts:
        raise RecipeError(f"{task.name} has no part '{part}'; it has {', '.join(task.parts) or 'none'}")
    return task.draw(scene, resources or _known_resources(task.name), part)


def scene_of(row: Mapping[str, Any]) -> tuple[Task[Any], Any]:
    """A row's task and scene. Raises DatasetError as `redraw` does."""
    text = row.get("scene")
    if not isinstance(text, str):
        raise DatasetError("the row has no 'scene'; only rows of Parquet datasets by `unblind generate` do")
    name = f"row {row.get('id', '?')}"
    try:
        task = task_named(str(row.get("task") or DEFAULT_TASK), "task")
        return task, task.from_json(text)
    except RecipeError as error:
        raise DatasetError(f"{name}: {error}") from None
    except SceneError as error:
        raise DatasetError(f"{name}: {error}; generate the dataset again") from None


@cache
def _known_resources(task: str) -> Any:
    return task_named(task).known_resources()
