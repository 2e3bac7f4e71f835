"""A table of predictions: read, checked, and counted as right or wrong. No torch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unblind.errors import DatasetError
from unblind.scoring.rules import rule_named

FILE = "predictions.parquet"
REQUIRED = ("id", "answer", "free", "restricted")


def read_predictions(source: Path) -> pa.Table:
    """The table in a predictions.parquet, or in the folder that holds one; checked.

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
    return table


def check(predictions: pa.Table) -> None:
    """Raise DatasetError for predictions that are empty, lack a column or an answer, or hold an id twice.

    `restricted` may be null throughout (answers longer than a letter), but not here and there.
    """
    missing = [name for name in REQUIRED if name not in predictions.column_names]
    if missing:
        found = ", ".join(predictions.column_names) or "none"
        raise DatasetError(
            f"predictions lack the column {missing[0]!r} (found: {found}); run `unblind evaluate` again"
        )
    if predictions.num_rows == 0:
        raise DatasetError("predictions are empty: evaluate at least one sample")
    ids = predictions["id"].to_pylist()
    twice = next((id_ for id_, count in Counter(ids).items() if count > 1), None)
    if twice is not None:
        raise DatasetError(f"predictions hold the id {twice!r} more than once; give every sample its own id")
    for name in ("answer", "restricted"):
        values = texts(predictions, name)
        if name == "restricted" and predictions[name].null_count == len(values):
            continue
        if None in values:
            raise DatasetError(f"predictions have no text as {name!r} at id {ids[values.index(None)]!r}")


def column(table: pa.Table, name: str) -> list[Any]:
    """A column's values; all None if it is absent."""
    return table[name].to_pylist() if name in table.column_names else [None] * table.num_rows


def texts(table: pa.Table, name: str) -> list[str | None]:
    """A column as texts; None for all else."""
    return [value if isinstance(value, str) else None for value in column(table, name)]


def integers(table: pa.Table, name: str) -> list[int | None]:
    """A column as integers; None for all else."""
    return [
        value if isinstance(value, int) and not isinstance(value, bool) else None
        for value in column(table, name)
    ]


def shares(table: pa.Table, name: str) -> list[float | None]:
    """A column as numbers in [0, 1]; None for all else."""
    return [
        float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
        else None
        for value in column(table, name)
    ]


def restricted_hits(predictions: pa.Table, name: str = "restricted") -> list[bool]:
    """For each sample, whether the best of the 52 letters is the answer (case counts).

    `name` is another column of such letters: `blank` or `uncircled`.
    """
    return [a == r for a, r in zip(texts(predictions, "answer"), texts(predictions, name), strict=True)]


def free_hits(predictions: pa.Table, rule: str = "exact") -> list[bool] | None:
    """For each sample, whether the free reply is the answer by a rule of `RULES`; None without free replies.

    Raises RecipeError for an unknown rule.
    """
    right = rule_named(rule)
    replies = texts(predictions, "free")
    if all(reply is None for reply in replies):
        return None
    return [
        reply is not None and answer is not None and right(reply, answer)
        for answer, reply in zip(texts(predictions, "answer"), replies, strict=True)
    ]
