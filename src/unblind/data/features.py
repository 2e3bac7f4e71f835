"""What `datasets` notes of a table's columns beyond Arrow's types: class names, images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

from unblind.errors import DatasetError

if TYPE_CHECKING:
    from datasets import Features


def features_of(schema: pa.Schema) -> Features:
    """The features of a schema, of whoever's making; plain Arrow types where its note cannot be used.

    Images beside `image` stay undecoded: only the paths of `image` are known to lie in the dataset's folder.
    """
    from datasets import ClassLabel, Features, Image, Value

    plain = Features.from_arrow_schema(schema.remove_metadata())
    try:
        noted = Features.from_arrow_schema(schema)
    except Exception:  # what a damaged note leads to
        return plain
    kept: dict[str, object] = dict(plain)
    for name, feature in noted.items():
        if isinstance(feature, (ClassLabel, Value)):
            kept[name] = feature
        elif isinstance(feature, Image):
            kept[name] = Image(decode=False)
    return Features(kept)


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The columns that hold numbers of classes, with the classes' names."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    from datasets import ClassLabel

    return {
        name: feature.names
        for name, feature in features_of(schema).items()
        if isinstance(feature, ClassLabel) and feature.names
    }


def with_class_names(table: pa.Table, columns: Iterable[str], source: str, first_row: int = 0) -> pa.Table:
    """The table with the names of classes instead of their numbers in these columns.

    Errors name the source and the row, of which the table's first has the number `first_row`.

    Raises:
        DatasetError: a number that no class has.
    """
    classes = class_names(table.schema)
    for name in columns:
        if name in classes and name in table.column_names:
            texts = [_class_name(number, classes[name], f"{source}, row {row}: {name}")
                     for row, number in enumerate(table[name].to_pylist(), first_row)]  # fmt: skip
            place = table.column_names.index(name)
            table = table.set_column(place, name, pa.array(texts, pa.string()))
    return table


def _class_name(number: int | None, names: list[str], source: str) -> str | None:
    if number is None or number == -1:  # how `datasets` writes that there is none
        return None
    if not 0 <= number < len(names):
        raise DatasetError(f"{source} is {number}, and there are {len(names)} classes; mend the row")
    return names[number]
