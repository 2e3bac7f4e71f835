"""How the rows of a dataset lie on the disk: Parquet shards, or PNG files with a metadata.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unblind.runtime.outputs import write_text
from unblind.tasks.base import Task

ROWS = ".rows.csv"


def parquet_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Columns by their types, with the note by which `datasets` knows that `image` holds images."""
    from datasets import Features, Image, Value

    features = {name: Image() if dtype == "image" else Value(dtype) for name, dtype in columns.items()}
    return Features(features).arrow_schema


def folder_columns(tasks: Sequence[Task[Any]], columns: Mapping[str, str]) -> dict[str, str]:
    """The columns of a metadata.csv, after `file_name`, each with the row's column that it is.

    A task alone may have a form of its own; `image_path` is the image's path in the dataset's folder.
    """
    if len(tasks) == 1 and tasks[0].folder_columns:
        return dict(tasks[0].folder_columns)
    return {name: name for name in columns if name not in ("id", "image", "scene")}


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
    """One Parquet file with `image` as {bytes, path}; PNG bytes are stored as they are."""
    table = pa.Table.from_pylist(list(rows), schema)
    texts = [name for name in schema.names if name != "image"]
    compression = {**dict.fromkeys(texts, "zstd"), "image.bytes": "none", "image.path": "zstd"}
    pq.write_table(table, path, compression=compression, use_dictionary=texts, write_statistics=texts)


def write_folder(
    folder: Path, path: str, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]
) -> None:
    """One folder of PNG files, and their rows of the coming metadata.csv.

    Args:
        folder: new.
        path: that it will have in the dataset folder, "train/00000".
        rows: each with `image`, {bytes, path}.
        columns: of the metadata.csv, as `folder_columns` gives them.
    """
    folder.mkdir()
    lines = []
    for row in rows:
        name = row["image"]["path"]
        (folder / name).write_bytes(row["image"]["bytes"])
        values = {**row, "image_path": f"{path}/{name}"}
        lines.append((f"{path.rpartition('/')[2]}/{name}", *(values[source] for source in columns.values())))
    (folder / ROWS).write_text(_csv(lines), encoding="utf-8", newline="")


def join_metadata(split_folder: Path, shards: Sequence[Path], columns: Iterable[str]) -> None:
    """The metadata.csv of a split whose folders of images are all there."""
    text = "".join((shard / ROWS).read_text(encoding="utf-8") for shard in shards)
    write_text(split_folder / "metadata.csv", _csv([("file_name", *columns)]) + text)


def size_of(shard: Path) -> int:
    """Bytes of a shard's files; 0 if it is not there yet."""
    if shard.is_dir():
        return sum(path.stat().st_size for path in shard.iterdir())
    return shard.stat().st_size if shard.exists() else 0


def _csv(lines: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()
