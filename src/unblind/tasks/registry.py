"""Tasks by name: ours, and those that other packages register (entry points of the group `unblind.tasks`).

A task is imported when it is first named, so that a broken one breaks nothing else.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from unblind.errors import RecipeError
from unblind.runtime.entry_points import defects_in, load_registered, names_in
from unblind.tasks.base import Task
from unblind.tasks.generic import GENERIC

GROUP = "unblind.tasks"
DEFAULT_TASK = "circled-letter"
# The module of each task of ours; it calls its task TASK.
TASKS: dict[str, str] = {
    "circled-letter": "unblind.tasks.circled_letter.task",
    "line-intersections": "unblind.tasks.line_intersections.task",
    "two-circles": "unblind.tasks.two_circles.task",
    "olympic-circles": "unblind.tasks.olympic.circles",
    "olympic-pentagons": "unblind.tasks.olympic.pentagons",
    "nested-squares": "unblind.tasks.nested_squares.task",
    "grid": "unblind.tasks.grid.task",
    "subway": "unblind.tasks.subway.task",
}


def task_names() -> tuple[str, ...]:
    """The names that `--task` takes: ours first, then those of other packages, sorted."""
    return (*TASKS, *sorted(names_in(GROUP) - set(TASKS)))


@lru_cache(maxsize=64)
def task_named(name: str, flag: str = "--task") -> Task[Any]:
    """The task of a name.

    Raises:
        RecipeError: there is none (the nearest right name is given), or another package's cannot be loaded.
    """
    if name in TASKS:
        task: Task[Any] = import_module(TASKS[name]).TASK
        return task
    for entry in entry_points(group=GROUP, name=name):
        return _loaded(entry, flag)
    near = difflib.get_close_matches(name, task_names(), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"choose {', '.join(task_names())}"
    raise RecipeError(f"{flag} {name}: no such task; {hint}")


def task_of(name: object, answers: Iterable[str] = (), columns: Iterable[str] = ()) -> Task[Any]:
    """The task that a row's column `task` records; the generic one for a value that names none.

    Args:
        name: the value, ours or the benchmark's; None where the data records no task. All data was of circled
            letters before tasks were recorded, so it is of circled letters then, if every answer is a letter,
            or if it tells word and place.
        answers: of the data, for that.
        columns: of the data, for that.
    """
    if name is None:
        letters = task_named(DEFAULT_TASK)
        known = set(answers) <= set(letters.answers.choices or ()) or {"word", "index"} <= set(columns)
        return letters if known else GENERIC
    if name in TASKS or name in task_names():  # ours first: to look for others' takes milliseconds
        return task_named(str(name))
    ours = benchmark_task(str(name))
    return task_named(ours) if ours else GENERIC


def benchmark_task(name: str) -> str | None:
    """Our name of what the benchmark calls a task, in any case, with spaces, hyphens or underscores."""
    return _benchmark_names().get(_plain(name))


@lru_cache(maxsize=1)
def _benchmark_names() -> dict[str, str]:
    return {_plain(theirs): name for name in TASKS for theirs in task_named(name).benchmark}


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.casefold().strip()))


def broken_tasks() -> dict[str, str]:
    """The tasks of other packages that cannot be loaded, each with what is wrong."""
    return defects_in(GROUP, lambda entry: _loaded(entry, "--task"))


def _loaded(entry: EntryPoint, flag: str) -> Task[Any]:
    """The task of an entry point, which the module calls TASK where the entry point names nothing in it."""
    value = entry.value if ":" in entry.value else f"{entry.value}:TASK"
    whole = EntryPoint(entry.name, value, entry.group)
    called = f"{flag} {entry.name}: {entry.value}"
    return load_registered(whole, Task, called, RecipeError)  # type: ignore[type-abstract]
