"""Scoring rules: when does a free reply count as the answer? Ours, and those that others publish with.

They disagree (docs/scoring.md has a table), so a number is cited with its rule. Ours ask the task's answer
space; how others read a reply depends on the kind of answer, so the task says it (`Task.rules`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from unblind.errors import RecipeError
from unblind.scoring.lenient import lenient
from unblind.tasks.base import AnswerSpace, Rule, Task

RULES = ("exact", "any-case", "lenient", "paper", "vlmevalkit", "lmms-eval")


def exact(answers: AnswerSpace, reply: str, answer: str) -> bool:
    """Ours: the reply is the answer in its case; what the task reads past (brackets, dots) doesn't count."""
    return answers.same(reply, answer)


def any_case(answers: AnswerSpace, reply: str, answer: str) -> bool:
    """Ours: as `exact`, upper and lower case alike."""
    readings = (answers.parse(reply), answers.parse(reply.lower()), reply.strip())
    return answer.lower() in [reading.lower() for reading in readings if reading is not None]


def rules_of(task: Task[Any]) -> Mapping[str, Rule]:
    """The rules for a task's replies, by name, in the order of `RULES`."""
    ours = {
        "exact": Rule("the answer alone, in its case", partial(exact, task.answers)),
        "any-case": Rule("the answer alone, in any case", partial(any_case, task.answers)),
        "lenient": Rule("the last answer that it declares, in any case", partial(lenient, task.answers)),
    }
    return ours | {name: task.rules[name] for name in RULES if name in task.rules}


def check_rule(name: str, flag: str = "--rule") -> None:
    """Raise RecipeError, naming `flag`, for a name that is not in `RULES`."""
    if name not in RULES:
        raise RecipeError(f"unknown rule {name}; choose {', '.join(RULES)} ({flag})")


def rule_named(name: str, task: Task[Any], flag: str = "--rule") -> Callable[[str, str], bool]:
    """Whether a reply (first) is right, given the answer (second), by the rule of a name.

    Raises RecipeError, naming `flag`, for a name that is not in `RULES`, or that the task has no rule for.
    """
    check_rule(name, flag)
    rules = rules_of(task)
    if name not in rules:
        raise RecipeError(f"no rule {name} for the task {task.name}; choose {', '.join(rules)} ({flag})")
    return rules[name].right
