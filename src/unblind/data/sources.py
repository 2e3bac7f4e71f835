"""Where datasets come from: files with rows, folders of them or of classes, `save_to_disk`, the hub.

Every source is a mapping from split names to functions that load a `pyarrow.Table`, in which `image` is a
struct {bytes, path}, paths are absolute, and columns that go by a known other name have ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unblind.data import arrow_cache
from unblind.data.columns import NAMES, renamed, with_our_columns
from unblind.data.features import class_names, with_class_names
from unblind.data.image_column import image_paths, is_text, with_absolute_paths, with_bytes, with_images
from unblind.data.splits import (
    SPLIT_NAMES,
    are_one,
    by_name,
    check_complete,
    of_file,
    of_folders,
    ordered,
    own_output,
)
from unblind.data.tables import SUFFIXES, bytes_of, read_pieces
from unblind.errors import DatasetError, NoDatasetError
from unblind.runtime.json_files import read_json_if_whole
from unblind.runtime.progress import progress
from unblind.tasks.registry import DEFAULT_TASK, task_named

Loader = Callable[[], pa.Table]
Columns = Mapping[str, str]

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?")
_FILE_COLUMNS = ("file_name", "image_path")  # of a metadata.csv: the image folder's name, and the notebook's
_FROM_THE_ROOT = b"unblind.paths_from_the_root"  # notes that a table's paths are those of an image_path
_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic"}
_NO_ROWS = {  # JSON files that say something of a folder, and hold no rows of a dataset
    *("config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"),
    *("settings.json", "metrics.json", "versions.json", "package.json", "occlusion.json"),
}


def find(source: str | Path, columns: Columns | None = None) -> dict[str, Loader]:
    """The splits of a source. The only file of one that names no splits is "train".

    Args:
        source: as `reading.read` takes it.
        columns: ours to those of the source, where they are called otherwise.

    Raises:
        DatasetError: nothing there, incomplete, several files whose names say nothing, no network.
    """
    path, columns = Path(source).expanduser(), columns or {}
    if path.is_dir():
        return _on_disk(path, columns) or _in_folder(path, columns)
    if path.is_file():
        return _file_alone(path, columns)
    if isinstance(source, str) and _may_be_hub_id(source):
        return _find_on_hub(source, columns)
    raise DatasetError(f"{source}: no such file or folder; check it, or make it with `unblind generate`")


def _may_be_hub_id(source: str) -> bool:
    path = Path(source)
    local = path.suffix in SUFFIXES or (len(path.parts) > 1 and path.parent.is_dir())
    return bool(_HUB_ID.fullmatch(source)) and not local and source not in (".", "..")


def _file_alone(path: Path, columns: Columns) -> dict[str, Loader]:
    if path.suffix.lower() not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise DatasetError(f"{path}: no file with the rows of a dataset; name one that ends in {known}")
    folder = {name: split for split, names in SPLIT_NAMES.items() for name in names}.get(path.parent.name)
    split = of_file(PurePath(path.name)) or folder
    if split:
        return {split: partial(_load, [path], path.parent, columns)}
    return _by_rows([path], path.parent, columns)


def _in_folder(folder: Path, columns: Columns) -> dict[str, Loader]:
    files = _files_with_rows(folder)
    found = by_name(folder, files)
    check_complete(folder, found or ({"train": files} if files else {}))
    if found:
        return {split: partial(_load, paths, folder, columns) for split, paths in found.items()}
    if not files:
        return _class_folders(folder, columns)
    if not are_one(files):
        names = ", ".join(str(path.relative_to(folder)) for path in files[:4])
        more = f" and {len(files) - 4} more" if len(files) > 4 else ""
        raise DatasetError(
            f"{folder}: no name says which split {names}{more} belong to; rename them after their splits"
            " (train.parquet, test.parquet), or name one file (--data)"
        )
    return _by_rows(files, folder, columns)


def _files_with_rows(folder: Path) -> list[Path]:
    """The data's files, of the first kind that is there: Parquet, metadata.* of images, CSV and JSON."""
    files = [path for path in _visible(folder) if path.suffix.lower() in SUFFIXES]
    files = [path for path in files if path.name not in _NO_ROWS and not own_output(path, folder)]
    metadata = [path for path in files if path.stem == "metadata"]
    parquet = [path for path in files if path.suffix == ".parquet" and path not in metadata]
    return parquet or metadata or files


def _visible(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():  # a pipe would be read forever
            yield path


def _class_folders(folder: Path, columns: Columns) -> dict[str, Loader]:
    """Pictures in folders that are named after the right answers."""
    pictures = [path for path in _visible(folder) if path.suffix.lower() in _PICTURES]
    pictures = [
        path for path in pictures if path.parent != folder and not of_folders(PurePath("x") / path.name)
    ]
    found = by_name(folder, pictures) or {"train": pictures}
    inner = {path.parent.name for paths in found.values() for path in paths}
    if len(inner - {name for names in SPLIT_NAMES.values() for name in names}) < 2:
        raise NoDatasetError(
            f"{folder}: no Parquet file, no metadata.csv, and no CSV or JSON file with rows in this folder;"
            " check the path"
        )
    return {split: partial(_load_classes, paths, folder, columns) for split, paths in found.items()}


def _load_classes(pictures: Sequence[Path], folder: Path, columns: Columns) -> pa.Table:
    table = pa.table(
        {
            "image": [str(path.relative_to(folder)) for path in pictures],
            "answer": [path.parent.name for path in pictures],
        }
    )
    table = with_our_columns(table, columns, str(folder))
    return _with_ids(with_images(table, [folder], [folder], str(folder)), folder)


def _by_rows(files: Sequence[Path], folder: Path, columns: Columns) -> dict[str, Loader]:
    """The splits of a file whose name says nothing: by its column `split`, or its images' folders, or one."""
    load = partial(_load, files, folder, columns)
    if files[0].suffix == ".parquet" and not _tells_splits(files[0]):
        return {"train": load}
    splits = _splits_of_rows(load(), folder)
    if splits is None:
        return {"train": load}
    return {split: partial(_part, load, folder, split) for split in ordered(splits)}


def _tells_splits(path: Path) -> bool:
    """Whether a Parquet file may part its rows; without loading its images."""
    try:
        return not {"split", *_FILE_COLUMNS}.isdisjoint(pq.read_schema(path).names)
    except (OSError, ValueError, pa.ArrowException):
        return False  # reading it says what is wrong


def _part(load: Loader, folder: Path, split: str) -> pa.Table:
    table = load()
    splits = _splits_of_rows(table, folder) or []
    return arrow_cache.rows_where(table, [one == split for one in splits])


def _splits_of_rows(table: pa.Table, folder: Path) -> list[str] | None:
    if "split" in table.column_names and is_text(table["split"].type):
        splits = [(split or "").strip() or None for split in table["split"].to_pylist()]
    elif "image" in table.column_names and pa.types.is_struct(table["image"].type):
        splits = [path and of_folders(_below(path, folder)) for path in image_paths(table)]
        if not any(splits):
            return None
    else:
        return None
    if None in splits:
        row = splits.index(None)
        raise DatasetError(
            f"{folder}, row {row}: belongs to no split ({', '.join(ordered(filter(None, splits)))});"
            " fill in the column split, or move its image into a split's folder"
        )
    return [split for split in splits if split]


def _below(path: str, folder: Path) -> PurePath:
    """An image's path as seen from the dataset's folder."""
    for home in (folder.absolute(), folder.resolve()):
        if Path(path).is_relative_to(home):
            return Path(path).relative_to(home)
    return PurePath(path)


def _load(files: Sequence[Path], folder: Path, columns: Columns) -> pa.Table:
    large = sum(map(bytes_of, files)) > arrow_cache.IN_MEMORY
    new = [path for path in files if large and not arrow_cache.is_written(path, columns)]
    tables = []
    with progress("Arrow copies", len(new)) if new else nullcontext(lambda _: None) as advance:
        for path in files:
            tables.append(_load_file(path, folder, columns, large=large))
            advance(path in new)
    classes = [class_names(table.schema) for table in tables]
    if any(one != classes[0] for one in classes):
        raise DatasetError(f"{folder}: its files differ in the names of their classes; name one of them")
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException:
        raise DatasetError(f"{folder}: its files differ in columns; name one of them") from None
    return _with_ids(table, folder)


def _load_file(path: Path, folder: Path, columns: Columns, *, large: bool) -> pa.Table:
    pieces = _pieces(path, columns, arrow_cache.PIECE if large else None)
    try:
        table = arrow_cache.mapped(path, pieces, columns) if large else next(pieces)
    except pa.ArrowException as error:
        raise DatasetError(f"{path}: its rows differ in the types of their columns ({error})") from None
    bases = [path.parent, folder]
    if path.suffix == ".parquet" or _FROM_THE_ROOT in (table.schema.metadata or {}):
        bases.reverse()
    bases += [base / "images" for base in bases]
    return with_absolute_paths(table, bases, [folder], str(path))


def _pieces(path: Path, columns: Columns, size: int | None) -> Iterator[pa.Table]:
    """The file's rows with our columns, and images as a struct {bytes, path}, in pieces of about `size`."""
    first_row = 0
    for table in read_pieces(path, size):
        note = {_FROM_THE_ROOT: b""} if "image_path" in table.column_names else {}
        if "image" not in table.column_names and "image" not in columns:
            table = _with_file_names(table, path)
        if "circled_letter" in table.column_names and "prompt" not in table.column_names:
            letters = task_named(DEFAULT_TASK)  # the notebook's files leave the question out
            question = pa.array([letters.question(letters.default_prompt, {})] * len(table), pa.string())
            table = table.append_column("prompt", question)
        table = _ours(table, columns, str(path), first_row)
        yield table.replace_schema_metadata({**(table.schema.metadata or {}), **note})
        first_row += len(table)


def _with_file_names(table: pa.Table, path: Path) -> pa.Table:
    name = next((name for name in _FILE_COLUMNS if name in table.column_names), None)
    if name:
        table = renamed(table, name, "image")
        return table.drop_columns([name for name in _FILE_COLUMNS if name in table.column_names])
    if path.stem == "metadata":
        raise DatasetError(
            f"{path}: needs a column file_name or image_path, and has {', '.join(table.column_names)}"
        )
    return table


def _ours(table: pa.Table, columns: Columns, source: str, first_row: int = 0) -> pa.Table:
    answers = {columns.get("answer", "answer"), *NAMES["answer"]}
    table = with_class_names(table, answers, source, first_row)
    return with_bytes(with_our_columns(table, columns, source, first_row), source)


def _with_ids(table: pa.Table, folder: Path) -> pa.Table:
    """The images' names as ids where there are none; their paths, and rows, where names come twice."""
    if {"id", "image"} & set(table.column_names) != {"image"}:
        return table
    paths = [path and _below(path, folder) for path in image_paths(table)]
    if not all(paths):
        return table  # `reading` counts the rows
    whole = [path.with_suffix("").as_posix() for path in paths if path]
    names = [name.rpartition("/")[2] for name in whole]
    names = names if len(set(names)) == len(set(whole)) else whole
    if len(set(names)) < len(names):
        names = [f"{name}#{row}" for row, name in enumerate(names)]
    return table.append_column("id", pa.array(names, pa.string()))


def _on_disk(folder: Path, columns: Columns) -> dict[str, Loader]:
    """The splits of a folder that `save_to_disk` of `datasets` wrote; empty for another folder."""
    if (folder / "dataset_dict.json").is_file():
        splits = (read_json_if_whole(folder / "dataset_dict.json") or {}).get("splits")
        if not isinstance(splits, list):
            raise DatasetError(f"{folder / 'dataset_dict.json'}: names no splits; save the dataset again")
        return {str(split): partial(_load_from_disk, folder / str(split), columns) for split in splits}
    if (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():
        split = (read_json_if_whole(folder / "state.json") or {}).get("_split")
        return {str(split or "train"): partial(_load_from_disk, folder, columns)}
    return {}


def _load_from_disk(folder: Path, columns: Columns) -> pa.Table:
    import datasets

    try:
        dataset = datasets.load_from_disk(str(folder))
    except Exception as error:  # what a damaged folder leads the loader to
        reason = str(error).partition("\n")[0]
        raise DatasetError(f"{folder}: cannot be read as a saved dataset ({reason}); save it again") from None
    table = _ours(_table_of(dataset), columns, str(folder))
    return with_absolute_paths(table, [folder], [folder], str(folder))


def _table_of(dataset: Any) -> pa.Table:
    """The rows of a `datasets.Dataset`, with the note of its features."""
    table = dataset.flatten_indices().data.table if dataset._indices is not None else dataset.data.table
    return table.replace_schema_metadata(dataset.features.arrow_schema.metadata)


def _find_on_hub(source: str, columns: Columns) -> dict[str, Loader]:
    import datasets

    name, _, config = source.partition(":")
    splits = _ask_hub(source, partial(datasets.get_dataset_split_names, name, config or None))
    return {split: partial(_load_from_hub, source, split, columns) for split in splits}


def _load_from_hub(source: str, split: str, columns: Columns) -> pa.Table:
    import datasets
    from huggingface_hub.constants import HF_HUB_CACHE

    name, _, config = source.partition(":")
    dataset = _ask_hub(source, partial(datasets.load_dataset, name, config or None, split=split))
    caches = [Path(HF_HUB_CACHE), Path(datasets.config.HF_DATASETS_CACHE)]
    return with_absolute_paths(_ours(_table_of(dataset), columns, source), caches[:1], caches, source)


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
