"""Replies that other programs saved, as predictions: tables, lmms-eval, VLMEvalKit, Inspect. No torch."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unblind.data.columns import commonest, texts_of
from unblind.data.tables import SUFFIXES, read_pieces
from unblind.errors import DatasetError
from unblind.runtime.versions import install_command
from unblind.scoring.predictions import FILE, REQUIRED, check, read_predictions
from unblind.tasks.base import ACCEPTED, Row
from unblind.tasks.registry import task_of

# What others call our columns; the first that is there counts.
NAMES = {
    "free": (
        *("free", "reply", "prediction", "predictions", "response", "resps", "filtered_resps", "output"),
        *("completion", "pred", "model_response", "model_output", "model_answer", "generated_text"),
    ),
    "answer": ("answer", "answers", "target", "groundtruth", "ground_truth", "gt", "reference", "label"),
    "id": ("id", "index", "doc_id", "question_id", "sample_id", "uid"),
    "prompt": ("prompt", "question", "input", "query"),
    "task": ("task",),
}
_MAX_BYTES = 2**30  # of an unpacked workbook


def read_replies(source: Path, columns: Mapping[str, str] | None = None, task: str | None = None) -> pa.Table:
    """The replies in a file, as the predictions that `unblind.scoring` takes.

    Args:
        source: what `unblind evaluate` left; or a Parquet, CSV, TSV, JSON or JSON-lines file, such as
            lmms-eval's `*_samples_*.jsonl`; a workbook (.xlsx), as VLMEvalKit writes it; or an Inspect log
            (.eval, .json).
        columns: ours (`reply`, `answer`, `id`, `prompt`, `task`) to those of the file, where they have names
            that are in none of `NAMES`.
        task: of the rows for which the file names none.

    Returns:
        The columns id, task, prompt, answer (the bare one), free, restricted (null), and the file's others,
        as far as they are texts or numbers. Without ids the rows are numbered.

    Raises:
        DatasetError: missing, damaged, no column with replies or answers, or as `check` does.
    """
    columns = {"free" if ours == "reply" else ours: theirs for ours, theirs in (columns or {}).items()}
    if source.is_dir() or not source.exists() or (not columns and _is_ours(source)):
        return read_predictions(source)
    rows = [_flat(row) for row in _rows(source)]
    if not rows:
        raise DatasetError(f"{source}: has no rows; name a file with replies")
    names = {ours: _column(ours, rows, columns, source) for ours in NAMES}
    ours = [_ours(row, names, f"{source}, row {n}") for n, row in enumerate(rows)]
    table = _predictions([row | {"task": row["task"] or task} for row in ours])
    try:
        check(table)
    except DatasetError as error:
        raise DatasetError(f"{source}: {error}") from None
    return table


def _is_ours(source: Path) -> bool:
    if source.suffix != ".parquet":
        return False
    try:
        return source.name == FILE or set(REQUIRED) <= set(pq.read_schema(source).names)
    except (OSError, ValueError, pa.ArrowException):
        return True  # reading it says what is wrong


def _rows(source: Path) -> list[Row]:
    suffix = source.suffix.lower()
    if suffix == ".eval" or (suffix == ".json" and _is_inspect_log(source)):
        return list(_inspect_samples(source))
    if suffix == ".xlsx":
        return list(_workbook_rows(source))
    if suffix not in SUFFIXES:
        known = ", ".join([*(ending for ending in SUFFIXES if ending != ".tar"), ".xlsx", ".eval"])
        raise DatasetError(f"{source}: no file with replies; name one that ends in {known}")
    table = next(read_pieces(source))
    images = [name for name in table.column_names if name in ("image", "images")]
    return table.drop_columns(images).to_pylist()  # type: ignore[no-any-return]


def _is_inspect_log(source: Path) -> bool:
    try:
        log = json.loads(source.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False  # reading it as rows says what is wrong
    return isinstance(log, dict) and {"eval", "samples"} <= log.keys()


def _inspect_samples(source: Path) -> Iterator[Row]:
    """The samples of an Inspect log; those that failed have no reply."""
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise DatasetError(f"{source}: an Inspect log; run: {install_command('inspect')}") from error
    try:
        log = read_eval_log(str(source))
    except Exception as error:  # what a damaged log leads its reader to
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise DatasetError(f"{source}: cannot be read as an Inspect log ({reason}); copy it again") from None
    for sample in log.samples or []:
        metadata = {name: value for name, value in sample.metadata.items() if name not in NAMES["free"]}
        epoch = f"#{sample.epoch}" if sample.epoch > 1 else ""
        target = sample.target if isinstance(sample.target, str) else list(sample.target)
        yield {
            **metadata,
            "id": f"{sample.id}{epoch}",
            "prompt": sample.input if isinstance(sample.input, str) else sample.input[-1].text,
            "answer": target,
            "reply": sample.output.completion,
        }


def _workbook_rows(source: Path) -> Iterator[Row]:
    """The rows of a workbook's first sheet, by the names in its first row."""
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise DatasetError(f"{source}: a workbook; run: {install_command('xlsx')}") from error
    try:
        with zipfile.ZipFile(source) as archive:
            if sum(part.file_size for part in archive.infolist()) > _MAX_BYTES:
                raise DatasetError(f"{source}: unpacks to more than 1 GiB; save it as CSV")
        book = load_workbook(source, read_only=True, data_only=True)
        names, *rows = book.worksheets[0].iter_rows(values_only=True)
        book.close()
    except DatasetError:
        raise
    except Exception as error:  # what a damaged workbook leads its reader to
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise DatasetError(f"{source}: not a readable workbook ({reason}); save it as CSV") from None
    for row in rows:
        yield {str(name): value for name, value in zip(names, row, strict=False) if name is not None}


def _flat(row: Row) -> dict[str, Any]:
    """A row with what lmms-eval keeps in its `doc`, and the task that its metrics name."""
    doc, by_task = (_object(row.get(name)) for name in ("doc", "accuracy_by_task"))
    task = {"task": by_task["task"]} if "task" in by_task else {}
    return {**doc, **task, **{name: value for name, value in row.items() if name != "doc"}}


def _object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def _column(ours: str, rows: Sequence[Row], columns: Mapping[str, str], source: Path) -> str | None:
    """What the file calls a column of ours; None for one that need not be there."""
    there = dict.fromkeys(name for row in rows for name in row)
    if ours in columns:
        if columns[ours] in there:
            return columns[ours]
        raise DatasetError(
            f"{source}: has no column {columns[ours]!r}; it has {', '.join(there)} (--columns)"
        )
    named = next((name for name in NAMES[ours] if name in there), None)
    if named is None and ours in ("free", "answer"):
        what, flag = ("replies", "reply") if ours == "free" else ("right answers", "answer")
        raise DatasetError(
            f"{source}: no column with {what} among {', '.join(there)}; name it (--columns {flag}=NAME)"
        )
    return named


def _ours(row: Row, names: Mapping[str, str | None], source: str) -> dict[str, Any]:
    """A row with our columns, and what else it knows."""
    theirs = set(names.values())
    ours: dict[str, Any] = {
        name: value
        for name, value in row.items()
        if name not in theirs and name not in NAMES and isinstance(value, (str, int, float))
    }
    for name, column in names.items():
        ours[name] = None if column is None else row.get(column)
    ours["free"] = _reply(ours["free"], source)
    answer = ours["answer"]
    if isinstance(answer, list):
        ours[ACCEPTED], answer = texts_of(answer), commonest(answer)
    if answer is None or not str(answer).strip():
        raise DatasetError(f"{source}: no answer; fill it in, or remove the row")
    ours["answer"] = str(answer).strip()
    for name in ("task", "prompt"):
        ours[name] = ours[name] if ours[name] is None else str(ours[name])
    return ours


def _reply(value: Any, source: str) -> str | None:
    """The text of a reply, which may lie in lists of one, as lmms-eval has it."""
    while isinstance(value, list) and value:
        value = value[0]
    if value is None or value == []:
        return None
    if isinstance(value, (Mapping, list)):
        raise DatasetError(f"{source}: its reply is no text; name another column (--columns reply=NAME)")
    return str(value)


def _predictions(rows: list[dict[str, Any]]) -> pa.Table:
    """The table: ids, which are numbers where there are none or none of their own, and bare answers."""
    ids = [None if row["id"] is None else str(row["id"]) for row in rows]
    if None in ids or max(Counter(ids).values()) > 1:
        ids = [str(number) for number in range(len(rows))]
    unnamed = [row["answer"] for row in rows if row["task"] is None]
    tasks = {name: task_of(name, unnamed) for name in {row["task"] for row in rows}}
    for id_, row in zip(ids, rows, strict=True):
        task = tasks[row["task"]]
        row |= {"id": id_, "answer": task.answers.parse(row["answer"]) or row["answer"], "restricted": None}
        row["task"] = row["task"] and task.name
    columns = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _array(name, [row.get(name) for row in rows]) for name in columns})


def _array(name: str, values: list[Any]) -> pa.Array:
    if name in (*NAMES, "restricted"):
        return pa.array(values, pa.string())
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
