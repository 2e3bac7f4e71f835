"""Accuracy by what is known of each sample: the traits of its task."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from unblind.scoring.intervals import proportion
from unblind.scoring.predictions import Answered, is_number
from unblind.tasks.base import Row, Trait

FEW = 6  # so many different whole numbers are groups of their own; all else is put into bins


class Bin(NamedTuple):
    """Numbers from `low` up to `high`; one number if they are equal, no end where it is infinite."""

    low: float
    high: float

    def __str__(self) -> str:
        low, high = f"{self.low:g}", f"{self.high:g}"
        if low == high:
            return low
        if self.low == -math.inf:
            return f"below {high}"
        if self.high == math.inf:
            return f"{low} and more"
        return f"{low}–{high}" if self.low >= 0 else f"{low} to {high}"


def breakdowns(answered: Answered) -> dict[str, dict[str, dict[str, float]]]:
    """For each trait of the task that is known of some sample, its groups, in their order.

    Each group has ``{"n", "value", "low", "high"}``: how many samples, and the share that is right with
    Wilson's 95 % interval. Counted are the answers that count (`Answered.hits`).
    """
    groups = {name: grouped(trait, answered.rows) for name, trait in answered.task.traits.items()}
    return {
        name: _accuracies(keys, answered.hits)
        for name, keys in groups.items()
        if any(key is not None for key in keys)
    }


def grouped(trait: Trait, rows: Sequence[Row]) -> Sequence[Any]:
    """The group of each row, numbers in bins if the trait has some; None where it is not known."""
    groups = [_group(trait, row) for row in rows]
    return binned(groups, trait.bins) if trait.bins else groups


def _group(trait: Trait, row: Row) -> Any:
    try:
        group = trait.group(row)
    except (KeyError, TypeError):
        return None
    return group if isinstance(group, Hashable) else None


def _accuracies(keys: Iterable[Any], hits: Sequence[bool]) -> dict[str, dict[str, float]]:
    groups: dict[Any, list[bool]] = defaultdict(list)
    for key, hit in zip(keys, hits, strict=True):
        if key is not None:
            groups[key].append(hit)
    return {
        str(key): {"n": len(groups[key]), **proportion(sum(groups[key]), len(groups[key]))}
        for key in sorted(groups, key=_order)
    }


def _order(key: Any) -> tuple[bool, Any]:
    """Numbers and bins before texts: a column may hold both."""
    return isinstance(key, str), key


def binned(values: Sequence[Any], edges: Sequence[float]) -> list[Bin | None]:
    """Numbers as groups: few whole ones as they are, else ranges between `edges`; None for no number."""
    numbers = [float(value) if is_number(value) and abs(value) < 1e15 else None for value in values]
    different = {number for number in numbers if number is not None}
    if len(different) <= FEW and all(number.is_integer() for number in different):
        return [None if number is None else Bin(number, number) for number in numbers]
    bins = [Bin(low, high) for low, high in pairwise((-math.inf, *edges, math.inf))]
    return [None if number is None else _bin(number, bins) for number in numbers]


def _bin(number: float, bins: Sequence[Bin]) -> Bin | None:
    return next((one for one in bins if number < one.high), None)
