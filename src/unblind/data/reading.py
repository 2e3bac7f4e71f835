"""Reading datasets, ours and others'. `generation` makes ours."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from unblind.data.arrow_cache import rows_where
from unblind.data.features import features_of
from unblind.data.sources import find
from unblind.data.splits import SPLIT_NAMES
from unblind.errors import DatasetError
from unblind.tasks.registry import DEFAULT_TASK, TASKS, benchmark_task, task_of

if TYPE_CHECKING:
    from datasets import Dataset

_NEEDED = ("image", "prompt", "answer")
_IMAGE_MARK = r"^\s*<image>\s*|\s*<image>\s*$"  # where LLaVA's and others' prompts say that an image comes
_CLASSES: dict[str, type] = {"bool": bool, "int": int, "float": float, "string": str}


def splits(source: str | Path, columns: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The names of a dataset's splits, as its files' names tell; "train" for a file of no such name.

    Raises:
        DatasetError: nothing there, incomplete, several files whose names say nothing, no network.
    """
    return tuple(find(source, columns))


def read(
    source: str | Path, split: str | None = None, *, columns: Mapping[str, str] | None = None
) -> Dataset:
    """Read a dataset.

    Args:
        source: a folder that `generate` made; a Parquet, CSV or JSON file, or a folder of them; a folder with
            images and a metadata.csv, .jsonl or .parquet, or with a folder of images for each answer; what
            `save_to_disk` of `datasets` wrote; or the id of a dataset on the Hugging Face Hub, with `:config`
            where it has several. It needs the columns `image`, `prompt`, `answer`, or those of
            XAI/vlmsareblind (`groundtruth`), of Roboflow (`prefix`, `suffix`), of VQAv2 (`question`,
            `answers`), LLaVA's `conversations`, or chat `messages`. Of that benchmark's tasks those that are
            known here are kept, under our names, and its `metadata` is spread over columns; `published` is
            JSON, {model: {question: whether its answer was right}}.
        split: its name; "validation" also finds "valid", "val" and "dev". None: the held-out one, which is
            test, or else validation, or else the only one there is.
        columns: the source's names of `image`, `prompt` and `answer`, where they are others. A text with
            spaces that is no column's name is the prompt of all rows.

    Returns:
        The columns `id` (where the source has none: the image's name or path, or the row's number), `task`
        where the source records it, `image` (`datasets.Image`: decoded when looked at), `prompt`, `answer`
        (the names of classes; both without space at their ends), then its others. For errors that name the
        row of a broken image, cast the column to `datasets.Image(decode=False)` and use
        `images.decode_image`.

    Raises:
        DatasetError: nothing there, no such split, incomplete, damaged, columns or values missing, no rows,
            an image path that leads outside the dataset's folder, no network.
    """
    from datasets import Dataset, Image

    loaders = find(source, columns)
    name = _choose(source, list(loaders), split)
    table = _tidy(loaders[name](), f"{source} ({name})")
    features = features_of(table.schema)
    features["image"] = Image()
    # a name of its own for the cache of `map`; the default would hash every image
    return Dataset(table.cast(features.arrow_schema), fingerprint=uuid.uuid4().hex[:16])


def _choose(source: str | Path, names: list[str], wanted: str | None) -> str:
    if wanted is None:
        candidates = [*SPLIT_NAMES["test"], *SPLIT_NAMES["validation"], *(names if len(names) == 1 else [])]
    else:
        candidates = [wanted, *SPLIT_NAMES.get(wanted, ())]
    for name in candidates:
        if name in names:
            return name
    what = "split that is held out" if wanted is None else f"split '{wanted}'"
    raise DatasetError(f"{source} has no {what}; it has {', '.join(names)}: name one of these (--split)")


def _tidy(table: pa.Table, source: str) -> pa.Table:
    """The columns that `read` promises, in its order."""
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        raise DatasetError(
            f"{source}: lacks {', '.join(missing)}; needed are the columns image, prompt and answer,"
            f" found are {', '.join(table.column_names) or 'none'}: name yours (--columns prompt=...)"
        )
    if not len(table):
        raise DatasetError(f"{source}: has no rows; name another dataset or split")
    if "id" not in table.column_names:
        table = table.append_column("id", pa.array(range(len(table))))
    table = _our_tasks(table)
    for name in ("id", "prompt", "answer"):
        table = _put(table, name, _texts(table, name, source))
    table = _spread_metadata(table)
    first = [name for name in ("id", "task", *_NEEDED) if name in table.column_names]
    return table.select([*first, *(name for name in table.column_names if name not in first)])


def _our_tasks(table: pa.Table) -> pa.Table:
    """The benchmark's tasks by our names, without those that are not known here; other data as it is."""
    if "task" not in table.column_names:
        return table
    names = [None if name is None else str(name) for name in table["task"].to_pylist()]
    ours = {name: known for name in set(names) if name and (known := benchmark_task(name))}
    if ours.keys() <= set(TASKS):
        return table
    table = _put(table, "task", pa.array([ours.get(name or "", name) for name in names], pa.string()))
    return rows_where(table, [name in ours or name in TASKS for name in names])


def _texts(table: pa.Table, name: str, source: str) -> pa.ChunkedArray:
    column = table[name]
    try:
        texts = column.cast(pa.string())
    except pa.ArrowException:
        raise DatasetError(f"{source}: the column '{name}' holds {column.type}; it needs text") from None
    if name == "prompt":
        texts = pc.replace_substring_regex(texts, _IMAGE_MARK, "")
    if name != "id":
        texts = pc.utf8_trim_whitespace(texts)
    bad = pc.or_(pc.is_null(texts), pc.equal(pc.utf8_trim_whitespace(pc.fill_null(texts, "")), ""))
    row = pc.index(bad, True).as_py()
    if row >= 0:
        number = row if name == "id" else table["id"][row]
        raise DatasetError(f"{source}, row {number}: no {name}; fill it in, or remove the row")
    return texts


def _spread_metadata(table: pa.Table) -> pa.Table:
    """The benchmark's `metadata`, a JSON object, as columns; what a row lacks is null."""
    if "metadata" not in table.column_names:
        return table
    objects = [_object(text) for text in table["metadata"].to_pylist()]
    names = table["task"].to_pylist() if "task" in table.column_names else [None] * len(table)
    names = [str(name or DEFAULT_TASK) for name in names]
    tasks = {name: task_of(name) for name in set(names)}
    known = [
        {
            **tasks[name].benchmark_columns({**metadata, "groundtruth": answer, "prompt": prompt}),
            "published": _published(metadata.get("published")),
        }
        for name, metadata, answer, prompt in zip(
            names, objects, table["answer"].to_pylist(), table["prompt"].to_pylist(), strict=True
        )
    ]
    dtypes = {name: dtype for task in tasks.values() for name, dtype in task.own_columns.items()}
    for name in dict.fromkeys(name for row in known for name in row):
        column = _column([row.get(name) for row in known], dtypes.get(name))
        if name not in table.column_names and column.null_count < len(column):
            table = table.append_column(name, column)
    return table


def _column(values: list[Any], dtype: str | None) -> pa.Array:
    """Values as a column of a task's type; of the first one's type where the task names none."""
    if dtype is None:
        first = next((value for value in values if value is not None), None)
        dtype = {bool: "bool", int: "int64", float: "float64"}.get(type(first), "string")
    return pa.array([_value(value, dtype) for value in values], pa.type_for_alias(dtype))


def _value(value: Any, dtype: str) -> Any:
    """A value of someone's metadata; None where it cannot be of this type."""
    try:
        value = None if value is None else _CLASSES[dtype.rstrip("0123456789")](value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if isinstance(value, int) and not -(2**63) <= value < 2**63 else value


def _published(results: Any) -> str | None:
    """Whether published models were right on this image, as JSON {model: {question: bool}}.

    The benchmark's files have {"model | question": bool}.
    """
    if not isinstance(results, dict):
        return None
    models: dict[str, dict[str, bool]] = {}
    for name, right in results.items():
        model, bar, question = name.partition(" | ")
        if bar and isinstance(right, bool):
            models.setdefault(model, {})[question] = right
    return json.dumps(models) if models else None


def _object(text: Any) -> dict[str, Any]:
    """What the JSON text holds; nothing where it is no object: elsewhere `metadata` may be anything."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _put(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)
