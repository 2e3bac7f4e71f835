"""Accuracies that need no eyes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unblind.scoring.predictions import Answered
from unblind.tasks.base import MOST_FREQUENT, BaseRate, Task

UNSEEING = {"blank_image": "blank", "uncircled": "uncircled"}  # by the columns that hold these answers


def base_rates(answered: Answered) -> dict[str, float]:
    """The shares that would be right without sight, by name, as far as the samples tell them.

    `chance` (one of the choices at random, unless the task knows better), the task's own, `most_frequent`
    (always the commonest answer); and what the model itself said to a blank image (`blank_image`) and to the
    picture without the task's first part (`uncircled`), where that was asked.
    """
    rates = {name: rate.rate(answered.rows) for name, rate in known_rates(answered).items()}
    for name, column in UNSEEING.items():
        if answered.restricted and column in answered.rows[0]:
            hits = answered.restricted_hits(column)
            rates[name] = sum(hits) / len(hits)
    return {name: rate for name, rate in rates.items() if rate is not None}


def known_rates(answered: Answered) -> dict[str, BaseRate]:
    """The base rates that apply to these answers, those of the models themselves aside."""
    own = rates_of(answered.task) if answered.expected else {}
    return {**own, "most_frequent": MOST_FREQUENT}


def rates_by_label(task: Task[Any], rates: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Base rates of metrics by what people call them: those of any model, and those of the model's own.

    A rate that is there under two names is there once.
    """
    unseeing = {"blank_image": "shown a blank image", "uncircled": task.wording.without}
    known = {**rates_of(task), "most_frequent": MOST_FREQUENT}
    common = {known[name].label: share for name, share in rates.items() if name in known}
    own = {unseeing[name]: share for name, share in rates.items() if name in unseeing}
    return common, own


def rates_of(task: Task[Any]) -> dict[str, BaseRate]:
    """The task's base rates, chance first: one of the choices at random, unless the task says otherwise."""
    choices = task.answers.choices
    if choices is None:
        return dict(task.base_rates)
    count = len(choices)
    chance = BaseRate("Chance", lambda _: 1 / count, f"One of the {count} possible answers at random.")
    return {"chance": chance, **task.base_rates}
