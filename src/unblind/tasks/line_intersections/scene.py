"""Two bent lines: how they are chosen, drawn, and counted.

Both lines run from the left to the right (or, `turned`, from the top to the bottom), so that their distance
is a function of x, linear between bends. They are told apart wherever one of them bends, and so in between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np

from unblind.errors import SceneError
from unblind.flags import Drawing
from unblind.tasks.canvas import Canvas, Color, Point
from unblind.tasks.colors import pale
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

Line = tuple[Point, ...]

BLUE: Color = (0, 0, 255)
RED: Color = (255, 0, 0)
# The benchmark's figure: 5 x 5 inches, 5 units wide; lines end at the outer columns, bend at the middle one.
COLUMNS = (0.04, 2.5, 4.96)
HEIGHTS = (0.04, 0.4, 0.85, 1.25, 1.65, 2.1, 2.5, 2.9, 3.35, 3.75, 4.15, 4.6, 4.96)
UNITS = 5.0
POINTS = 360.0  # of the figure's width
MOST_CROSSINGS = 4
OFF_LATTICE = 2 / 224  # of the image size: how far our bends keep from its columns and heights
CLEARANCE = 2.0  # px of background between the lines wherever one of them bends
_TRIES = 40


@dataclass(frozen=True)
class Scene:
    """Two lines; the first is drawn first."""

    width: int  # px
    height: int  # px
    blue: Line
    red: Line
    line_width: float  # px
    red_on_top: bool = True
    turned: bool = False  # the lines run from the top to the bottom
    blue_color: Color = BLUE
    red_color: Color = RED
    background: Color = (255, 255, 255)


@dataclass(frozen=True)
class Options:
    """The knobs. Pairs are the ends of a range; each number of crossings is as frequent as the others.

    Attributes:
        image_size: px; images are square.
        crossings: how often the lines cross (the benchmark: 0 to 2).
        bends: of each line (the benchmark: 1).
        line_width: in points on a figure 5 inches wide (the benchmark: 2 and 4).
        hard: the share of scenes in which the lines come close where one of them bends.
    """

    image_size: int = 224
    crossings: Drawing[tuple[int, int]] = (0, MOST_CROSSINGS)
    bends: Drawing[tuple[int, int]] = (1, 4)
    line_width: Drawing[Range] = (1.0, 7.0)
    hard: Drawing[float] = 0.35

    def __post_init__(self) -> None:
        """Refuse values that no scene can be made of. Raises SceneError, naming the knob."""
        check_image_size(self.image_size)
        check_range("crossings", self.crossings, 0, MOST_CROSSINGS)
        check_range("bends", self.bends, 1, 6)
        check_range("line_width", self.line_width, 0.5, 20)
        check_share("hard", self.hard)
        if self.crossings[1] > self.bends[1] + 1:
            raise SceneError(
                f"--crossings {self.crossings[0]} {self.crossings[1]}: lines with {self.bends[1]} bends cross"
                f" at most {self.bends[1] + 1} times; raise --bends"
            )


def sample(rng: np.random.Generator, options: Options) -> Scene | None:
    """Two lines that cross as often as was chosen first; None if no such lines were found."""
    count = whole(rng, *options.crossings)
    for _ in range(_TRIES):
        scene = _propose(rng, count, options)
        if crossings(scene) == count and is_clear(scene) and is_off_lattice(scene):
            return scene
    return None


def _propose(rng: np.random.Generator, count: int, options: Options) -> Scene:
    """Lines whose order from top to bottom changes `count` times from bend to bend."""
    size, bends = options.image_size, whole(rng, max(options.bends[0], count - 1), options.bends[1])
    width = max(0.5, even_log(rng, *options.line_width) * size / POINTS)
    low, high = _span(rng, size, width)
    bottom, top = _span(rng, size, width)
    step = (high - low) / (bends + 1)
    columns = [low + step * (i + even(rng, -0.3, 0.3) * (0 < i <= bends)) for i in range(bends + 2)]
    changes = set(rng.choice(bends + 1, count, replace=False).tolist())
    near = whole(rng, 0, bends + 1) if likely(rng, options.hard) else -1
    above, points = likely(rng, 0.5), []
    for i in range(bends + 2):
        least = width + CLEARANCE
        gap = (
            even(rng, least, least + 0.03 * size) if i == near else even(rng, least, max(least, top - bottom))
        )
        middle = even(rng, bottom + gap / 2, top - gap / 2) if gap < top - bottom else (bottom + top) / 2
        points.append((middle - gap / 2, middle + gap / 2)[:: 1 if above else -1])
        above ^= i in changes
    own = likely(rng, 0.5)  # each line bends at places of its own
    one, other = (
        tuple(
            (x + step * even(rng, -0.3, 0.3) * (own and 0 < i <= bends), pair[side])
            for i, (x, pair) in enumerate(zip(columns, points, strict=True))
        )
        for side in (0, 1)
    )
    turned = likely(rng, 0.2)
    blue, red = (tuple(_nudged(point, size) for point in _forward(line, turned)) for line in (one, other))
    shades = (BLUE, RED) if likely(rng, 0.5) else _shades(rng)
    return Scene(size, size, blue, red, width, likely(rng, 0.5), turned, *shades, pale(rng))


def _span(rng: np.random.Generator, size: int, line_width: float) -> Range:
    """From where to where the lines reach on one axis: half the image or more."""
    margin = max(0.022 * size, line_width / 2 + 1)
    extent = even(rng, 0.5 * size, size - 2 * margin)
    low = even(rng, margin, size - margin - extent)
    return low, low + extent


def _shades(rng: np.random.Generator) -> tuple[Color, Color]:
    """A blue and a red."""
    blue, green, red, rest = (whole(rng, *ends) for ends in ((170, 255), (0, 110), (190, 255), (0, 70)))
    return (whole(rng, 0, 60), green, blue), (red, rest, whole(rng, 0, 70))


def draw(scene: Scene, without: str | None = None) -> Canvas:
    """Both lines, with ends that project by half a line width, as Matplotlib's do; `without` one of them."""
    canvas = Canvas(scene.width, scene.height, scene.background)
    strokes = [("blue line", scene.blue, scene.blue_color), ("red line", scene.red, scene.red_color)]
    for name, line, color in strokes if scene.red_on_top else strokes[::-1]:
        if name != without:
            canvas.polyline(line, scene.line_width, color, cap="projecting")
    return canvas


def crossings(scene: Scene) -> int:
    """How often the lines cross: the pairs of their segments of which each separates the other's ends."""
    return sum(_cross(*one, *other) for one, other in product(pairwise(scene.blue), pairwise(scene.red)))


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    return (_side(a, b, c) > 0) != (_side(a, b, d) > 0) and (_side(c, d, a) > 0) != (_side(c, d, b) > 0)


def _side(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def clearance(scene: Scene) -> float:
    """The least background between the lines, px, at the places where one of them bends or ends."""
    blue, red = (_forward(line, scene.turned) for line in (scene.blue, scene.red))
    gaps = [_gap(point, red) for point in blue] + [_gap(point, blue) for point in red]
    return min(gaps) - scene.line_width


def is_clear(scene: Scene) -> bool:
    """Whether everyone would count the same: the lines are apart where they bend, and nothing is cut off.

    Bends of a line are apart, too.
    """
    edge = scene.line_width / 2 + 0.5
    inside = all(
        edge <= x <= scene.width - edge and edge <= y <= scene.height - edge
        for x, y in scene.blue + scene.red
    )
    forward = [_forward(line, scene.turned) for line in (scene.blue, scene.red)]
    apart = all(x1 - x0 >= 2 + scene.line_width for line in forward for (x0, _), (x1, _) in pairwise(line))
    return inside and apart and clearance(scene) >= CLEARANCE


def _nudged(point: Point, size: int) -> Point:
    """The point, or the nearest one that is just off the benchmark's columns and heights."""
    found = []
    for value, lattice in zip(point, (COLUMNS, HEIGHTS), strict=True):
        nearest = min((known * size / UNITS for known in lattice), key=lambda known: abs(value - known))
        off = math.copysign(1.01 * OFF_LATTICE * size, value - nearest)
        found.append(nearest + off if abs(value - nearest) < abs(off) else value)
    return found[0], found[1]


def _forward(line: Line, turned: bool) -> Line:
    return tuple((y, x) for x, y in line) if turned else line


def _gap(point: Point, line: Line) -> float:
    """A point's distance to the segments of a line that are beside it."""
    x, y = point
    distances = []
    for (x0, y0), (x1, y1) in pairwise(line):
        if x0 - 1e-9 <= x <= x1 + 1e-9:
            slope = (y1 - y0) / (x1 - x0)
            distances.append(abs(y0 + slope * (x - x0) - y) / math.sqrt(1 + slope * slope))
    return min(distances, default=math.inf)


def is_off_lattice(scene: Scene) -> bool:
    """Whether every bend and end is 2 px of 224 or more from the benchmark's columns, or from its heights."""
    return all(
        min(abs(x / scene.width - column / UNITS) for column in COLUMNS) >= OFF_LATTICE
        and min(abs(y / scene.height - height / UNITS) for height in HEIGHTS) >= OFF_LATTICE
        for x, y in (*scene.blue, *scene.red)
    )


def twin(rng: np.random.Generator, scene: Scene) -> Scene | None:
    """The same lines, one bend or end moved as little as will do, so that they cross more or less often."""
    count, bends = crossings(scene), len(scene.blue)
    order = (1 + rng.permutation(bends + len(scene.red) - 1)).tolist()  # the first tells the split
    for step in range(1, 40):
        for i, sign in product(order, (1, -1)):
            shift = sign * step * 0.025
            if i < bends:
                moved = replace(scene, blue=_moved(scene, scene.blue, i, shift))
            else:
                moved = replace(scene, red=_moved(scene, scene.red, i - bends, shift))
            if crossings(moved) != count and is_clear(moved):
                return moved
    return None


def _moved(scene: Scene, line: Line, index: int, share: float) -> Line:
    x, y = line[index]
    point = (x + share * scene.width, y) if scene.turned else (x, y + share * scene.height)
    return (*line[:index], point, *line[index + 1 :])


def benchmark_pair(rng: np.random.Generator) -> tuple[Line, Line]:
    """Two lines by the benchmark's rules, in its units; y points up."""
    while True:
        pairs = [rng.choice(HEIGHTS, 2, replace=False).tolist() for _ in COLUMNS]
        blue, red = zip(*pairs, strict=True)
        if not any(a == b in (HEIGHTS[0], HEIGHTS[-1]) for line in (blue, red) for a, b in pairwise(line)):
            return tuple(zip(COLUMNS, blue, strict=True)), tuple(zip(COLUMNS, red, strict=True))


def benchmark_scene(pair: tuple[Line, Line], resolution: int, thickness: float) -> Scene:
    """Two lines of the benchmark on an image of it: px, and points."""
    unit = resolution / UNITS
    blue, red = (tuple((x * unit, resolution - y * unit) for x, y in line) for line in pair)
    return Scene(resolution, resolution, blue, red, thickness * resolution / POINTS)
