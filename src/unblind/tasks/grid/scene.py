"""Tables: how they are chosen, filled with words, and drawn.

A table is told by the middles of its lines, in px; the rows are between the horizontal ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from unblind.flags import Drawing
from unblind.tasks.canvas import BLACK, WHITE, Box, Canvas, Color, Text
from unblind.tasks.colors import pale, unlike
from unblind.tasks.fonts import Font
from unblind.tasks.glyphs import measure_word
from unblind.tasks.knobs import (
    THINNEST,
    Range,
    check_image_size,
    check_range,
    check_share,
    even,
    likely,
    whole,
)
from unblind.tasks.splits import Split
from unblind.tasks.words import WordSource

Lines = tuple[float, ...]

FEWEST, MOST = 2, 12  # rows, and columns
_PAPER = 2.5  # px at 224 px between two lines, at least
_WIDEST = 0.9  # of a cell: the widest word
_BELOW = 0.35  # em from the middle of a word to its baseline

# Rows and columns of the benchmark; it draws each table 2000 px wide, and makes it smaller.
BENCHMARK_SHAPES = (*((n + i, n + j) for n in range(3, 10) for i, j in ((0, 0), (0, 1), (1, 0))), (10, 10))
BENCHMARK_DRAWN = 2000  # px
BENCHMARK_WIDTHS = (10, 20)  # px of these
OFF_BENCHMARK = 2.0  # px at 224 px that some line has to be moved by to make a table one of the benchmark's


@dataclass(frozen=True)
class Scene:
    """A table, with words in its cells or without."""

    image_size: int  # px
    xs: Lines  # of the vertical lines, from left to right
    ys: Lines  # of the horizontal ones, downwards
    line_width: float  # px
    words: tuple[Text, ...] = ()
    font: str = ""  # SHA-256 of its file
    font_size: float = 0.0  # px per em
    color: Color = BLACK
    text_color: Color = BLACK
    background: Color = WHITE

    @property
    def rows(self) -> int:
        """How many rows the table has."""
        return len(self.ys) - 1

    @property
    def columns(self) -> int:
        """How many columns the table has."""
        return len(self.xs) - 1

    @property
    def smallest(self) -> float:
        """The least side of a cell, px from line to line."""
        return min(b - a for lines in (self.xs, self.ys) for a, b in pairwise(lines))


@dataclass(frozen=True)
class Options:
    """The knobs. Pairs are the ends of a range; each pair of rows and columns is as frequent as the others.

    Attributes:
        image_size: px; images are square.
        rows: how many there are (the benchmark: 3 to 10).
        columns: likewise.
        line_width: in px on an image 2000 px wide (the benchmark: 10 and 20).
        uneven: the share of tables whose columns, and whose rows, differ in size.
        bleed: how often a table reaches from edge to edge of the image.
        lettered: the share of tables with words in them.
        words: as in `load_words`.
        skip_odd_words: leave out a file's lines with other letters than A-Z a-z, instead of refusing them.
        min_length: letters of a word.
        max_length: letters of a word.
        fonts: as in `find_fonts`.
        colored: the share of images that are not black on white.
    """

    image_size: int = 224
    rows: Drawing[tuple[int, int]] = (FEWEST, MOST)
    columns: Drawing[tuple[int, int]] = (FEWEST, MOST)
    line_width: Drawing[Range] = (4.0, 25.0)
    uneven: Drawing[float] = 0.35
    bleed: Drawing[float] = 0.15
    lettered: Drawing[float] = 0.5
    words: str = "webster"
    skip_odd_words: Drawing[Annotated[bool, Parameter(negative=())]] = False
    min_length: int = 2
    max_length: int = 7
    fonts: tuple[str, ...] = ("bundled",)
    colored: Drawing[float] = 0.5

    def __post_init__(self) -> None:
        """Refuse values that no scene can be made of. Raises SceneError, naming the knob."""
        check_image_size(self.image_size)
        check_range("rows", self.rows, FEWEST, MOST)
        check_range("columns", self.columns, FEWEST, MOST)
        check_range("line_width", self.line_width, 1, 100)  # 12 rows fit in any image up to 133
        for name in ("uneven", "bleed", "lettered", "colored"):
            check_share(name, getattr(self, name))


def sample(rng: np.random.Generator, options: Options, least: float) -> Scene:
    """A blank table with as many rows and columns as are chosen first, off the benchmark.

    Args:
        rng: the generator of random numbers.
        options: the knobs.
        least: the share of the image's width and height that it fills, if not more.
    """
    rows, columns = whole(rng, *options.rows), whole(rng, *options.columns)
    width = max(THINNEST, even(rng, *options.line_width) * options.image_size / BENCHMARK_DRAWN)
    while True:
        xs, ys = (_lines(rng, count, width, options, least) for count in (columns, rows))
        if is_off_benchmark(xs, ys, options.image_size):
            break
    scene = Scene(options.image_size, xs, ys, width)
    if not likely(rng, options.colored):
        return scene
    background = pale(rng)
    color = unlike(rng, background)
    text = color if likely(rng, 0.5) else unlike(rng, background)
    return replace(scene, color=color, text_color=text, background=background)


def _lines(rng: np.random.Generator, cells: int, width: float, options: Options, share: float) -> Lines:
    """Where the lines of one axis are: evenly spaced or not, in a part of the image or all of it."""
    size = options.image_size
    least, most = cells * (width + _PAPER * size / 224), size - width
    extent = most if likely(rng, options.bleed) else even(rng, max(least, share * most), most)
    start = width / 2 + even(rng, 0, most - extent)
    shares = rng.uniform(0.5, 1.5, cells) if likely(rng, options.uneven) else np.ones(cells)
    sides = least / cells + (extent - least) * shares / shares.sum()
    return (start, *(start + np.cumsum(sides)).tolist())


def fill(rng: np.random.Generator, scene: Scene, words: WordSource, font: Font, split: Split) -> Scene:
    """The table with words of a split in all of its cells or some, set to the left, the middle or the right.

    Raises WordsError if there are no words of the split.
    """
    full, place = likely(rng, 0.6), (0.0, 0.5, 0.5, 1.0)[whole(rng, 0, 3)]
    share = even(rng, 0.4, 1.0)
    cells = [cell for cell in product(range(scene.rows), range(scene.columns)) if full or likely(rng, share)]
    texts = [words.sample(rng, split) for _ in cells]
    ems = [measure_word(font.path, text).width for text in texts]
    rooms = [scene.xs[column + 1] - scene.xs[column] - scene.line_width for _, column in cells]
    size = even(rng, 0.15, 0.45) * (scene.smallest - scene.line_width)
    size = min([size, *(_WIDEST * room / em for room, em in zip(rooms, ems, strict=True))])
    found = []
    for (row, column), text, em, room in zip(cells, texts, ems, rooms, strict=True):
        left = (scene.xs[column] + scene.xs[column + 1] - _WIDEST * room) / 2
        baseline = (scene.ys[row] + scene.ys[row + 1]) / 2 + _BELOW * size
        found.append((text, round(left + place * (_WIDEST * room - size * em), 2), round(baseline, 2)))
    return replace(scene, words=tuple(found), font=font.digest, font_size=size)


def draw(scene: Scene, font: Font | None) -> Canvas:
    """The lines, and the words in that font if there are any."""
    canvas = Canvas(scene.image_size, scene.image_size, scene.background)
    half, xs, ys = scene.line_width / 2, scene.xs, scene.ys
    upright: list[Box] = [(x - half, ys[0] - half, x + half, ys[-1] + half) for x in xs]
    level: list[Box] = [(xs[0] - half, y - half, xs[-1] + half, y + half) for y in ys]
    canvas.boxes(upright + level, scene.color)
    if font:
        canvas.texts(scene.words, font.path, scene.font_size, scene.text_color)
    return canvas


def twin(rng: np.random.Generator, scene: Scene) -> Scene | None:
    """The same table without its last row or its last column, and what stands in it."""
    ways = [
        replace(scene, xs=xs, ys=ys, words=tuple(w for w in scene.words if w[1] < xs[-1] and w[2] < ys[-1]))
        for xs, ys in ((scene.xs[:-1], scene.ys), (scene.xs, scene.ys[:-1]))
        if min(len(xs), len(ys)) > FEWEST
    ]
    return ways[whole(rng, 0, len(ways) - 1)] if ways else None


def benchmark_lines(cells: int, width: float, size: int) -> Lines:
    """Where the benchmark has the lines of one axis; they are evenly spaced from edge to edge."""
    return tuple(width / 2 + i * (size - width) / cells for i in range(cells + 1))


def is_off_benchmark(xs: Lines, ys: Lines, size: int) -> bool:
    """Whether a line has to be moved by 2 px of 224 or more to make the table one of the benchmark's."""
    if (len(ys) - 1, len(xs) - 1) not in BENCHMARK_SHAPES:
        return True
    return all(
        max(
            abs(a - b)
            for lines in (xs, ys)
            for a, b in zip(
                lines, benchmark_lines(len(lines) - 1, width * size / BENCHMARK_DRAWN, size), strict=True
            )
        )
        >= OFF_BENCHMARK * size / 224
        for width in BENCHMARK_WIDTHS
    )
