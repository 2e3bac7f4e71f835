"""The same samples, prompts and rules for any model that Inspect reaches; needs the extra `inspect`.

    inspect eval unblind/blindtest --model openai/gpt-4o -T limit=100
    inspect eval unblind/circled_letter --model openai/gpt-4o -T data=circles -T prompt=highlighted

Inspect calls the provider, retries, keeps to rate limits and writes the logs. Only free answers are measured:
providers give no probabilities of all the choices.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import datasets
import inspect_ai
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, GenerateConfig
from inspect_ai.scorer import (
    CORRECT,
    INCORRECT,
    Metric,
    Score,
    Scorer,
    Target,
    accuracy,
    grouped,
    scorer,
    stderr,
)
from inspect_ai.solver import TaskState, generate
from inspect_ai.util import registry_info

from unblind.data.columns import columns_named
from unblind.data.reading import read
from unblind.evaluation.questions import Question, questions, recorded_tasks, rows_of_tasks, with_ids
from unblind.models.collate import image_of, prepared
from unblind.scoring.rules import check_rule, rule_named
from unblind.tasks.base import ACCEPTED, Row
from unblind.tasks.registry import DEFAULT_TASK, task_of

BENCHMARK = "XAI/vlmsareblind"
F = TypeVar("F", bound=Callable[..., Any])
Metrics = list[Metric | dict[str, list[Metric]]]


def _registered(make: F) -> F:
    """Let Inspect know a task as `unblind/` and its name.

    Inspect adds the prefix in an editable install only if package and distribution have one name.
    """
    made: F = inspect_ai.task(make)
    if registry_info(made).name.startswith("unblind/"):
        return made
    renamed: F = inspect_ai.task(name=f"unblind/{make.__name__}")(make)
    return renamed


@_registered
def evaluate(
    data: str = BENCHMARK,
    split: str | None = None,
    task: str | list[str] = "all",
    prompt: str | None = None,
    rule: str = "exact",
    limit: int | None = None,
    columns: str | Sequence[str] = (),  # Inspect makes a list of a text with commas
) -> inspect_ai.Task:
    """Ask the questions of a dataset.

    Args:
        data: a dataset folder, a Parquet file, or the id of a dataset on the Hugging Face Hub.
        split: of the dataset; by default the held-out one.
        task: only the rows of this task, or of these.
        prompt: instead of the dataset's own; a name of the task's, or a text.
        rule: a name in `unblind.scoring.rules.RULES`; by default the answer alone, in its case.
        limit: only the first so many samples.
        columns: the dataset's names of image, prompt and answer, as "image=photo,answer=label".

    Raises:
        DatasetError: no rows, columns missing, an id twice, a broken image.
        RecipeError: an unknown rule, or one that a task does not have; no rows of a task.
        SceneError: the prompt asks for what only a row's scene tells, and it has none.
    """
    rows = _rows(data, split, task, rule, columns)
    return _asking(
        rows if limit is None else rows.select(range(min(int(limit), len(rows)))), data, prompt, rule
    )


@_registered
def circled_letter(
    data: str = BENCHMARK,
    split: str | None = None,
    prompt: str | None = None,
    rule: str = "exact",
    limit: int | None = None,
) -> inspect_ai.Task:
    """Which letter is circled? As `evaluate`, of that task alone."""
    return evaluate(data, split, DEFAULT_TASK, prompt, rule, limit)


@_registered
def blindtest(
    data: str = BENCHMARK,
    split: str | None = None,
    task: str | list[str] = "all",
    prompt: str | None = None,
    rule: str = "exact",
    limit: int | None = None,
) -> inspect_ai.Task:
    """Ask the questions of all tasks. As `evaluate`, with an accuracy for each of them and their `mean`.

    `limit` is the number of samples of each task, the first ones.
    """
    rows = _rows(data, split, task, rule)
    if limit is not None:
        rows = rows.select(_first_of_each(recorded_tasks(rows), int(limit)))
    by_task = [
        grouped(accuracy(), "task", all="groups", all_label="mean"),
        grouped(stderr(), "task", all=False, name_template="{group_name} stderr"),
    ]
    return _asking(rows, data, prompt, rule, [accuracy(), stderr(), *by_task])


def _first_of_each(names: Sequence[str], limit: int) -> list[int]:
    """The numbers of the first rows of each task."""
    seen: Counter[str] = Counter()
    first = []
    for i, name in enumerate(names):
        seen[name] += 1
        if seen[name] <= limit:
            first.append(i)
    return first


def _rows(
    data: str, split: str | None, task: str | list[str], rule: str, columns: str | Sequence[str] = ()
) -> datasets.Dataset:
    """The rows to ask about, each with an id."""
    check_rule(rule, "-T rule=...")  # before anything is read
    rows = with_ids(prepared(read(data, split, columns=columns_named(_listed(columns)))))
    return rows_of_tasks(rows, _listed(task), "-T task=...")


def _listed(texts: str | Sequence[str]) -> Sequence[str]:
    return [texts] if isinstance(texts, str) else texts


def _asking(
    rows: datasets.Dataset, data: str, prompt: str | None, rule: str, metrics: Metrics | None = None
) -> inspect_ai.Task:
    """The questions about some rows; `metrics` instead of the scorer's own."""
    asked = questions(rows, prompt)
    for name in {question.task for question in asked}:
        rule_named(rule, task_of(name), "-T rule=...")
    return inspect_ai.Task(
        dataset=MemoryDataset([_sample(row, q) for row, q in zip(rows, asked, strict=True)], name=data),
        solver=generate(),
        scorer=right_answer(rule),
        metrics=metrics,
        config=GenerateConfig(temperature=0),
    )


def _sample(row: Row, question: Question) -> Sample:
    picture = io.BytesIO()
    image_of(row).save(picture, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    known = {name: row[name] for name in task_of(question.task).own_columns if row.get(name) is not None}
    accepted = list(dict.fromkeys([question.answer or "", *(row.get(ACCEPTED) or [])]))
    return Sample(
        id=str(row["id"]),
        input=[ChatMessageUser(content=[ContentImage(image=uri), ContentText(text=question.text)])],
        target=accepted if accepted[1:] else accepted[0],
        metadata={**known, "task": question.task},
    )


@scorer(metrics=[accuracy(), stderr()])
def right_answer(rule: str = "exact") -> Scorer:
    """Whether a reply is right by a rule of `unblind.scoring.rules`, for the task that the sample is of."""

    async def score(state: TaskState, target: Target) -> Score:
        task = task_of(state.metadata["task"])
        reply = state.output.completion
        right = rule_named(rule, task)
        value = CORRECT if any(right(reply, answer) for answer in target) else INCORRECT
        return Score(value=value, answer=task.answers.parse(reply), explanation=reply)

    return score
