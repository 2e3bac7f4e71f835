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

COLUMNS = {
    "id": "string",
    "image": "image",
    "prompt": "string",
    "answer": "string",
    "word": "string",
    "letter": "string",
    "index": "int64",
    "font": "string",
    "ambiguous": "bool",
    "scene": "string",
}
# `datasets` finds the image by `file_name`; the other four are the original notebook's.
METADATA_COLUMNS = {
    "file_name": "string",
    "word": "string",
    "circled_letter": "string",
    "circled_index": "int64",
    "image_path": "string",
}
ROWS = ".rows.csv"


def parquet_schema() -> pa.Schema:
    """The columns, with the note by which `datasets` knows that `image` holds images."""
    from datasets import Features, Image, Value

    features = {name: Image() if dtype == "image" else Value(dtype) for name, dtype in COLUMNS.items()}
    return Features(features).arrow_schema


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
    """One Parquet file with `image` as {bytes, path}; PNG bytes are stored as they are."""
    table = pa.Table.from_pylist(list(rows), schema)
    texts = [name for name in COLUMNS if name != "image"]
    compression = {**dict.fromkeys(texts, "zstd"), "image.bytes": "none", "image.path": "zstd"}
    pq.write_table(table, path, compression=compression, use_dictionary=texts, write_statistics=texts)


def write_folder(folder: Path, place: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """One folder of PNG files, and their rows of the coming metadata.csv.

    Args:
        folder: new.
        place: where it will lie in the dataset folder, "train/00000".
        rows: as in COLUMNS.
    """
    folder.mkdir()
    lines = []
    for row in rows:
        name = row["image"]["path"]
        (folder / name).write_bytes(row["image"]["bytes"])
        subfolder = place.rpartition("/")[2]
        lines.append((f"{subfolder}/{name}", row["word"], row["letter"], row["index"], f"{place}/{name}"))
    (folder / ROWS).write_text(_csv(lines), encoding="utf-8", newline="")


def join_metadata(split_folder: Path, shards: Sequence[Path]) -> None:
    """The metadata.csv of a split whose folders of images are all there."""
    text = "".join((shard / ROWS).read_text(encoding="utf-8") for shard in shards)
    write_text(split_folder / "metadata.csv", _csv([tuple(METADATA_COLUMNS)]) + text)


def size_of(shard: Path) -> int:
    """Bytes of a shard's files; 0 if it is not there yet."""
    if shard.is_dir():
        return sum(path.stat().st_size for path in shard.iterdir())
    return shard.stat().st_size if shard.exists() else 0


def _csv(lines: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()
