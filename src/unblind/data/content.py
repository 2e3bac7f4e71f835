"""What a dataset's rows are, wherever they lie: by this a resumed run knows its data again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from datasets import Dataset

TAIL = 4096  # bytes; a PNG's end holds checksums of all its pixels
_ROWS = 256


def content_of(sets: Iterable[Dataset]) -> str:
    """A hash of some datasets' rows: of each image its size and its last TAIL bytes, all else but ids whole.

    Args:
        sets: with the column `image`, of {bytes, path}. Ids may come from paths, so that they do not count.
    """
    key = hashlib.blake2b(digest_size=16)
    for dataset in sets:
        names = sorted(set(dataset.column_names) - {"id"})
        key.update(json.dumps([len(dataset), names]).encode())
        for table in dataset.select_columns(names).with_format("arrow").iter(_ROWS):
            for size, tail in _images(table["image"]):
                key.update(b"%d:" % size + tail)
            others = table.drop_columns(["image"]).to_pydict()
            key.update(json.dumps(others, sort_keys=True, default=str).encode())
    return key.hexdigest()


def _images(column: pa.ChunkedArray) -> Iterator[tuple[int, bytes]]:
    """Of each image the size and the last bytes; of one that is not there, (-1, b"")."""
    data = pc.struct_field(column, "bytes")
    sizes = pc.binary_length(data).to_pylist()
    tails = pc.binary_slice(data, -TAIL, None).to_pylist()
    for size, tail, path in zip(sizes, tails, pc.struct_field(column, "path").to_pylist(), strict=True):
        yield (size, tail) if size is not None else _file(path)


def _file(path: Any) -> tuple[int, bytes]:
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            return size, file.read()
    except (OSError, TypeError, ValueError):  # training names the row
        return -1, b""
