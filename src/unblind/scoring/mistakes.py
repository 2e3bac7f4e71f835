"""Where wrong answers went, by the mistakes that a task knows of."""

from __future__ import annotations

import math
from typing import Any

from unblind.scoring.intervals import proportion
from unblind.scoring.predictions import Answered
from unblind.tasks.base import Mistake, Row


def mistakes(answered: Answered) -> dict[str, Any]:
    """Shares of the wrong answers, of those that count (`Answered.replies`).

    Returns `n`, and each of the task's mistakes by name: ``{"n", "value", "low", "high"}`` with Wilson's 95 %
    interval, `n` being the errors of which it can be known; None without such errors. `chance` is there where
    the task gives one: the share if each error were picked at random, as the mistake says.
    """
    wrong = [
        (row, reply or "")
        for row, reply, hit in zip(answered.rows, answered.replies, answered.hits, strict=True)
        if not hit
    ]
    shares = {name: _share(mistake, wrong) for name, mistake in answered.task.mistakes.items()}
    return {"n": len(wrong), **shares}


def _share(mistake: Mistake, wrong: list[tuple[Row, str]]) -> dict[str, float] | None:
    verdicts = [(row, _applies(mistake, row, reply)) for row, reply in wrong]
    judged = [(row, applies) for row, applies in verdicts if applies is not None]
    if not judged:
        return None
    made = sum(1 for _, applies in judged if applies)
    share = {"n": len(judged), **proportion(made, len(judged))}
    if mistake.chance is not None:
        share["chance"] = math.fsum(mistake.chance(row) for row, _ in judged) / len(judged)
    return share


def _applies(mistake: Mistake, row: Row, reply: str) -> bool | None:
    try:
        return mistake.applies(row, reply)
    except (KeyError, TypeError):
        return None
