"""Where datasets come from: folders, Parquet files, images with a metadata.csv, the Hugging Face Hub.

Every source is a mapping from split names to functions that load a raw `pyarrow.Table`, in which `image` is a
struct {bytes, path} and paths are absolute.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from unblind.errors import DatasetError, NoDatasetError
from unblind.runtime.outputs import read_settings
from unblind.tasks.registry import DEFAULT_TASK, task_named

Loader = Callable[[], pa.Table]

SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
_SHARD = re.compile(r"(?P<split>\w+?)-(?P<number>\d{5})-of-(?P<of>\d{5})\.parquet")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_FILE_COLUMNS = ("file_name", "image_path")  # of a metadata.csv: the image folder's name, and the notebook's
_CSV_TEXTS = (*_FILE_COLUMNS, "word", "circled_letter", "task", "prompt", "answer", "id")


def find(source: str | Path) -> dict[str, Loader]:
    """The splits of a source. One that names no splits is "train", as in `datasets`.

    Raises:
        DatasetError: nothing there, incomplete, no network.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return _find_parquet(path) or _find_images(path)
    if path.is_file():
        return {_split_of(path): partial(_load_parquet, [path], path.parent)}
    if isinstance(source, str) and _may_be_hub_id(source):
        return _find_on_hub(source)
    raise DatasetError(f"{source}: no such file or folder; check it, or make it with `unblind generate`")


def _may_be_hub_id(source: str) -> bool:
    path = Path(source)
    local = path.suffix in (".parquet", ".csv") or (len(path.parts) > 1 and path.parent.is_dir())
    return bool(_HUB_ID.fullmatch(source)) and not local and source not in (".", "..")


def _find_parquet(folder: Path) -> dict[str, Loader]:
    by_split: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.parquet")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():  # a pipe would be read forever
            by_split.setdefault(_split_of(path), []).append(path)
    if by_split:
        _check_complete(folder, by_split)
    return {split: partial(_load_parquet, paths, folder) for split, paths in by_split.items()}


def _find_images(folder: Path) -> dict[str, Loader]:
    tables = {_split_of(path): [path] for path in sorted(folder.glob("*/metadata.csv")) if path.is_file()}
    if (folder / "metadata.csv").is_file():
        tables = {"train": [folder / "metadata.csv"]}
    _check_complete(folder, tables)
    if not tables:
        raise NoDatasetError(f"{folder}: no Parquet file and no metadata.csv in this folder; check the path")
    return {split: partial(_load_metadata, paths[0], folder) for split, paths in tables.items()}


def _split_of(path: Path) -> str:
    """The split that a file's name, or else its folder's, stands for."""
    shard = _SHARD.fullmatch(path.name)
    if shard:
        return shard["split"]
    known = {name for names in SPLIT_NAMES.values() for name in names}
    return next((name for name in (path.stem, path.parent.name) if name in known), "train")


def _check_complete(folder: Path, by_split: dict[str, list[Path]]) -> None:
    """Refuse a folder that lacks shards, or that `generate` was interrupted in."""
    settings = read_settings(folder) or {}
    if settings.get("made_by") == "unblind generate":
        missing = [split for split in SPLIT_NAMES if settings.get(split) and split not in by_split]
        if missing:
            raise DatasetError(
                f"{folder}: incomplete, there is no {' and no '.join(missing)} split yet;"
                " run the same `unblind generate` again, which goes on where it stopped"
            )
    for split, paths in by_split.items():
        shards = [shard for path in paths if (shard := _SHARD.fullmatch(path.name))]
        if shards and len(shards) != int(shards[0]["of"]):
            raise DatasetError(
                f"{folder}: {len(shards)} of the {int(shards[0]['of'])} files of split {split} are there;"
                " run the command that made them again"
            )


def _load_parquet(paths: Sequence[Path], root: Path) -> pa.Table:
    tables = [_load_file(path, root) for path in paths]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException:
        raise DatasetError(f"{root}: its Parquet files differ in columns; name one of them") from None


def _load_file(path: Path, root: Path) -> pa.Table:
    try:
        _check_rows(path)
        table = pq.read_table(path, partitioning=None)
        table.validate(full=True)  # flipped bytes may leave text that is no UTF-8
        return _with_images(table.replace_schema_metadata(), [root], str(path))
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DatasetError(f"{path}: damaged, or not a Parquet file ({reason}); make it again") from None


def _check_rows(path: Path) -> None:
    """Refuse a small file that would fill the memory: one value, said to occur a billion times."""
    rows, size = pq.read_metadata(path).num_rows, path.stat().st_size
    if rows > size:
        raise DatasetError(f"{path}: claims {rows:,} rows in {size:,} bytes, too few for images")


def _load_metadata(path: Path, root: Path) -> pa.Table:
    try:
        options = pa.csv.ConvertOptions(column_types=dict.fromkeys(_CSV_TEXTS, pa.string()))
        table = _empty_as_null(pa.csv.read_csv(path, convert_options=options))
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path}: not a readable CSV file ({error}); make it again") from None
    column = next((name for name in _FILE_COLUMNS if name in table.column_names), None)
    if column is None:
        raise DatasetError(
            f"{path}: needs a column file_name or image_path, and has {', '.join(table.column_names)}"
        )
    names = [name or "" for name in table[column].cast(pa.string()).to_pylist()]
    base = path.parent if column == "file_name" else root
    table = table.drop_columns([name for name in _FILE_COLUMNS if name in table.column_names])
    if "id" not in table.column_names:
        table = table.append_column("id", pa.array([Path(name).stem for name in names], pa.string()))
    if "prompt" not in table.column_names:  # the notebook's files leave the question out
        letters = task_named(DEFAULT_TASK)
        prompts = [letters.question(letters.default_prompt, {})] * len(names)
        table = table.append_column("prompt", pa.array(prompts, pa.string()))
    files = pa.array([str(base / name) if name else None for name in names], pa.string())
    return _with_images(table.append_column("image", files), [root], str(path))


def _empty_as_null(table: pa.Table) -> pa.Table:
    """A CSV file has no other way to say that a row lacks a text; the word `null` stays a word."""
    for i, name in enumerate(table.column_names):
        if _is_text(table[name].type):
            column = pc.if_else(pc.equal(table[name], ""), pa.scalar(None, table[name].type), table[name])
            table = table.set_column(i, name, column)
    return table


def _find_on_hub(source: str) -> dict[str, Loader]:
    import datasets

    names = _ask_hub(source, partial(datasets.get_dataset_split_names, source))
    return {name: partial(_load_from_hub, source, name) for name in names}


def _load_from_hub(source: str, split: str) -> pa.Table:
    import datasets
    from huggingface_hub.constants import HF_HUB_CACHE

    dataset = _ask_hub(source, partial(datasets.load_dataset, source, split=split))
    caches = [Path(HF_HUB_CACHE), Path(datasets.config.HF_DATASETS_CACHE)]
    return _with_images(dataset.data.table.replace_schema_metadata(), caches, source)


def _ask_hub(source: str, question: Callable[[], Any]) -> Any:
    from datasets.exceptions import DatasetNotFoundError

    from unblind.runtime.hub_errors import message_of, not_found, reading_advice

    try:
        return question()
    except Exception as error:  # also what a strange repository leads the loaders to
        advice = reading_advice(error, source, "dataset")
        if advice is None and isinstance(error, DatasetNotFoundError):
            advice = not_found(source, "dataset")
        raise DatasetError(
            advice or f"{source}: cannot be loaded from the hub ({message_of(error)})"
        ) from error


def _with_images(table: pa.Table, roots: Sequence[Path], source: str) -> pa.Table:
    """The column `image` as {bytes, path}, from bytes, paths, or both in a struct."""
    if "image" not in table.column_names:
        return table
    column = table["image"].combine_chunks()
    dtype = column.type
    names = [dtype.field(i).name for i in range(dtype.num_fields)] if pa.types.is_struct(dtype) else []
    data, paths = pa.nulls(len(column), pa.binary()), pa.nulls(len(column), pa.string())
    if _is_binary(dtype):
        data = column.cast(pa.binary())
    elif _is_text(dtype):
        paths = column.cast(pa.string())
    elif not {"bytes", "path"} & set(names):
        raise DatasetError(
            f"{source}: the column 'image' holds {dtype}; it needs PNG or JPEG bytes, or paths"
        )
    if "bytes" in names:
        data = pc.struct_field(column, "bytes").cast(pa.binary())
    if "path" in names:
        paths = pc.struct_field(column, "path").cast(pa.string())
    paths = pc.if_else(pc.is_valid(data), pa.scalar(None, pa.string()), paths)  # beside bytes, a mere name
    images = pa.StructArray.from_arrays([data, _inside(paths, roots, source)], ["bytes", "path"])
    return table.set_column(table.column_names.index("image"), "image", images)


def _is_binary(dtype: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(dtype) or pa.types.is_large_binary(dtype) or pa.types.is_binary_view(dtype)
    )


def _is_text(dtype: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype)
    )


def _inside(paths: pa.Array, roots: Sequence[Path], source: str) -> pa.Array:
    """Absolute paths, links followed. A dataset may not make us read a file outside its folder."""
    if paths.null_count == len(paths):
        return paths
    homes = [root.resolve() for root in roots]
    absolute: list[str | None] = []
    for row, path in enumerate(paths.to_pylist()):
        if path is None:
            absolute.append(None)
            continue
        try:
            full = (homes[0] / path).resolve()
        except (OSError, ValueError, RuntimeError):  # a null byte, a loop of links
            full = Path("/")
        if not any(full.is_relative_to(home) for home in homes):
            raise DatasetError(
                f"{source}, row {row}: the image path {path!r} leads outside the dataset's folder;"
                " move it inside"
            )
        absolute.append(str(full))
    return pa.array(absolute, pa.string())
