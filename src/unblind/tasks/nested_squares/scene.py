"""Squares in one another: how they are chosen and drawn.

All lengths are in px between the middles of lines. A square is told from the next as long as there is some
background between their lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from unblind.flags import Drawing
from unblind.tasks.canvas import BLACK, WHITE, Canvas, Color
from unblind.tasks.colors import pale, unlike
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

Square = tuple[float, float, float]  # left, top, side

MOST_SQUARES = 7
POINTS = 720.0  # of the figure's width: 10 inches
# px at 224 px:
_BORDER = 2.0  # outside the outermost line
_BETWEEN = 1.0  # of background between two lines, at least
_HOLE = 2.0  # of background inside the innermost line, at least

# The benchmark's figure has axes 770 px wide, from -15 to 15, about (512.5, 505) of its 1000 px.
BENCHMARK_SIZE = 1000
BENCHMARK_DEPTHS = (2, 3, 4, 5)
BENCHMARK_WIDTHS = (2, 3, 4)  # points
_UNIT = 770 / 30  # px
_CENTRE = (512.5, 505.0)  # px
_AWAY, _SIDES = 5.0, (8.0, 18.0)  # units: how far the outermost square's centre is, and its side
_SHRINK, _PADDING = 0.75, 0.75  # the next side is .75 of the last, less .75 units
OFF_BENCHMARK = 2.0  # px at 224 px that some edge has to be moved by to make a scene one of the benchmark's


@dataclass(frozen=True)
class Scene:
    """Squares, the outermost first."""

    image_size: int  # px
    squares: tuple[Square, ...]
    line_width: float  # px
    color: Color = BLACK
    background: Color = WHITE

    @property
    def gaps(self) -> list[float]:
        """The least background between each square's line and the next one's, px."""
        return [
            min(b[0] - a[0], b[1] - a[1], a[0] + a[2] - b[0] - b[2], a[1] + a[2] - b[1] - b[2])
            - self.line_width
            for a, b in pairwise(self.squares)
        ]


@dataclass(frozen=True)
class Options:
    """The knobs. Pairs are the ends of a range; each number of squares is as frequent as the others.

    Attributes:
        image_size: px; images are square.
        squares: how many there are (the benchmark: 2 to 5).
        line_width: in points on a figure 10 inches wide (the benchmark: 2, 3, 4).
        hard: how often a square is pushed into a side or a corner of the one around it.
        colored: the share of images that are not black on white.
    """

    image_size: int = 224
    squares: Drawing[tuple[int, int]] = (1, MOST_SQUARES)
    line_width: Drawing[Range] = (1.5, 8.0)
    hard: Drawing[float] = 0.1
    colored: Drawing[float] = 0.5

    def __post_init__(self) -> None:
        """Refuse values that no scene can be made of. Raises SceneError, naming the knob."""
        check_image_size(self.image_size)
        check_range("squares", self.squares, 1, MOST_SQUARES)
        check_range("line_width", self.line_width, 0.5, 40)  # 7 squares fit in any image up to 47
        check_share("hard", self.hard)
        check_share("colored", self.colored)


def sample(rng: np.random.Generator, options: Options) -> Scene:
    """As many squares as are chosen first, off the benchmark."""
    count = whole(rng, *options.squares)
    width = max(THINNEST, even(rng, *options.line_width) * options.image_size / POINTS)
    while True:
        scene = Scene(options.image_size, _nested(rng, count, width, options), width)
        if is_off_benchmark(scene):
            break
    if not likely(rng, options.colored):
        return scene
    background = pale(rng)
    return replace(scene, color=unlike(rng, background), background=background)


def _nested(rng: np.random.Generator, count: int, width: float, options: Options) -> tuple[Square, ...]:
    size = options.image_size
    least, most = _sides(size, count, width)
    side = even(rng, least, most)
    border = _BORDER * size / 224 + width / 2
    squares = [(even(rng, border, size - border - side), even(rng, border, size - border - side), side)]
    # what the steps have beyond the least: at random, or ever smaller, as the benchmark's
    shares = rng.exponential(size=count) * even(rng, 0.4, 1.0) ** np.arange(count)
    step = 2 * (_BETWEEN * size / 224 + width)
    for share in (shares / shares.sum() * (side - least)).tolist()[:-1]:
        squares.append(_inside(rng, squares[-1], step + share, step / 2, options.hard))
    return tuple(squares)


def _inside(rng: np.random.Generator, outer: Square, less: float, gap: float, hard: float) -> Square:
    """A square that is smaller by `less`, by `gap` or more off each side."""
    x, y, side = outer
    left, top = even(rng, 0, 1), even(rng, 0, 1)
    if likely(rng, hard):
        left = round(left)
        top = round(top) if likely(rng, 0.5) else top
    return x + gap + left * (less - 2 * gap), y + gap + top * (less - 2 * gap), side - less


def _sides(size: int, count: int, width: float) -> Range:
    """The least and the most that the outermost side can be, px."""
    scale = size / 224
    least = _HOLE * scale + width + (count - 1) * 2 * (_BETWEEN * scale + width)
    return least, size - 2 * _BORDER * scale - width


def draw(scene: Scene) -> Canvas:
    """The squares' outlines."""
    canvas = Canvas(scene.image_size, scene.image_size, scene.background)
    half = scene.line_width / 2
    sides = []
    for x, y, side in scene.squares:
        for near, far in ((-half, half), (side - half, side + half)):
            sides.append((x - half, y + near, x + side + half, y + far))
            sides.append((x + near, y - half, x + far, y + side + half))
    canvas.boxes(sides, scene.color)
    return canvas


def twin(rng: np.random.Generator, scene: Scene) -> Scene | None:
    """The same squares but for one: one of the inner ones taken out, or one more put into the innermost."""
    *_, last = squares = scene.squares
    fewer = [squares[:i] + squares[i + 1 :] for i in range(1, len(squares))]
    gap = _BETWEEN * scene.image_size / 224 + scene.line_width
    room = last[2] - 2 * gap - _HOLE * scene.image_size / 224 - scene.line_width
    more = []
    if room >= 0 and len(squares) < MOST_SQUARES:
        more = [(*squares, _inside(rng, last, 2 * gap + even(rng, 0, room), gap, 0.0))]
    if not fewer + more:
        return None
    chosen = more if more and (not fewer or likely(rng, 0.5)) else fewer
    return replace(scene, squares=chosen[whole(rng, 0, len(chosen) - 1)])


def is_off_benchmark(scene: Scene) -> bool:
    """Whether an edge has to be moved by 2 px of 224 or more to make the scene one of the benchmark's.

    There, depth and first side determine all sides. Edges moved by less than d change a side by less than 2d,
    and what the rule makes of it by less than 1.5d. Where the squares lie in one another is ignored.
    """
    unit, off = _UNIT * scene.image_size / BENCHMARK_SIZE, OFF_BENCHMARK * scene.image_size / 224
    sides = [side for _, _, side in scene.squares]
    x, y, side = scene.squares[0]
    return (
        len(sides) not in BENCHMARK_DEPTHS
        or not _SIDES[0] * unit - 2 * off < side < _SIDES[1] * unit + 2 * off
        or any(
            abs(at + side / 2 - middle * scene.image_size / BENCHMARK_SIZE) > _AWAY * unit + off
            for at, middle in zip((x, y), _CENTRE, strict=True)
        )
        or any(abs(b - _SHRINK * a + _PADDING * unit) >= 3.5 * off for a, b in pairwise(sides))
    )


def benchmark_scenes(rng: np.random.Generator, images: int) -> Iterator[Scene]:
    """A new sample by the benchmark's rules: so many images of each depth, each in three line widths."""
    for depth in BENCHMARK_DEPTHS:
        for _ in range(images):
            squares = _benchmark_squares(rng, depth)
            for points in BENCHMARK_WIDTHS:
                yield Scene(BENCHMARK_SIZE, squares, points * BENCHMARK_SIZE / POINTS)


def _benchmark_squares(rng: np.random.Generator, depth: int) -> tuple[Square, ...]:
    x, y = even(rng, -_AWAY, _AWAY), even(rng, -_AWAY, _AWAY)  # units, y pointing up
    side, squares = even(rng, *_SIDES), []
    for _ in range(depth):
        left, top = _CENTRE[0] + (x - side / 2) * _UNIT, _CENTRE[1] - (y + side / 2) * _UNIT
        squares.append((left, top, side * _UNIT))
        following = _SHRINK * side - _PADDING
        slack = (side - following - _PADDING) / 2
        x, y, side = x + even(rng, -slack, slack), y + even(rng, -slack, slack), following
    return tuple(squares)
