"""BlindTest's subway maps: new ones by its rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from unblind.errors import FontsError
from unblind.tasks.colors import TAB10
from unblind.tasks.fonts import Font, find_fonts
from unblind.tasks.knobs import whole
from unblind.tasks.subway.scene import (
    BENCHMARK_NODES,
    BENCHMARK_STOPS,
    BENCHMARK_UNITS,
    POINTS,
    Node,
    Route,
    Scene,
    turns,
)
from unblind.tasks.subway.walk import Edge, dice, edges, never, walk

MAPS = 15  # of each number of routes a station
ENDS = (1, 2, 3)  # routes a station
RESOLUTIONS = (512, 1024)  # px
THICKNESSES = (10, 20)  # points
COUNT = 536  # questions: of each map and each pair of stations that a route joins
_PAIRS = COUNT // len(RESOLUTIONS) // len(THICKNESSES)
_LETTER = 100  # points
_LABELS = (("A", 8.45, 16.5), ("B", 16.5, 8.6), ("C", 8.45, 0.6), ("D", 0.4, 8.6))  # units, y pointing up
_LAST = BENCHMARK_NODES - 1
STOPS: tuple[tuple[Node, ...], ...] = (
    tuple((stop, 0) for stop in BENCHMARK_STOPS),
    tuple((_LAST, stop) for stop in BENCHMARK_STOPS),
    tuple((stop, _LAST) for stop in BENCHMARK_STOPS),
    tuple((0, stop) for stop in BENCHMARK_STOPS),
)
OUTWARD: tuple[Node, ...] = ((0, -1), (1, 0), (0, 1), (-1, 0))


def benchmark_font() -> Font:
    """DejaVu Sans Bold, which comes with Matplotlib. Raises FontsError if it is gone."""
    for font in find_fonts("bundled").fonts:
        if (font.family, font.style) == ("DejaVu Sans", "Bold"):
            return font
    raise FontsError(
        "DejaVu Sans Bold is missing, which Matplotlib brings; run: pip install --force-reinstall matplotlib"
    )


def benchmark_scenes(rng: np.random.Generator, font: Font) -> Iterator[Scene]:
    """As many maps and questions as the benchmark has."""
    while True:
        maps = [benchmark_routes(rng, ends) for ends in ENDS for _ in range(MAPS)]
        asked = [sorted({(min(r[:2]), max(r[:2])) for r in routes}) for routes in maps]
        if sum(map(len, asked)) == _PAIRS:
            break
    for routes, pairs in zip(maps, asked, strict=True):
        for size, thickness in product(RESOLUTIONS, THICKNESSES):
            scene = benchmark_scene(routes, size, thickness, font)
            yield from (replace(scene, asked=pair) for pair in pairs)


def benchmark_scene(routes: tuple[Route, ...], size: int, thickness: float, font: Font) -> Scene:
    """A map of the benchmark on an image of it: px, and points."""
    unit = size / BENCHMARK_UNITS
    return Scene(
        image_size=size,
        origin=(2 * unit, 2 * unit),
        pitch=(unit, unit),
        nodes=(BENCHMARK_NODES, BENCHMARK_NODES),
        stations=tuple((name, x * unit, size - y * unit) for name, x, y in _LABELS),
        routes=routes,
        asked=(0, 1),
        line_width=thickness * size / POINTS,
        font=font.digest,
        font_size=_LETTER * size / POINTS,
    )


def benchmark_routes(rng: np.random.Generator, ends: int) -> tuple[Route, ...]:
    """Routes by the benchmark's rules: every station gets that many, each ends where it first can."""
    while True:
        routes = _try(rng, ends)
        if routes:
            return routes


def _try(rng: np.random.Generator, ends: int) -> tuple[Route, ...] | None:
    free = [list(ports) for ports in STOPS]
    random, used, found = dice(rng), set[Edge](), list[Route]()
    for color in TAB10[: 2 * ends]:
        open_ = [i for i, ports in enumerate(free) if len(ports) > len(BENCHMARK_STOPS) - ends]
        start = open_[whole(rng, 0, len(open_) - 1)]
        port = free[start].pop(whole(rng, 0, len(free[start]) - 1))
        goals = {port: i for i in open_ if i != start for port in free[i]}
        (x, y), (dx, dy) = port, OUTWARD[start]
        path = walk((port, (x - dx, y - dy)), goals, (BENCHMARK_NODES,) * 2, used, never((dx, dy), random))
        if path is None:
            return None
        used |= edges(path)
        end = goals[path[-1]]
        free[end].remove(path[-1])
        found.append((start, end, turns(path), color))
    return tuple(found)
