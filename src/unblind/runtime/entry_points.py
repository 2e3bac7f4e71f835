"""What other packages register by entry points, each loaded alone: a broken one breaks nothing else."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from unblind.errors import UnblindError

Registered = TypeVar("Registered")


def names_in(group: str) -> set[str]:
    """The names that other packages register."""
    return {entry.name for entry in entry_points(group=group)}


def load_registered(
    entry: EntryPoint, kind: type[Registered], called: str, error: Callable[[str], UnblindError]
) -> Registered:
    """What an entry point stands for.

    Args:
        entry: the entry point.
        kind: the class that it has to be of.
        called: what the message calls it.
        error: what to raise, with the message, where it cannot be loaded, or is something else.
    """
    try:
        loaded: Any = entry.load()
    except Exception as problem:  # whatever another package's code raises
        reason = f"{type(problem).__name__}: {problem}"[:200]
        raise error(f"{called} cannot be loaded ({reason}); mend or remove it") from problem
    if not isinstance(loaded, kind):
        raise error(f"{called} is no {kind.__module__}.{kind.__qualname__}; mend or remove it")
    return loaded


def defects_in(group: str, load: Callable[[EntryPoint], object]) -> dict[str, str]:
    """The names in a group that `load` raises an UnblindError for, each with its message."""
    defects: dict[str, str] = {}
    for entry in entry_points(group=group):
        try:
            load(entry)
        except UnblindError as error:
            defects[entry.name] = str(error)
    return defects
