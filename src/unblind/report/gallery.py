"""The images that a model got wrong and right, picked from its predictions and read from the dataset."""

from __future__ import annotations

import base64
import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unblind.data.images import decode_image
from unblind.errors import DatasetError
from unblind.report.charts import printable
from unblind.report.load import Study
from unblind.scoring.predictions import integers, restricted_hits, shares, texts

WRONG, RIGHT = 24, 12  # how many of each are shown
SIDE = 448  # px, the longest side of an image in the page


@dataclass(frozen=True)
class Card:
    """One sample as the page shows it; texts are cut to a length that fits."""

    id: str
    answer: str
    reply: str  # restricted
    free: str | None
    probability: float | None
    before: str | None  # restricted, of the study's first evaluation
    top5: tuple[tuple[str, float], ...]
    parts: tuple[str, str, str] | None  # the word before, at and after the circled letter
    font: str | None
    image: str | None = None  # a data: URI


def pick(study: Study) -> tuple[list[Card], list[Card]]:
    """The most confident errors of the study's last evaluation, and right answers spread evenly over it."""
    predictions = study.last.predictions
    hits = restricted_hits(predictions)
    probability = shares(predictions, "probability")
    wrong = sorted((i for i, hit in enumerate(hits) if not hit), key=lambda i: -(probability[i] or 0))
    right = [i for i, hit in enumerate(hits) if hit]
    spread = [right[i * len(right) // RIGHT] for i in range(RIGHT)] if len(right) > RIGHT else right
    before = _before(study)
    return [_card(predictions, i, before) for i in wrong[:WRONG]], [
        _card(predictions, i, before) for i in spread
    ]


def read_images(
    sources: Iterable[Path], wanted: Mapping[str, tuple[str | None, str | None]], budget: int
) -> dict[str, str]:
    """Images as data: URIs by sample id, from the first source that has any, `budget` characters at most.

    A source is a dataset folder or a parquet file. `wanted` maps ids to answers and words. A file or an image
    that cannot be read is passed over.
    Raises DatasetError for a source that holds other samples under these ids.
    """
    for source in sources:
        found: dict[str, str] = {}
        same: set[str] = set()
        other: set[str] = set()
        for id_, row in _rows(source, wanted):
            answer, word = wanted[id_]
            if row["answer"] != answer or (word and row.get("word") not in (None, word)):
                other.add(id_)  # or of another split, whose ids may be the same
                continue
            same.add(id_)
            uri = _data_uri(row["image"])
            if uri is not None and len(uri) <= budget:
                found[id_] = uri
                budget -= len(uri)
        if other - same:
            raise DatasetError(
                f"{source} holds other samples than the predictions under the same ids, such as"
                f" {min(other - same)!r}; evaluate again, or move the dataset away"
            )
        if found:
            return found
    return {}


def with_images(cards: Sequence[Card], images: Mapping[str, str]) -> list[Card]:
    """The cards, each with its image where there is one."""
    return [replace(card, image=images.get(card.id)) for card in cards]


def _before(study: Study) -> dict[str, str | None]:
    if len(study.evaluations) == 1:
        return {}
    predictions = study.first.predictions
    return dict(zip(map(str, predictions["id"].to_pylist()), texts(predictions, "restricted"), strict=True))


def _card(predictions: pa.Table, i: int, before: Mapping[str, str | None]) -> Card:
    row = predictions.slice(i, 1)
    id_ = str(row["id"][0].as_py())
    free, font, previous = texts(row, "free")[0], texts(row, "font")[0], before.get(id_)
    return Card(
        id=id_,
        answer=printable(texts(row, "answer")[0] or "", 24),
        reply=printable(texts(row, "restricted")[0] or "", 24),
        free=None if free is None else printable(free, 40),
        probability=shares(row, "probability")[0],
        before=None if previous is None else printable(previous, 24),
        top5=_top5(texts(row, "top5")[0]),
        parts=_parts(texts(row, "word")[0], integers(row, "index")[0]),
        font=None if font is None else printable(font, 40),
    )


def _parts(word: str | None, index: int | None) -> tuple[str, str, str] | None:
    if word is None or index is None or not 0 <= index < len(word):
        return None
    start = max(0, index - 20)
    return printable(word[start:index], 20), printable(word[index], 1), printable(word[index + 1 :], 20)


def _top5(text: str | None) -> tuple[tuple[str, float], ...]:
    try:
        pairs = json.loads(text or "[]")
        return tuple((printable(str(letter), 8), float(share)) for letter, share in pairs[:5])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ()


def _rows(source: Path, wanted: Container[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The wanted ids with their rows; rows without an id are numbered, as when they were read."""
    with suppress(pa.ArrowException, OSError, ValueError):
        files = [source] if source.is_file() else sorted(source.glob("data/*.parquet"))
        for path in files:
            with pq.ParquetFile(path) as file:
                names = set(file.schema_arrow.names)
                if "image" in names and ("id" in names or len(files) == 1):
                    yield from _file_rows(file, names, wanted)


def _file_rows(
    file: pq.ParquetFile, names: set[str], wanted: Container[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """`image` (bytes), `answer` and `word`, as far as they are there.

    One row group is in memory at a time, and of those only the ones that hold a wanted id.
    """
    answer = "answer" if "answer" in names else "groundtruth"
    columns = [name for name in ("image", answer, "word") if name in names]
    start = 0
    for group in range(file.num_row_groups):
        ids: Sequence[Any] = range(start, start := start + file.metadata.row_group(group).num_rows)
        if "id" in names:
            ids = file.read_row_group(group, columns=["id"])["id"].to_pylist()
        here = {i: str(id_) for i, id_ in enumerate(ids) if str(id_) in wanted}
        if not here:
            continue
        rows = file.read_row_group(group, columns=columns).take(list(here)).to_pylist()
        for id_, row in zip(here.values(), rows, strict=True):
            data = row["image"].get("bytes") if isinstance(row["image"], dict) else row["image"]
            if isinstance(data, bytes):
                yield id_, {"image": data, "answer": row.get(answer), "word": row.get("word")}


def _data_uri(data: bytes) -> str | None:
    """The image, drawn anew small enough for the page; None if it cannot be read."""
    try:
        picture = decode_image(data, "the dataset")
    except DatasetError:
        return None
    picture.thumbnail((SIDE, SIDE))
    out = BytesIO()
    picture.save(out, "WEBP", quality=88)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()
