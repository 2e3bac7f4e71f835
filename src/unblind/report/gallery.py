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
from unblind.scoring.predictions import Answered
from unblind.tasks.base import Caption, Row

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
    caption: Caption
    image: str | None = None  # a data: URI


def pick(study: Study, few: bool) -> tuple[list[Card], list[Card]]:
    """The most confident errors of the study's last evaluation, and right answers spread evenly over it.

    `few`: half as many of each, where the page shows several tasks.
    """
    answered = study.last.answered
    wrongs, rights = (WRONG // 2, RIGHT // 2) if few else (WRONG, RIGHT)
    probability = answered.probabilities
    wrong = [i for i, hit in enumerate(answered.hits) if not hit]
    wrong.sort(key=lambda i: -(probability[i] or 0))
    right = [i for i, hit in enumerate(answered.hits) if hit]
    spread = [right[i * len(right) // rights] for i in range(rights)] if len(right) > rights else right
    before = _before(study)
    return [_card(answered, i, before) for i in wrong[:wrongs]], [_card(answered, i, before) for i in spread]


def read_images(
    sources: Iterable[Path], wanted: Mapping[str, Row], told_by: Sequence[str], budget: int
) -> dict[str, str]:
    """Images as data: URIs by sample id, from the first source that has any, `budget` characters at most.

    A file or an image that cannot be read is passed over.

    Args:
        sources: dataset folders or parquet files.
        wanted: rows of predictions by id.
        told_by: columns in which a row of the dataset has to be the same, where both have them.
        budget: for all images together.

    Raises:
        DatasetError: a source holds other samples under these ids.
    """
    for source in sources:
        images: dict[str, str] = {}
        same: set[str] = set()
        other: set[str] = set()
        for id_, row in _rows(source, wanted, told_by):
            if not _same(row, wanted[id_], told_by):
                other.add(id_)  # or of another split, whose ids may be the same
                continue
            same.add(id_)
            uri = _data_uri(row["image"])
            if uri is not None and len(uri) <= budget:
                images[id_] = uri
                budget -= len(uri)
        if other - same:
            raise DatasetError(
                f"{source} holds other samples than the predictions under the same ids, such as"
                f" {min(other - same)!r}; evaluate again, or move the dataset away"
            )
        if images:
            return images
    return {}


def _same(row: Row, other: Row, told_by: Sequence[str]) -> bool:
    """Whether two rows are of one sample: by the columns, and by the scene, or else by the answer.

    The answers to one scene may differ: it may be asked about otherwise than its dataset does.
    """
    columns = (*told_by, "scene" if row.get("scene") and other.get("scene") else "answer")
    return all(
        row[column] == other[column]
        for column in columns
        if row.get(column) is not None and other.get(column) is not None
    )


def with_images(cards: Sequence[Card], images: Mapping[str, str]) -> list[Card]:
    """The cards, each with its image where there is one."""
    return [replace(card, image=images.get(card.id)) for card in cards]


def _before(study: Study) -> dict[str, str | None]:
    if len(study.evaluations) == 1:
        return {}
    answered = study.first.answered
    ids = (str(row["id"]) for row in answered.rows)
    return dict(zip(ids, answered.replies, strict=True))


def _card(answered: Answered, i: int, before: Mapping[str, str | None]) -> Card:
    row = answered.rows[i]
    id_ = str(row["id"])
    free, previous = answered.free[i], before.get(id_)
    return Card(
        id=id_,
        answer=printable(answered.answers[i], 24),
        reply=printable(answered.replies[i] or "", 24),
        free=None if free is None else printable(free, 40),
        probability=answered.probabilities[i],
        before=None if previous is None else printable(previous, 24),
        top5=_top5(row.get("top5")),
        caption=_fitting(answered.task.caption(row)),
    )


def _fitting(caption: Caption) -> Caption:
    """A caption, cut to a length that fits."""
    return Caption(
        before=printable(caption.before[-20:], 20),
        ringed=printable(caption.ringed, 20),
        after=printable(caption.after, 20),
        note=printable(caption.note, 40),
    )


def _top5(text: Any) -> tuple[tuple[str, float], ...]:
    try:
        pairs = json.loads(text or "[]")
        return tuple((printable(str(answer), 8), float(share)) for answer, share in pairs[:5])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ()


def _rows(
    source: Path, wanted: Container[str], told_by: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The wanted ids with their rows; rows without an id are numbered, as when they were read."""
    with suppress(pa.ArrowException, OSError, ValueError):
        files = [source] if source.is_file() else sorted(source.glob("data/*.parquet"))
        for path in files:
            with pq.ParquetFile(path) as file:
                names = set(file.schema_arrow.names)
                if "image" in names and ("id" in names or len(files) == 1):
                    yield from _file_rows(file, names, wanted, told_by)


def _file_rows(
    file: pq.ParquetFile, names: set[str], wanted: Container[str], told_by: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """`image` (bytes), `answer`, and the columns `told_by` and `scene`, as far as they are there.

    One row group is in memory at a time, and of those only the ones that hold a wanted id.
    """
    answer = "answer" if "answer" in names else "groundtruth"
    columns = [name for name in ("image", answer, "scene", *told_by) if name in names]
    start = 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        ids: Sequence[Any] = range(start, end)
        start = end
        if "id" in names:
            ids = file.read_row_group(group, columns=["id"])["id"].to_pylist()
        here = {i: str(id_) for i, id_ in enumerate(ids) if str(id_) in wanted}
        if not here:
            continue
        rows = file.read_row_group(group, columns=columns).take(list(here)).to_pylist()
        for id_, row in zip(here.values(), rows, strict=True):
            data = row["image"].get("bytes") if isinstance(row["image"], dict) else row["image"]
            if isinstance(data, bytes):
                yield id_, {**row, "image": data, "answer": row.get(answer)}


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
