"""A table of predictions: read, checked, parted by task, and counted as right or wrong. No torch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

import pyarrow as pa
import pyarrow.parquet as pq

from unblind.errors import DatasetError
from unblind.scoring.rules import rule_named
from unblind.tasks.base import ACCEPTED, Row, Task
from unblind.tasks.registry import task_of

FILE = "predictions.parquet"
REQUIRED = ("id", "answer", "free", "restricted")
TWIN = {"answer": "twin_answer", "free": "twin_free", "restricted": "twin_restricted"}  # of contrast pairs
# Ours where they were asked for; a dataset may have columns of these names too, which mean something else.
ON_REQUEST = ("probability", "top5", "tokens_right", "blank", "uncircled", *TWIN.values())
_OWN = b"unblind.columns"  # in the schema's metadata: which of these evaluation has written


@dataclass(frozen=True)
class Answered:
    """A model's answers to the questions of one task; a row is a sample with all that is known of it."""

    task: Task[Any]
    rows: Sequence[Row]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def answers(self) -> list[str]:
        """The right ones."""
        return [row["answer"] for row in self.rows]

    @cached_property
    def accepted(self) -> list[list[str]]:
        """For each sample all answers that count: the right one, and those of several people."""
        return [[row["answer"], *_texts(row.get(ACCEPTED))] for row in self.rows]

    @property
    def restricted(self) -> bool:
        """Whether there are restricted answers; all questions of a task have them, or none."""
        return self.rows[0]["restricted"] is not None

    @property
    def expected(self) -> bool:
        """Whether the right answers are of the task's answer space, so that what the task knows applies."""
        return self.restricted or self.task.answers.choices is None

    @cached_property
    def replies(self) -> list[str | None]:
        """The answers that count: the restricted ones, or else the free ones, as the task reads them."""
        if self.restricted:
            return [row["restricted"] for row in self.rows]
        return [None if text is None else self.task.answers.parse(text) or text for text in self.free]

    @cached_property
    def free(self) -> list[str | None]:
        """The free replies."""
        return [_text(row, "free") for row in self.rows]

    @cached_property
    def hits(self) -> list[bool]:
        """For each sample, whether the answer that counts is right; all wrong without any."""
        if self.restricted:
            return self.restricted_hits()
        return self.free_hits() or [False] * len(self)

    def restricted_hits(self, column: str = "restricted") -> list[bool]:
        """For each sample, whether the likeliest of the choices is the answer.

        `column` is another column of such answers: `blank` or `uncircled`.
        """
        return [row.get(column) in known for row, known in zip(self.rows, self.accepted, strict=True)]

    def free_hits(self, rule: str = "exact") -> list[bool] | None:
        """For each sample, whether the free reply is the answer by a rule; None without free replies.

        Raises RecipeError for an unknown rule.
        """
        right = rule_named(rule, self.task)
        if all(reply is None for reply in self.free):
            return None
        return [
            reply is not None and any(right(reply, answer) for answer in known)
            for reply, known in zip(self.free, self.accepted, strict=True)
        ]

    @cached_property
    def probabilities(self) -> list[float | None]:
        """Of the restricted answers, in [0, 1]; None where it is not known."""
        return [_share(row.get("probability")) for row in self.rows]

    def confusions(self) -> dict[tuple[str, str], int]:
        """How often each pair of an answer and a wrong reply occurs, most frequent first."""
        pairs = zip(self.answers, self.replies, self.hits, strict=True)
        wrong = Counter((answer, reply) for answer, reply, hit in pairs if reply is not None and not hit)
        return dict(sorted(wrong.items(), key=lambda item: (-item[1], item[0])))


def read_predictions(source: Path) -> pa.Table:
    """The table in a predictions.parquet, or in the folder that holds one; checked, without foreign columns.

    Raises DatasetError, naming the file, if it is missing or damaged, and as `check` does.
    """
    path = source / FILE if source.is_dir() else source
    if not path.is_file():
        raise DatasetError(
            f"{source}: no predictions there; name a {FILE}, or the folder of a finished `unblind evaluate`"
        )
    try:
        table = pq.read_table(path, partitioning=None)
        table.validate(full=True)  # flipped bytes may leave text that is no UTF-8
        check(table)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DatasetError(f"{path} is no readable parquet file ({reason}); evaluate again") from error
    return without_foreign(table)


def check(predictions: pa.Table) -> None:
    """Raise DatasetError for predictions that are empty, lack a column or an answer, or hold an id twice.

    `restricted` may be null throughout a task (its answers cannot be listed), but not here and there.
    """
    missing = [name for name in REQUIRED if name not in predictions.column_names]
    if missing:
        there = ", ".join(predictions.column_names) or "none"
        raise DatasetError(
            f"predictions lack the column {missing[0]!r} (found: {there}); run `unblind evaluate` again"
        )
    if predictions.num_rows == 0:
        raise DatasetError("predictions are empty: evaluate at least one sample")
    ids = predictions["id"].to_pylist()
    twice = next((id_ for id_, count in Counter(ids).items() if count > 1), None)
    if twice is not None:
        raise DatasetError(f"predictions hold the id {twice!r} more than once; give every sample its own id")
    _check_texts(predictions.select(["id", "answer"]).to_pylist(), "answer")
    for answered in by_task(predictions).values():
        if any(row["restricted"] is not None for row in answered.rows):
            _check_texts(answered.rows, "restricted")


def _check_texts(rows: Sequence[Row], column: str) -> None:
    for row in rows:
        if not isinstance(row[column], str):
            raise DatasetError(f"predictions have no text as {column!r} at id {row['id']!r}")


def by_task(predictions: pa.Table) -> dict[str, Answered]:
    """The predictions of each task, by its name, in the order in which tasks first occur."""
    rows = without_foreign(predictions).to_pylist()
    unnamed = [row["answer"] for row in rows if row.get("task") is None]
    tasks = {
        name: task_of(name, unnamed, predictions.column_names)
        for name in dict.fromkeys(row.get("task") for row in rows)
    }
    parts: dict[str, tuple[Task[Any], list[Row]]] = {}
    for row in rows:
        task = tasks[row.get("task")]
        parts.setdefault(task.name, (task, []))[1].append(row)
    return {name: Answered(task, rows) for name, (task, rows) in parts.items()}


def with_own_columns(predictions: pa.Table, names: Iterable[str]) -> pa.Table:
    """The table with a note of which columns an evaluation has written, the dataset's own aside."""
    metadata = dict(predictions.schema.metadata or {})
    metadata[_OWN] = json.dumps(sorted(names)).encode()
    return predictions.replace_schema_metadata(metadata)


def without_foreign(predictions: pa.Table) -> pa.Table:
    """The table without columns of the dataset that only have the name of one of ours.

    Where there is no note of ours (`with_own_columns`), as in predictions of before, all are taken for ours.
    """
    note = (predictions.schema.metadata or {}).get(_OWN)
    if note is None:
        return predictions
    ours = json.loads(note)
    foreign = [name for name in ON_REQUEST if name in predictions.column_names and name not in ours]
    return predictions.drop_columns(foreign)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is an integer or a float, no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _share(value: Any) -> float | None:
    return float(value) if is_number(value) and 0 <= value <= 1 else None


def _text(row: Row, column: str) -> str | None:
    value = row.get(column)
    return value if isinstance(value, str) else None
