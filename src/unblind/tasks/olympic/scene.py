"""Rings or pentagons that overlap like the Olympic logo's: how they are chosen and drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from unblind.flags import Drawing
from unblind.tasks.canvas import BLACK, WHITE, Canvas, Color, Point
from unblind.tasks.colors import TAB10, pale, unlike
from unblind.tasks.knobs import (
    Range,
    check_image_size,
    check_range,
    check_share,
    even,
    even_log,
    likely,
    whole,
)

Outline = tuple[float, float, float]  # x, y, radius (of a pentagon: from its centre to its corners), px
Draw = Callable[[Canvas, Outline, float, Color, float], None]  # outline, turn, colour, line width
Rows = tuple[tuple[float, ...], tuple[float, ...]]  # the places along the upper and the lower row
# By the axes' width over twice the size: the radius, the distance of the rows, and the two ways to place each
# count, all as shares of the axes' width.
Layout = Callable[[float], tuple[float, float, dict[int, tuple[Rows, Rows]]]]

MOST = 12
# The benchmark's images (width, height, px) and the width of the axes that they show.
SIZES = ((384, 385, 385), (769, 770, 770), (1155, 1155, 1155))
FRACTIONS = (7, 10)  # half of the axes over a circle's radius, or a pentagon's side
LINE_WIDTHS = (0.5, 1.0)  # points
COUNTS = (5, 6, 7, 8, 9)
POINTS = 277.2  # of the axes' width
OFF_BENCHMARK = 2 / 224  # of the image's width: how far our scenes keep from the benchmark's
LEAST_RADIUS = 0.03  # of the image's width; the benchmark's smallest is 0.043
_TRIES = 40


@dataclass(frozen=True)
class Scene:
    """Some outlines, drawn in their order."""

    width: int  # px
    height: int  # px
    outlines: tuple[Outline, ...]
    colors: tuple[Color, ...]
    line_width: float  # px
    turn: float = 0.0  # of pentagons, radians clockwise; at 0 they point up
    background: Color = WHITE


@dataclass(frozen=True)
class Options:
    """The knobs. Pairs are the ends of a range; each count is as frequent as the others.

    Attributes:
        image_size: px; images are square.
        count: how many there are (the benchmark: 5 to 9).
        line_width: in points on the benchmark's figure, 1/277 of the image (the benchmark: 0.5 and 1).
        fill: how much of the image they take up, in its longer direction (the benchmark: 0.31 to 0.82).
        turned: the share of scenes that are turned by any angle.
        uneven: the share of scenes in which sizes differ.
    """

    image_size: int = 224
    count: Drawing[tuple[int, int]] = (3, MOST)
    line_width: Drawing[Range] = (0.4, 4.0)
    fill: Drawing[Range] = (0.3, 0.95)
    turned: Drawing[float] = 0.3
    uneven: Drawing[float] = 0.2

    def __post_init__(self) -> None:
        """Refuse values that no scene can be made of. Raises SceneError, naming the knob."""
        check_image_size(self.image_size)
        check_range("count", self.count, 1, MOST)
        check_range("line_width", self.line_width, 0.2, 10)
        check_range("fill", self.fill, 0.1, 0.97)
        check_share("turned", self.turned)
        check_share("uneven", self.uneven)


def sample(rng: np.random.Generator, options: Options, known: NDArray[np.float64]) -> Scene | None:
    """As many outlines as were chosen first; None if they can't be told apart in an image so small.

    Args:
        rng: makes all choices.
        options: the knobs.
        known: the benchmark's scenes, as `benchmark_places` has them, which ours keep off.
    """
    count = whole(rng, *options.count)
    for _ in range(_TRIES):
        scene = _propose(rng, count, options)
        if is_clear(scene) and is_off_benchmark(scene, known):
            return scene
    return None


def _propose(rng: np.random.Generator, count: int, options: Options) -> Scene:
    size = options.image_size
    width = max(0.3, even_log(rng, *options.line_width) * size / POINTS)
    turn = even(rng, 0, 2 * math.pi) if likely(rng, options.turned) else 0.0
    sine, cosine = math.sin(turn), math.cos(turn)
    cluster = [
        (x * cosine - y * sine, x * sine + y * cosine, radius)
        for x, y, radius in _cluster(rng, count, likely(rng, options.uneven))
    ]
    low = [min(place[axis] - place[2] for place in cluster) for axis in (0, 1)]
    extent = [max(place[axis] + place[2] for place in cluster) - low[axis] for axis in (0, 1)]
    margin = 1 + 0.65 * width  # a pentagon's corners reach beyond half a line width
    unit = min(even(rng, *options.fill) * size, size - 2 * margin) / max(extent)
    left, top = (margin + even(rng, 0, max(0.0, size - 2 * margin - unit * length)) for length in extent)
    outlines = tuple(
        ((x - low[0]) * unit + left, (y - low[1]) * unit + top, radius * unit) for x, y, radius in cluster
    )
    background = pale(rng)
    return Scene(size, size, outlines, _colors(rng, count, background), width, turn, background)


def _cluster(rng: np.random.Generator, count: int, uneven: bool) -> list[Outline]:
    """Places in one to three rows, each row shifted by about half a step against the one before it."""
    rows = whole(rng, 1, min(3, (count + 1) // 2))
    step, down = even(rng, 1.2, 2.4), even(rng, 0.8, 1.7)
    jitter = 0.15 if likely(rng, 0.5) else 0.0
    ends = [round(count * (i + even(rng, -0.25, 0.25)) / rows) for i in range(1, rows)]
    lengths = np.diff([0, *ends, count]).tolist()
    found = []
    for row, length in enumerate(lengths):
        shift = 0.5 * ((row + lengths[0] + length) % 2) + even(rng, -0.1, 0.1)
        for i in range(length):
            x, y = step * (i - (length - 1) / 2 + shift), down * row
            radius = even(rng, 0.75, 1.25) if uneven else 1.0
            found.append((x + jitter * even(rng, -1, 1), y + jitter * even(rng, -1, 1), radius))
    return found


def _colors(rng: np.random.Generator, count: int, background: Color) -> tuple[Color, ...]:
    """All black, all of some colour, Matplotlib's ten in their order, or any."""
    way = whole(rng, 0, 5)
    if way < 3:
        return (BLACK if way else unlike(rng, background),) * count
    if way < 5:
        return tuple(TAB10[i % len(TAB10)] for i in range(count))
    return tuple(unlike(rng, background) for _ in range(count))


def is_clear(scene: Scene) -> bool:
    """Whether everyone would count the same: nothing is too small, and no two lie nearly at one place."""
    least = min(radius for _, _, radius in scene.outlines)
    apart = max(0.6 * max(radius for _, _, radius in scene.outlines), 2 * scene.line_width + 2)
    return least >= max(LEAST_RADIUS * scene.width, 1.5 * scene.line_width + 2) and nearest(scene) >= apart


def nearest(scene: Scene) -> float:
    """The least distance between two centres, px."""
    pairs = combinations(scene.outlines, 2)
    return min((math.sqrt((x - u) ** 2 + (y - v) ** 2) for (x, y, _), (u, v, _) in pairs), default=math.inf)


def is_off_benchmark(scene: Scene, known: NDArray[np.float64]) -> bool:
    """Whether each benchmark scene has an outline that no outline of ours comes near, or the other way round.

    Near: within 2 px of 224, in its place and in its radius.
    """
    ours = places(scene)
    layouts = known[np.isfinite(known[:, :, 0]).sum(1) == len(ours)][:, : len(ours)]
    apart = np.abs(layouts[:, :, None] - ours).max(-1)  # (layouts, theirs, ours)
    far = np.maximum(apart.min(1).max(-1), apart.min(2).max(-1))
    return bool(far.min(initial=np.inf) >= OFF_BENCHMARK)


def places(scene: Scene) -> NDArray[np.float64]:
    """Places and radii as shares of the image, (n, 3)."""
    shares: NDArray[np.float64] = np.array(scene.outlines) / (scene.width, scene.height, scene.width)
    return shares


def benchmark_places(scenes: Iterator[Scene]) -> NDArray[np.float64]:
    """The places and radii of some scenes, each once: (scenes, 9, 3); NaN where a scene has fewer than 9."""
    found = {scene.outlines: places(scene) for scene in scenes}
    table = np.full((len(found), max(COUNTS), 3), np.nan)
    for row, ours in zip(table, found.values(), strict=True):
        row[: len(ours)] = ours
    return table


def draw(scene: Scene, outline: Draw) -> Canvas:
    """All of them, in their order."""
    canvas = Canvas(scene.width, scene.height, scene.background)
    for place, color in zip(scene.outlines, scene.colors, strict=True):
        outline(canvas, place, scene.turn, color, scene.line_width)
    return canvas


def ring(canvas: Canvas, place: Outline, _: float, color: Color, line_width: float) -> None:
    """A circle."""
    canvas.circle(*place, color, line_width)


def pentagon(canvas: Canvas, place: Outline, turn: float, color: Color, line_width: float) -> None:
    """A regular pentagon."""
    canvas.polygon(corners(place, turn), color, line_width)


def corners(place: Outline, turn: float) -> list[Point]:
    """A regular pentagon's corners; at turn 0 the first is the topmost."""
    x, y, radius = place
    angles = [turn + k * 2 * math.pi / 5 for k in range(5)]
    return [(x + radius * math.sin(angle), y - radius * math.cos(angle)) for angle in angles]


def twin(rng: np.random.Generator, scene: Scene) -> Scene | None:
    """The same without one of them, but not the first, which tells the split; None if there is no other."""
    count = len(scene.outlines)
    if count < 2:
        return None
    out = int(rng.integers(1, count))
    kept = [i for i in range(count) if i != out]
    return replace(
        scene,
        outlines=tuple(scene.outlines[i] for i in kept),
        colors=tuple(scene.colors[i] for i in kept),
    )


def benchmark_scenes(layout: Layout) -> Iterator[Scene]:
    """The benchmark's 240 scenes; some of pentagons are there twice."""
    for (width, height, axes), fraction in product(SIZES, FRACTIONS):
        radius, down, ways = layout(fraction)
        for count, points, colored in product(COUNTS, LINE_WIDTHS, (False, True)):
            colors = TAB10[:count] if colored else (BLACK,) * count
            for upper, lower in ways[count]:
                spots = [(x, 0.4) for x in upper] + [(x, 0.4 + down) for x in lower]
                outlines = tuple(((0.5 + x) * axes, y * axes, radius * axes) for x, y in spots)
                yield Scene(width, height, outlines, colors, points * axes / POINTS)
