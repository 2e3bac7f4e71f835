"""Two filled circles: how they are chosen and drawn, and what they do to each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from unblind.flags import Drawing
from unblind.tasks.canvas import WHITE, Canvas, Color
from unblind.tasks.colors import pale, unlike
from unblind.tasks.knobs import (
    Range,
    check_image_size,
    check_number,
    check_range,
    check_share,
    even,
    even_log,
    likely,
)

COLORS: tuple[Color, Color] = ((0, 117, 255), (234, 0, 255))  # the benchmark's
# The benchmark's images (width, height, px) and the width of the axes that they show.
SIZES = ((384, 385, 385), (769, 770, 770), (1155, 1155, 1155))
FRACTIONS = (4, 5, 6, 7)  # a circle's radius is 0.5 / fraction of the axes
ROTATIONS = ("horizontal", "vertical", "diagonal_1", "diagonal_2")
DISTANCES = tuple(round(0.05 * i - 0.15, 2) for i in range(14))  # gaps, in diameters
# Where the first circle lies, seen from the middle; y points down.
_DIAGONAL = math.sqrt(0.5)
_FIRST = {
    "horizontal": (-1.0, 0.0),
    "vertical": (0.0, 1.0),
    "diagonal_1": (-_DIAGONAL, -_DIAGONAL),
    "diagonal_2": (-_DIAGONAL, _DIAGONAL),
}
# A gap or an overlap that can be seen; nothing is drawn between it and exact touching. At 224 px it is less
# than the benchmark's smallest, which is 0.05 of a diameter: 1.6 px.
VISIBLE = 1.25  # px
TOUCHING = 1e-6  # of the image's width: rounding, not a gap
OFF_BENCHMARK = 2 / 224  # of the image's width: how far our scenes keep from the benchmark's
_NEAR = 0.03  # of the image's width: gaps that are hard to see
MOST_OVERLAP = 1.2  # of the smaller radius: more would hide it
_TRIES = 40
_MARGIN = 1.0  # px kept free at the border


@dataclass(frozen=True)
class Scene:
    """Two circles as (x, y, radius), px; the first is drawn first."""

    width: int  # px
    height: int  # px
    first: tuple[float, float, float]
    second: tuple[float, float, float]
    colors: tuple[Color, Color] = COLORS
    background: Color = WHITE

    @property
    def gap(self) -> float:
        """Background between the circles, px; negative where they overlap, 0 where they touch."""
        (x, y, r), (u, v, s) = self.first, self.second
        gap = math.sqrt((u - x) ** 2 + (v - y) ** 2) - r - s
        return 0.0 if abs(gap) < TOUCHING * self.width else gap


@dataclass(frozen=True)
class Options:
    """The knobs. Pairs are the ends of a range. Circles overlap as often as they lie apart.

    Attributes:
        image_size: px; images are square.
        radius: of the larger circle, as a share of the image (the benchmark: 0.071 to 0.125).
        ratio: the largest that the larger radius is over the smaller (the benchmark: 1).
        gap: the largest gap, and overlap, as a share of the smaller circle's diameter (the benchmark: 0.5).
        touching: the share of pairs that touch in exactly one point.
        hard: the share of pairs whose gap or overlap is less than 3 % of the image.
    """

    image_size: int = 224
    radius: Drawing[Range] = (0.05, 0.22)
    ratio: Drawing[float] = 2.5
    gap: Drawing[float] = 0.7
    touching: Drawing[float] = 0.1
    hard: Drawing[float] = 0.5

    def __post_init__(self) -> None:
        """Refuse values that no scene can be made of. Raises SceneError, naming the knob."""
        check_image_size(self.image_size)
        check_range("radius", self.radius, 0.04, 0.4)
        check_number("ratio", self.ratio, 1, 4)
        check_number("gap", self.gap, 0.1, 4)
        check_share("touching", self.touching)
        check_share("hard", self.hard)


def sample(rng: np.random.Generator, options: Options) -> Scene | None:
    """Two circles that do to each other what was chosen first; None if none were found."""
    side = 0 if likely(rng, options.touching) else 1 if likely(rng, 0.5) else -1
    hard = likely(rng, options.hard)
    for _ in range(_TRIES):
        scene = _propose(rng, options, side, hard)
        if is_whole(scene) and is_off_benchmark(scene):
            return scene
    return None


def _propose(rng: np.random.Generator, options: Options, side: int, hard: bool) -> Scene:
    """Circles apart (`side` 1), touching (0) or overlapping (-1), anywhere within the image."""
    size = options.image_size
    large = even_log(rng, *options.radius) * size
    small = large / even(rng, 1, options.ratio) if likely(rng, 0.6) else large
    most = min(2 * small * options.gap, _NEAR * size if hard else math.inf)
    gap = side * even(rng, VISIBLE, max(VISIBLE, most))
    radii = (large, small) if likely(rng, 0.5) else (small, large)
    turn = even(rng, 0, 2 * math.pi)
    straight = likely(rng, 0.3)  # as the benchmark's pairs lie: in the middle, along its directions
    if straight:
        turn = math.pi / 4 * round(4 * turn / math.pi)
    half, dx, dy = (large + small + gap) / 2, math.cos(turn), math.sin(turn)
    middle = [size / 2 if straight else _place(rng, size, half * abs(d), radii) for d in (dx, dy)]
    first, second = (
        (middle[0] + way * half * dx, middle[1] + way * half * dy, radius)
        for way, radius in zip((-1, 1), radii, strict=True)
    )
    return Scene(size, size, first, second, *_colors(rng))


def _place(rng: np.random.Generator, size: int, half: float, radii: tuple[float, float]) -> float:
    """Where the middle between the centres may lie on an axis along which these are 2 `half` apart."""
    reach = half + max(radii) + _MARGIN
    return even(rng, reach, max(reach, size - reach))


def _colors(rng: np.random.Generator) -> tuple[tuple[Color, Color], Color]:
    """The circles' colours and the background: the benchmark's, or any."""
    if likely(rng, 0.3):
        return COLORS, WHITE
    background = pale(rng)
    one = unlike(rng, background)
    return (one, unlike(rng, background, [one])), background


def is_whole(scene: Scene) -> bool:
    """Whether both circles lie within the image, and neither hides most of the other."""
    inside = all(
        r + _MARGIN <= x <= scene.width - r - _MARGIN and r + _MARGIN <= y <= scene.height - r - _MARGIN
        for x, y, r in (scene.first, scene.second)
    )
    return inside and -scene.gap <= min(scene.first[2], scene.second[2]) * MOST_OVERLAP


def draw(scene: Scene, without: str | None = None) -> Canvas:
    """Both circles, or one of them."""
    canvas = Canvas(scene.width, scene.height, scene.background)
    if without != "first":
        canvas.circle(*scene.first, scene.colors[0])
    if without != "second":
        canvas.circle(*scene.second, scene.colors[1])
    return canvas


def twin(scene: Scene, overlapping: bool) -> Scene | None:
    """The second circle pushed so that the two are just apart, or just overlap; None if it leaves the image.

    The first one stays, as it tells the split.
    """
    together = scene.gap < 0 or (scene.gap == 0 and not overlapping)
    seen = max(2 * VISIBLE, 0.01 * scene.width)
    by = (seen if together else -seen) - scene.gap
    (x, y, r), (u, v, s) = scene.first, scene.second
    share = by / (r + s + scene.gap)
    pushed = replace(scene, second=(u + (u - x) * share, v + (v - y) * share, s))
    return pushed if is_whole(pushed) else None


def is_off_benchmark(scene: Scene) -> bool:
    """Whether some number of the scene is 2 px of 224 or more from that of every benchmark pair."""
    return bool(np.abs(_known() - _numbers(scene)).max(1).min() >= OFF_BENCHMARK)


def _numbers(scene: Scene) -> NDArray[np.float64]:
    """Centres and radii as shares of the image, (6,)."""
    sizes = np.array([scene.width, scene.height, scene.width])
    numbers: NDArray[np.float64] = (np.array([scene.first, scene.second]) / sizes).ravel()
    return numbers


@lru_cache(maxsize=1)
def _known() -> NDArray[np.float64]:
    """The numbers of the benchmark's pairs, whichever circle is called the first: (1344, 6)."""
    found = np.array([_numbers(scene) for scene in benchmark_scenes()])
    return np.concatenate([found, found[:, [3, 4, 5, 0, 1, 2]]])


def benchmark_scenes() -> list[Scene]:
    """The benchmark's 672 pairs."""
    return [benchmark_scene(*kind) for kind in product(SIZES, FRACTIONS, ROTATIONS, DISTANCES)]


def benchmark_scene(size: tuple[int, int, int], fraction: int, rotation: str, distance: float) -> Scene:
    """One of the benchmark's pairs.

    Args:
        size: width and height of the image and the width of the axes, px.
        fraction: the axes over a diameter.
        rotation: how the pair lies.
        distance: the gap, in diameters.
    """
    width, height, axes = size
    radius, (dx, dy) = 0.5 * axes / fraction, _FIRST[rotation]
    away = radius * (1 + distance)
    first, second = ((axes / 2 + side * away * dx, axes / 2 + side * away * dy, radius) for side in (1, -1))
    return Scene(width, height, first, second)
