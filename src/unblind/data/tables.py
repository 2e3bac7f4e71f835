"""Files with the rows of a dataset -> raw Arrow tables: Parquet, CSV of any kind, JSON, JSON lines, tars."""

from __future__ import annotations

import codecs
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from unblind.data.image_column import is_text
from unblind.data.images import LFS
from unblind.data.tars import tar_samples
from unblind.errors import DatasetError

SUFFIXES = {".parquet": "Parquet", ".csv": "CSV", ".tsv": "CSV", ".json": "JSON", ".jsonl": "JSON"}
SUFFIXES |= {".tar": "tar"}
_DELIMITERS = ",;\t|"
_TEXTS = (
    *("file_name", "image_path", "image", "id", "task", "word", "prompt", "question", "prefix"),
    *("answer", "suffix", "groundtruth", "circled_letter", "split", "label"),
)
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def bytes_of(path: Path) -> int:
    """About how many bytes of memory the file's rows take."""
    if path.suffix.lower() == ".parquet":
        with suppress(OSError, pa.ArrowException, ValueError):
            about = pq.read_metadata(path)
            return sum(max(about.row_group(i).total_byte_size, 0) for i in range(about.num_row_groups))
    return path.stat().st_size if path.exists() else 0


def read_pieces(path: Path, size: int | None = None) -> Iterator[pa.Table]:
    """The file's rows as they are.

    Args:
        path: the file.
        size: about how many bytes a piece has, where the whole would be too large; a JSON list comes whole.

    Raises:
        DatasetError: it cannot be read, or is not what its name says.
    """
    kind = SUFFIXES[path.suffix.lower()]
    try:
        _refuse_pointer(path)
        if size is None or path.suffix.lower() == ".json":
            read = {"Parquet": _read_parquet, "CSV": _read_csv, "JSON": _read_json, "tar": _read_tar}
            yield read[kind](path)
        else:
            pieces = {
                "Parquet": _parquet_pieces,
                "CSV": _csv_pieces,
                "JSON": _json_pieces,
                "tar": _tar_pieces,
            }
            yield from pieces[kind](path, size)
    except OSError as error:
        if error.errno is None:  # pyarrow's own
            raise _damaged(path, kind, error) from None
        raise DatasetError(
            f"{path}: cannot be read ({error.strerror}); check the file and its permissions"
        ) from None
    except (pa.ArrowException, tarfile.TarError, ValueError, RecursionError) as error:
        raise _damaged(path, kind, error) from None


def _damaged(path: Path, kind: str, error: Exception) -> DatasetError:
    reason = str(error).partition("\n")[0]
    if kind == "CSV":
        return DatasetError(f"{path}: not a readable CSV file ({reason}); make it again")
    return DatasetError(f"{path}: damaged, or not a {kind} file ({reason}); make it again")


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(LFS)) == LFS:
            raise DatasetError(f"{path}: a Git LFS pointer, not the file itself; run `git lfs pull`")


def _read_parquet(path: Path) -> pa.Table:
    _refuse_too_many_rows(path)
    table = pq.read_table(path, partitioning=None)
    table.validate(full=True)  # flipped bytes may leave text that is no UTF-8
    return table


def _refuse_too_many_rows(path: Path) -> None:
    rows, size = pq.read_metadata(path).num_rows, path.stat().st_size
    if rows > size:  # one value, said to occur a billion times, would fill the memory
        raise DatasetError(f"{path}: claims {rows:,} rows in {size:,} bytes, too few for images")


def _parquet_pieces(path: Path, size: int) -> Iterator[pa.Table]:
    _refuse_too_many_rows(path)
    with pq.ParquetFile(path, buffer_size=2**20) as file:  # else a row group's column is read at once
        if not file.metadata.num_rows:
            yield file.schema_arrow.empty_table()
        rows = size * file.metadata.num_rows // max(bytes_of(path), 1)
        for batch in file.iter_batches(min(max(rows, 1), 1000), use_threads=False):
            table = pa.Table.from_batches([batch], file.schema_arrow)
            table.validate(full=True)
            yield table


def _read_tar(path: Path) -> pa.Table:
    return _table_of(list(tar_samples(path)), path)


def _tar_pieces(path: Path, size: int) -> Iterator[pa.Table]:
    rows: list[Any] = []
    first = length = 0
    for row in tar_samples(path):
        rows.append(row)
        length += len(row.get("image") or b"")
        if length >= size:
            yield _table_of(rows, path, first)
            rows, first, length = [], first + len(rows), 0
    if rows or not first:
        yield _table_of(rows, path, first)


def _read_csv(path: Path) -> pa.Table:
    text = _text(path)
    header = text.lstrip().partition("\n")[0]
    parse = pa.csv.ParseOptions(delimiter=max(_DELIMITERS, key=header.count), newlines_in_values=True)
    convert = pa.csv.ConvertOptions(column_types=dict.fromkeys(_TEXTS, pa.string()))
    data = text.encode()
    read = pa.csv.ReadOptions(block_size=min(max(len(data), 1), 2**31 - 1))  # a row may hold an image
    return _empty_as_null(pa.csv.read_csv(pa.BufferReader(data), read, parse, convert))


def _csv_pieces(path: Path, size: int) -> Iterator[pa.Table]:
    encoding = _encoding(path)
    with path.open(encoding=encoding, newline="\n") as file:
        header = next((line for line in file if line.strip()), "")
    parse = pa.csv.ParseOptions(delimiter=max(_DELIMITERS, key=header.count), newlines_in_values=True)
    read = pa.csv.ReadOptions(block_size=size, encoding=encoding.removesuffix("-sig"), use_threads=False)
    types = dict.fromkeys(_TEXTS, pa.string())

    def opened() -> pa.csv.CSVStreamingReader:
        return pa.csv.open_csv(path, read, parse, pa.csv.ConvertOptions(column_types=types))

    try:  # a column's type is that of its first values
        for _ in opened():
            pass
    except pa.ArrowInvalid:
        types |= dict.fromkeys(opened().schema.names, pa.string())
    for batch in opened():
        yield _empty_as_null(pa.Table.from_batches([batch]))


def _encoding(path: Path) -> str:
    """As `_text` takes it, found without holding the file."""
    with path.open("rb") as file:
        start = file.read(4)
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding
    try:
        with path.open(encoding="utf-8") as text:
            while text.read(2**20):
                pass
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _text(path: Path) -> str:
    """The text of a file in UTF-8 or UTF-16 with its mark, else UTF-8, else Latin-1."""
    data = path.read_bytes()
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _empty_as_null(table: pa.Table) -> pa.Table:
    """A CSV file has no other way to say that a row lacks a text; the word `null` stays a word."""
    for i, name in enumerate(table.column_names):
        if is_text(table[name].type):
            column = pc.if_else(pc.equal(table[name], ""), pa.scalar(None, table[name].type), table[name])
            table = table.set_column(i, name, column)
    return table


def _read_json(path: Path) -> pa.Table:
    """A list of objects, objects line by line, or an object in which one list of them is."""
    return _table_of(_objects(path), path)


def _json_pieces(path: Path, size: int) -> Iterator[pa.Table]:
    rows: list[Any] = []
    first = length = 0
    with path.open(encoding=_encoding(path), newline="\n") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            rows.append(_line(line, path, number))
            length += len(line)
            if length >= size:
                yield _table_of(rows, path, first)
                rows, first, length = [], first + len(rows), 0
    if rows or not first:
        yield _table_of(rows, path, first)


def _table_of(rows: Sequence[Any], path: Path, first_row: int = 0) -> pa.Table:
    for number, row in enumerate(rows, first_row):
        if not isinstance(row, dict):
            raise DatasetError(f"{path}, row {number}: no JSON object; each row needs names and values")
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _column([row.get(name) for row in rows]) for name in names})


def _objects(path: Path) -> list[Any]:
    text = _text(path)
    if path.suffix.lower() == ".json":
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            if error.msg != "Extra data" or not text.lstrip().startswith("{"):
                raise
        else:
            return _listed(value, path)
    return [_line(line, path, number) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _line(line: str, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise DatasetError(
            f"{path}, line {number}: not JSON ({error}); mend the line, or remove it"
        ) from None


def _listed(value: Any, path: Path) -> list[Any]:
    if isinstance(value, list):
        return value
    lists = [one for one in value.values() if isinstance(one, list)] if isinstance(value, Mapping) else []
    if len(lists) != 1:
        raise DatasetError(f"{path}: no list of rows; it needs [{{...}}, ...], or one object a line (.jsonl)")
    return list(lists[0])


def _column(values: list[Any]) -> pa.Array:
    """A column of one type; of mixed ones, as text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if value is None else _as_text(value) for value in values], pa.string())


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
