"""Rows that are more than the memory should hold: written once as Arrow files, and mapped into it.

They lie beside the caches of `datasets`, under HF_DATASETS_CACHE. Mapped pages are the operating system's to
drop and to read again, and all processes of a run share them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import pyarrow as pa
from filelock import FileLock

from unblind.errors import OutputError
from unblind.runtime.outputs import atomic

IN_MEMORY = 256 * 2**20  # bytes of a split's files; those of a larger one are mapped
PIECE = 32 * 2**20  # bytes that are read and written at once
_FORMAT = 1  # of what is written; files of another one are made again


def mapped(path: Path, pieces: Iterable[pa.Table], about: object) -> pa.Table:
    """The rows that `pieces` yields, from files that are made once and mapped into memory.

    Args:
        path: the file that the pieces are read from; they are read again when its size or time has changed.
        pieces: tables; where one has other columns than that before it, a new file begins.
        about: what else decides the rows; something that JSON can hold.

    Raises:
        OutputError: the cache cannot be written.
        DatasetError: as the pieces do.
    """
    folder = _folder(path, about)
    place = folder.parent
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_suffix(".lock")):
            if not folder.is_dir():
                for older in place.iterdir():
                    shutil.rmtree(older, ignore_errors=True)
                with atomic(folder) as new:
                    _write(new, pieces)
    except (OSError, OutputError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition(";")[0]
        raise OutputError(
            f"{path} is mapped from a copy in {place}, which cannot be made ({reason}); free some space, or"
            " name another folder for it (the environment variable HF_DATASETS_CACHE)"
        ) from error
    return pa.concat_tables(map(_map, sorted(folder.iterdir())), promote_options="permissive")


def is_written(path: Path, about: object) -> bool:
    """Whether the files are there that `mapped` takes for these arguments."""
    return _folder(path, about).is_dir()


def rows_where(table: pa.Table, wanted: Iterable[bool]) -> pa.Table:
    """The rows that are wanted. Of a large table they are views: a copy would leave the mapped files."""
    if table.nbytes <= IN_MEMORY:
        return table.filter(pa.array(wanted, pa.bool_()))
    views, start = [table.slice(0, 0)], 0
    for keep, run in groupby(wanted):
        length = sum(1 for _ in run)
        if keep:
            views.append(table.slice(start, length))
        start += length
    return pa.concat_tables(views)


def _folder(path: Path, about: object) -> Path:
    """A folder for each file and what else decides its rows, and in it one for each state of the file."""
    from datasets import config

    file = path.stat()
    state = _digest([_FORMAT, file.st_size, file.st_mtime_ns])
    return Path(config.HF_DATASETS_CACHE) / "unblind" / _digest([str(path.resolve()), about]) / state


def _digest(value: object) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).hexdigest()


def _write(folder: Path, pieces: Iterable[pa.Table]) -> None:
    folder.mkdir()
    for number, (schema, tables) in enumerate(groupby(pieces, lambda piece: piece.schema)):
        with pa.ipc.new_stream(folder / f"{number:06d}.arrow", schema) as file:
            for table in tables:
                file.write_table(table)


def _map(path: Path) -> pa.Table:
    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
