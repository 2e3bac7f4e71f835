"""Accuracy by what is known of each sample: its word, its letter, and how it was drawn."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from unblind.errors import FontsError, SceneError
from unblind.scoring.intervals import proportion
from unblind.scoring.mistakes import look_alike, neighbours
from unblind.scoring.predictions import column, integers, texts
from unblind.tasks.circled_letter.blindtest import (
    BENCHMARK_FONTS,
    LINE_WIDTHS,
    PADDINGS,
    benchmark_scene,
    known_fonts,
    regular,
)
from unblind.tasks.circled_letter.draw import letter_boxes
from unblind.tasks.circled_letter.scene import Scene
from unblind.tasks.fonts import FontLibrary
from unblind.tasks.words import BENCHMARK_WORDS

FEW = 6  # so many different whole numbers are groups of their own; all else is put into the bins below
BINS = {
    "padding": (0, 25, 50, 100, 150, 200),  # 1/96 em on either side of the word
    "line_width": (0, 3, 4, 5, 6, 7),  # points on a figure 10 inches wide
    "overlap": (0, 0.1, 0.2, 0.3, 0.4, 0.5),  # share of a neighbour's width
}


class Bin(NamedTuple):
    """Numbers from `low` up to `high`; one number if they are equal, no upper end if it is infinite."""

    low: float
    high: float

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.low:g}"
        return f"{self.low:g} and more" if self.high == float("inf") else f"{self.low:g}–{self.high:g}"


def breakdowns(predictions: pa.Table, hits: Sequence[bool]) -> dict[str, dict[str, dict[str, float]]]:
    """For each trait that is known of some sample, its groups: ``{"n", "value", "low", "high"}`` by name.

    `length`, `position` (from "0"), `font` and `letter` (the answer); `case` ("lower", "upper"); `repeated`
    ("once", "repeated": how often the word holds the circled letter); `look_alike` (a letter of a similar
    shape stands "beside" the circled one, "elsewhere" in the word, or "nowhere"); `padding`, `line_width` and
    `overlap`, as numbers or ranges. Overlap is how far the ring reaches into a neighbour's ink, as a share of
    that one's width; it needs the scene, or the benchmark's metadata, and a font of `known_fonts`.
    """
    found = {name: trait(predictions) for name, trait in TRAITS.items()}
    return {name: _by(keys, hits) for name, keys in found.items() if any(key is not None for key in keys)}


def _by(keys: Iterable[Any], hits: Sequence[bool]) -> dict[str, dict[str, float]]:
    groups: dict[Any, list[bool]] = defaultdict(list)
    for key, hit in zip(keys, hits, strict=True):
        if key is not None:
            groups[key].append(hit)
    return {str(key): {"n": len(g), **proportion(sum(g), len(g))} for key, g in sorted(groups.items())}


def _lengths(predictions: pa.Table) -> list[int | None]:
    return [len(word) if word else None for word in texts(predictions, "word")]


def _cases(predictions: pa.Table) -> list[str | None]:
    return [
        ("upper" if answer.isupper() else "lower")
        if answer and len(answer) == 1 and answer.isalpha()
        else None
        for answer in texts(predictions, "answer")
    ]


def _of_word(describe: Callable[[str, int], str]) -> Callable[[pa.Table], list[str | None]]:
    """A trait that word and index tell."""

    def trait(predictions: pa.Table) -> list[str | None]:
        return [
            describe(word, index) if word and index is not None and 0 <= index < len(word) else None
            for word, index in zip(texts(predictions, "word"), integers(predictions, "index"), strict=True)
        ]

    return trait


def _repeated(word: str, index: int) -> str:
    return "repeated" if word.count(word[index]) > 1 else "once"


def _look_alikes(word: str, index: int) -> str:
    if any(look_alike(word[index], letter) for letter in neighbours(word, index)):
        return "beside"
    return "elsewhere" if any(look_alike(word[index], letter) for letter in word) else "nowhere"


def _drawn(name: str, *columns: str) -> Callable[[pa.Table], list[Bin | None]]:
    """A number of the drawing: from a column, or else from the scene."""

    def trait(predictions: pa.Table) -> list[Bin | None]:
        given = next((c for c in columns if c in predictions.column_names), None)
        if given:
            return binned(column(predictions, given), BINS[name])
        scenes = (_json(text) for text in texts(predictions, "scene"))
        return binned([scene.get(name) for scene in scenes], BINS[name])

    return trait


def _json(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def binned(values: Sequence[Any], edges: Sequence[float]) -> list[Bin | None]:
    """Numbers as groups: few whole ones as they are, else ranges between `edges`; None for no number."""
    numbers = [
        float(value) if isinstance(value, (int, float)) and abs(value) < 1e15 else None for value in values
    ]
    different = {number for number in numbers if number is not None}
    if len(different) <= FEW and all(number.is_integer() for number in different):
        return [None if number is None else Bin(number, number) for number in numbers]
    ends = (*edges[1:], float("inf"))
    return [
        None
        if number is None
        else next((Bin(low, high) for low, high in zip(edges, ends, strict=True) if number < high), None)
        for number in numbers
    ]


def _overlaps(predictions: pa.Table) -> list[Bin | None]:
    try:
        fonts = known_fonts() if {"scene", "thickness"} & set(predictions.column_names) else None
    except FontsError:
        fonts = None
    if fonts is None:
        return [None] * predictions.num_rows
    scenes: Iterable[Scene | None] = map(_own_scene, texts(predictions, "scene"))
    if "scene" not in predictions.column_names:
        scenes = _benchmark_scenes(predictions, fonts)
    return binned([_overlap(scene, fonts) for scene in scenes], BINS["overlap"])


def _own_scene(text: str | None) -> Scene | None:
    try:
        return Scene.from_json(text or "")
    except SceneError:
        return None


def _benchmark_scenes(predictions: pa.Table, fonts: FontLibrary) -> Iterator[Scene | None]:
    """The benchmark's images laid out again by their metadata, as its generator did."""
    columns = (texts(predictions, "word"), integers(predictions, "index"), texts(predictions, "font"))
    drawn = (column(predictions, "padding"), column(predictions, "thickness"))
    for word, index, name, padding, line_width in zip(*columns, *drawn, strict=True):
        font = regular(fonts, *BENCHMARK_FONTS.get(name or "", ()))
        if font is None or word not in BENCHMARK_WORDS or index is None or not 0 <= index < len(word):
            yield None
        elif padding in PADDINGS and line_width in LINE_WIDTHS:
            yield benchmark_scene(word, index, font, int(padding), int(line_width))
        else:
            yield None


def _overlap(scene: Scene | None, fonts: FontLibrary) -> float | None:
    if scene is None:
        return None
    try:
        return overlap(scene, letter_boxes(scene, fonts.get(scene.font.digest)).tolist())
    except FontsError:
        return None


def overlap(scene: Scene, boxes: Sequence[Sequence[float]]) -> float:
    """How far the ring, its line included, reaches into a neighbour's ink: the larger share of a width.

    Args:
        scene: the scene.
        boxes: x0, y0, x1, y1 of each letter's ink, in px.
    """
    reach = (scene.ellipse.width + scene.ellipse.line_width) / 2
    left, right = scene.ellipse.x - reach, scene.ellipse.x + reach
    beside = [boxes[i] for i in (scene.index - 1, scene.index + 1) if 0 <= i < len(boxes)]
    return max((max(0.0, min(right, x1) - max(left, x0)) / (x1 - x0) for x0, _, x1, _ in beside), default=0.0)


TRAITS: dict[str, Callable[[pa.Table], Sequence[Any]]] = {
    "length": _lengths,
    "position": lambda predictions: integers(predictions, "index"),
    "font": lambda predictions: texts(predictions, "font"),
    "letter": lambda predictions: texts(predictions, "answer"),
    "case": _cases,
    "repeated": _of_word(_repeated),
    "look_alike": _of_word(_look_alikes),
    "overlap": _overlaps,
    "padding": _drawn("padding", "padding"),
    "line_width": _drawn("line_width", "thickness", "line_width"),
}
