"""Reading datasets, ours and others', and drawing a row again. `generation` makes ours."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unblind.data.generation import GenerateOptions, generate
from unblind.data.sources import SPLIT_NAMES, find
from unblind.errors import DatasetError, SceneError
from unblind.tasks.circled_letter.blindtest import known_fonts
from unblind.tasks.circled_letter.draw import draw
from unblind.tasks.circled_letter.scene import Scene
from unblind.tasks.fonts import Font, FontLibrary

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["GenerateOptions", "generate", "read", "redraw", "splits"]

BENCHMARK_TASK = "Circled Letter"
_NEEDED = ("image", "prompt", "answer")
# What the benchmark's schema and the notebook's metadata.csv call otherwise.
_RENAMED = {"groundtruth": "answer", "circled_letter": "answer", "circled_index": "index"}
_METADATA = {
    "word": pa.string(),
    "index": pa.int64(),
    "letter": pa.string(),
    "font": pa.string(),
    "padding": pa.float64(),
    "thickness": pa.float64(),
}


def splits(source: str | Path) -> tuple[str, ...]:
    """The names of a dataset's splits, as its files have them; "train" where they name none.

    Raises:
        DatasetError: nothing there, incomplete, no network.
    """
    return tuple(find(source))


def read(source: str | Path, split: str | None = None) -> Dataset:
    """Read a dataset.

    Args:
        source: a folder that `generate` made; a Parquet file, or a folder of them; a folder with images and a
            metadata.csv; or the id of a dataset on the Hugging Face Hub. It needs the columns `image`,
            `prompt`, `answer`, or those of XAI/vlmsareblind: `image`, `prompt`, `groundtruth`. Of that
            benchmark's tasks the circled letters are kept, and its `metadata` is spread over columns;
            `published` is JSON, {model: {question: whether its answer was right}}.
        split: its name; "validation" also finds "valid", "val" and "dev". None: the held-out one, which is
            test, or else validation, or else the only one there is.

    Returns:
        The columns `id` (the row's number where the source has none), `image` (`datasets.Image`: decoded when
        looked at), `prompt`, `answer`, then the others of the source. For errors that name the row of a
        broken image, cast the column to `datasets.Image(decode=False)` and use `images.decode_image`.

    Raises:
        DatasetError: nothing there, no such split, incomplete, damaged, columns or values missing, no rows,
            an image path that leads outside the dataset's folder, no network.
    """
    from datasets import Dataset, Features, Image

    found = find(source)
    name = _choose(source, list(found), split)
    table = _tidy(found[name](), f"{source} ({name})")
    features = Features({**Features.from_arrow_schema(table.schema), "image": Image()})
    # a name of its own for the cache of `map`; the default would hash every image
    return Dataset(table.cast(features.arrow_schema), fingerprint=uuid.uuid4().hex[:16])


def redraw(
    row: Mapping[str, Any], library: FontLibrary | None = None, *, circled: bool = True
) -> NDArray[np.uint8]:
    """Draw a row of one of our datasets again from its `scene`: the same pixels, bit for bit.

    Args:
        row: with `scene`, a JSON text.
        library: where its font is looked up; None: the fonts of a plain install, and the benchmark's.
        circled: with the ellipse.

    Returns:
        (height, width, 3) uint8 RGB.

    Raises:
        DatasetError: the row has no scene, or a damaged one.
        FontsError: its font is not there.
    """
    scene, font = scene_of(row, library)
    return draw(scene, font, circled=circled)


def scene_of(row: Mapping[str, Any], library: FontLibrary | None = None) -> tuple[Scene, Font]:
    """A row's scene and the font to draw it with. Raises DatasetError and FontsError as `redraw` does."""
    text = row.get("scene")
    if not isinstance(text, str):
        raise DatasetError("the row has no 'scene'; only rows of Parquet datasets by `unblind generate` do")
    try:
        scene = Scene.from_json(text)
    except SceneError as error:
        raise DatasetError(f"row {row.get('id', '?')}: {error}; generate the dataset again") from None
    return scene, (library or known_fonts()).get(scene.font.digest)


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


def _tidy(table: pa.Table, where: str) -> pa.Table:
    """The columns that `read` promises, in its order."""
    for old, new in _RENAMED.items():
        if old in table.column_names and new not in table.column_names:
            table = table.rename_columns({old: new})
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        raise DatasetError(
            f"{where}: lacks {', '.join(missing)}; needed are the columns image, prompt and answer (or"
            f" groundtruth), found are {', '.join(table.column_names) or 'none'}"
        )
    if not len(table):
        raise DatasetError(f"{where}: has no rows; name another dataset or split")
    if "id" not in table.column_names:
        table = table.append_column("id", pa.array(range(len(table))))
    table = _only_circles(table)
    for name in ("id", "prompt", "answer"):
        table = _put(table, name, _texts(table, name, where))
    table = _spread_metadata(table)
    first = ("id", *_NEEDED)
    return table.select([*first, *(name for name in table.column_names if name not in first)])


def _only_circles(table: pa.Table) -> pa.Table:
    """Without the benchmark's other tasks, if it is the benchmark."""
    if "task" not in table.column_names:
        return table
    circles = pc.equal(table["task"].cast(pa.string()), BENCHMARK_TASK)
    return table.filter(circles) if pc.any(circles).as_py() else table


def _texts(table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    column = table[name]
    try:
        texts = column.cast(pa.string())
    except pa.ArrowException:
        raise DatasetError(f"{where}: the column '{name}' holds {column.type}; it needs text") from None
    bad = pc.or_(pc.is_null(texts), pc.equal(pc.utf8_trim_whitespace(pc.fill_null(texts, "")), ""))
    row = pc.index(bad, True).as_py()
    if row >= 0:
        which = f", row {row}" if name == "id" else f", row {table['id'][row]}"
        raise DatasetError(f"{where}{which}: no {name}; fill it in, or remove the row")
    return texts


def _spread_metadata(table: pa.Table) -> pa.Table:
    """The benchmark's `metadata`, a JSON object, as columns; what a row lacks is null."""
    if "metadata" not in table.column_names:
        return table
    objects = [_object(text) for text in table["metadata"].to_pylist()]
    for name, kind in _METADATA.items():
        values = [_value(thing.get(name), kind) for thing in objects]
        if name not in table.column_names and any(value is not None for value in values):
            table = table.append_column(name, pa.array(values, kind))
    results = [_published(thing.get("published")) for thing in objects]
    if "published" not in table.column_names and any(results):
        table = table.append_column("published", pa.array(results, pa.string()))
    return table if "letter" in table.column_names else table.append_column("letter", table["answer"])


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
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _value(value: Any, kind: pa.DataType) -> str | float | None:
    try:
        if kind == pa.int64():
            return int(value) if -(2**63) <= int(value) < 2**63 else None
        return str(value) if kind == pa.string() and value is not None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _put(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, column)
