"""What is asked about each row: by which task, in which words, and which answers there are."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import datasets

from unblind.errors import DatasetError, RecipeError
from unblind.tasks.base import Asked, Prompt, Row, Task
from unblind.tasks.generic import GENERIC
from unblind.tasks.registry import DEFAULT_TASK, task_named, task_names, task_of


@dataclass(frozen=True)
class Question:
    """One question about one picture.

    Attributes:
        task: the name of its task.
        text: the question.
        choices: the answers of which one is right; None: any text.
        replies: to each of the choices the reply in the format that the question asks for.
        answer: the right one; None where nobody knows.
        reply: the right one in that format.
    """

    task: str
    text: str
    choices: tuple[str, ...] | None
    replies: tuple[str, ...]
    answer: str | None = None
    reply: str | None = None


def question(row: Row, task: Task[Any], prompt: str | None = None, *, restricted: bool = True) -> Question:
    """What a task asks about a row: the row's own prompt, or another (a name or a text).

    Args:
        row: with `prompt` where none is given, `answer` where it is known, and what the prompt needs.
        task: the row's.
        prompt: instead of the row's own.
        restricted: whether the right answer is among the task's choices.

    Raises:
        DatasetError: the row has no prompt.
        SceneError: the prompt asks for another truth than the row's own, and the row has no scene.
    """
    if prompt is None and not isinstance(row.get("prompt"), str):
        raise DatasetError(
            f"row {row.get('id', '(without id)')} has no prompt; add a column prompt, or name one (--prompt)"
        )
    asked = _ask(row, task, prompt)
    chosen = task.prompt_of(str(row.get("prompt")) if prompt is None else prompt, row)
    choices = task.answers.choices if restricted else None
    return Question(
        task=task.name,
        text=asked.question,
        choices=choices,
        replies=_replies(chosen, choices or ()),
        answer=asked.answer or None,
        reply=asked.reply or None,
    )


def _ask(row: Row, task: Task[Any], prompt: str | None) -> Asked:
    """Ask about a row. Where the task is unknown, the default one's questions go by their names as well."""
    answer = row.get("answer")
    if isinstance(answer, str) and task is not GENERIC:
        return task.ask_again(row, prompt)
    named = task_named(DEFAULT_TASK) if task is GENERIC and prompt is not None else task
    text = named.question(str(row["prompt"]) if prompt is None else prompt, row)
    return Asked(text, str(answer or ""), str(answer or ""))


@lru_cache(maxsize=64)
def _replies(prompt: Prompt, choices: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(prompt.reply, choices))


def questions(rows: datasets.Dataset, prompt: str | None = None) -> list[Question]:
    """The question about each row of a dataset. Answers are restricted to a task's choices if all rows' are.

    Args:
        rows: with id, answer and (unless `prompt` is given) prompt; images are not looked at.
        prompt: instead of the rows' own; a name of the task's, or a text.

    Raises:
        DatasetError: a row without prompt or answer, or an answer that is none of the task's choices although
            most others are.
        SceneError: as `question` does.
    """
    names = recorded_tasks(rows)
    tasks = {name: task_of(name) for name in set(names)}
    plain = rows.remove_columns("image") if "image" in rows.column_names else rows
    made = [
        replace(question(_answered(row), tasks[name], prompt), task=name)
        for row, name in zip(plain, names, strict=True)
    ]
    ids = rows["id"][:]
    open_tasks = {name for name in tasks if not _closed([q for q in made if q.task == name])}
    for name in tasks.keys() - open_tasks:
        _refuse_strange(tasks[name], [(i, q) for i, q in zip(ids, made, strict=True) if q.task == name])
    return [replace(q, choices=None, replies=()) if q.task in open_tasks else q for q in made]


def _answered(row: Row) -> Row:
    if not isinstance(row.get("answer"), str) or not row["answer"]:
        raise DatasetError(f"row {row['id']} has no answer; fill it in or leave the row out")
    return row


def _closed(asked: Sequence[Question]) -> bool:
    """Whether most answers of a task are among its choices."""
    known = set(asked[0].choices or ())
    return 2 * sum(q.answer in known for q in asked) > len(asked)


def _refuse_strange(task: Task[Any], asked: Sequence[tuple[str, Question]]) -> None:
    choices = task.answers.choices or ()
    strange = [(id_, q.answer) for id_, q in asked if q.answer not in set(choices)]
    if strange:
        (id_, answer), more = strange[0], len(strange) - 1
        others = f" (nor are {more} more)" if more else ""
        shown = ", ".join(choices if len(choices) <= 12 else (*choices[:3], "...", choices[-1]))
        raise DatasetError(
            f"row {id_}: the answer {answer!r} is none of the {len(choices)} {task.answers.noun} of"
            f" {task.name} ({shown}){others}, as most others are; mend or remove the row"
        )


def with_ids(rows: datasets.Dataset) -> datasets.Dataset:
    """The rows with an id each; by default their numbers. Raises DatasetError if two share one."""
    if "id" not in rows.column_names:
        return rows.add_column("id", [str(i) for i in range(len(rows))])
    twice = [str(id_) for id_, count in Counter(rows["id"]).items() if count > 1]
    if twice:
        more = f" and {len(twice) - 1} more ids" if len(twice) > 1 else ""
        raise DatasetError(
            f"the dataset holds the id {twice[0]!r}{more} more than once; give every sample its own id"
        )
    return rows


def recorded_tasks(rows: datasets.Dataset) -> list[str]:
    """The name of each row's task: as recorded, or else as old data without tasks is understood.

    That is: of circled letters where most answers are letters, so that another one is a mistake, and of no
    known task where they are not.
    """
    recorded = rows["task"][:] if "task" in rows.column_names else [None] * len(rows)
    answers = [a for a, name in zip(rows["answer"][:], recorded, strict=True) if name is None]
    default = task_named(DEFAULT_TASK)
    usual = sum(answer in set(default.answers.choices or ()) for answer in answers)
    assumed = default if 2 * usual > len(answers) else task_of(None, answers, rows.column_names)
    names = {name: assumed.name if name is None else _ours(str(name)) for name in set(recorded)}
    return [names[name] for name in recorded]


def _ours(name: str) -> str:
    """Our name of a task that may have the benchmark's, or one that is unknown here."""
    task = task_of(name)
    return name if task is GENERIC else task.name


def rows_of_tasks(rows: datasets.Dataset, names: Sequence[str], flag: str = "--task") -> datasets.Dataset:
    """The rows of some tasks, by name; "all" stands for each.

    Raises:
        RecipeError: no row is of a task of that name; the message, which begins with `flag`, has the nearest
            one that is there.
    """
    recorded = recorded_tasks(rows)
    if "all" in names:
        return rows
    there = list(Counter(recorded))
    for name in names:
        if name not in there:
            raise RecipeError(f"{flag} {name}: {_hint(name, there)}")
    return rows.select([i for i, name in enumerate(recorded) if name in names])


def _hint(name: str, there: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, [*there, *task_names()], n=1, cutoff=0.6)
    listed = ", ".join(there)
    if name in task_names() or not near:
        return f"the data has no such task; it has {listed}"
    return f"no such task; did you mean {near[0]}? The data has {listed}"
