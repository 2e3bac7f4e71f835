"""The column `image` of someone's table as {bytes, path}: from bytes, paths, base64, or both in a struct."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from unblind.data.images import embedded, short
from unblind.errors import DatasetError

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def with_images(table: pa.Table, bases: Sequence[Path], homes: Sequence[Path], source: str) -> pa.Table:
    """The table with `image` as a struct {bytes, path}, paths absolute.

    Args:
        table: without the column `image` it stays as it is.
        bases: the folders that a relative path may start from; the first in which the file exists.
        homes: the folders that hold the dataset; no path may lead out of them.
        source: what an error names.

    Raises:
        DatasetError: no images, an address on the web, a path out of `homes`.
    """
    return with_absolute_paths(with_bytes(table, source), bases, homes, source)


def with_bytes(table: pa.Table, source: str) -> pa.Table:
    """The table with `image` as a struct {bytes, path}, paths as they are written; base64 is decoded.

    Bytes are not copied, so that those of mapped files stay there. Raises DatasetError for no images.
    """
    if "image" not in table.column_names:
        return table
    return _put(table, [_struct(chunk, source) for chunk in table["image"].chunks])


def with_absolute_paths(
    table: pa.Table, bases: Sequence[Path], homes: Sequence[Path], source: str
) -> pa.Table:
    """What `with_bytes` made, with absolute paths; arguments and errors as in `with_images`."""
    if "image" not in table.column_names:
        return table
    bases, homes = [_absolute(base) for base in bases], [_absolute(home) for home in homes]
    homes = [*homes, *(home.resolve() for home in homes)]
    images, row = [], 0
    for chunk in table["image"].chunks:
        texts = pc.struct_field(chunk, "path")
        if texts.null_count < len(texts):
            paths = _paths(texts, row, bases, homes, source)
            chunk = _images(pc.struct_field(chunk, "bytes"), paths)
        images.append(chunk)
        row += len(chunk)
    return _put(table, images)


def image_paths(table: pa.Table) -> list[str | None]:
    """The paths in the column `image`, a struct {bytes, path}; None beside bytes."""
    return list(pc.struct_field(table["image"], "path").to_pylist())


def _struct(column: pa.Array, source: str) -> pa.StructArray:
    kind = column.type
    names = [kind.field(i).name for i in range(kind.num_fields)] if pa.types.is_struct(kind) else []
    data, texts = pa.nulls(len(column), pa.binary()), pa.nulls(len(column), pa.string())
    if _is_binary(kind):
        data = column.cast(pa.binary())
    elif is_text(kind) or pa.types.is_null(kind):
        texts = column.cast(pa.string())
    elif not {"bytes", "path"} & set(names):
        raise DatasetError(f"{source}: the column 'image' holds {kind}; it needs PNG or JPEG bytes, or paths")
    if "bytes" in names:
        data = pc.struct_field(column, "bytes").cast(pa.binary())
    if "path" in names:
        texts = pc.struct_field(column, "path").cast(pa.string())
    texts = pc.if_else(pc.is_valid(data), pa.scalar(None, pa.string()), texts)  # beside bytes, a mere name
    if texts.null_count < len(texts):
        written = pa.array([text and embedded(text) for text in texts.to_pylist()], pa.binary())
        texts = pc.if_else(pc.is_valid(written), pa.scalar(None, pa.string()), texts)
        data = data if written.null_count == len(written) else pc.coalesce(data, written)
    return _images(data, texts)


def _images(data: pa.Array, paths: pa.Array) -> pa.StructArray:
    return pa.StructArray.from_arrays([data, paths], ["bytes", "path"])


def _put(table: pa.Table, images: Sequence[pa.StructArray]) -> pa.Table:
    column = pa.chunked_array(images, _IMAGE)
    return table.set_column(table.column_names.index("image"), "image", column)


def is_text(kind: pa.DataType) -> bool:
    """Whether the Arrow type is a string of any kind."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _paths(
    texts: pa.Array, first_row: int, bases: Sequence[Path], homes: Sequence[Path], source: str
) -> pa.Array:
    absolute: list[str | None] = []
    for row, text in enumerate(texts.to_pylist(), first_row):
        if not text:
            absolute.append(None)
            continue
        if "://" in text[:12]:
            raise DatasetError(
                f"{source}, row {row}: {short(text)} is an address on the web; download the image into the"
                " dataset's folder, and name its path there"
            )
        absolute.append(str(_inside(text, bases, homes, f"{source}, row {row}")))
    return pa.array(absolute, pa.string())


def _inside(text: str, bases: Sequence[Path], homes: Sequence[Path], source: str) -> Path:
    """The image's absolute path. A dataset may not make us read a file that it names outside its folder.

    An image that is a link is followed, as in a snapshot of the hub's cache. A path through a
    link to a folder elsewhere is not.
    """
    files = [Path("/")] if "\0" in text else [_absolute(base / text) for base in bases]
    inside = [path for path in files if _lies_in(path, homes)]
    path = next((path for path in inside if _exists(path)), files[0])
    if path not in inside:
        raise DatasetError(
            f"{source}: the image path {short(text)} leads outside the dataset's folder; move it inside"
        )
    return path


def _lies_in(path: Path, homes: Sequence[Path]) -> bool:
    """Whether a path, and the folder that it comes to by links, are in one of these folders."""
    try:
        folder = path.parent.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return False
    return all(any(place.is_relative_to(home) for home in homes) for place in (path.parent, folder))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def _absolute(path: Path) -> Path:
    """Without `.` and `..`, links not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100  (resolve follows links)
