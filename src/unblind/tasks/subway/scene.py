"""Subway maps: what one is, and how it is drawn.

Routes run along the edges of a lattice, from a node on its border to another; no edge is used twice. Nodes
are counted from the upper left.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from unblind.tasks.canvas import BLACK, WHITE, Box, Canvas, Color
from unblind.tasks.fonts import Font

Node = tuple[int, int]  # column, row
Label = tuple[str, float, float]  # one letter, x of its pen, y of its baseline, px
Route = tuple[int, int, tuple[Node, ...], Color]  # from which station to which, the nodes where it turns

POINTS = 1296.0  # of the figure's width: 18 inches
# The benchmark's figure is 18 units wide; its lattice goes from 2 to 16, and routes end at 8, 9 or 10.
BENCHMARK_UNITS = 18
BENCHMARK_NODES = 15
BENCHMARK_STOPS = (6, 7, 8)  # on each side
OFF_BENCHMARK = 2.0  # px at 224 px that some end of a route is away from all of the benchmark's


@dataclass(frozen=True)
class Scene:
    """A map, and the two of its stations that are asked about."""

    image_size: int  # px
    origin: tuple[float, float]  # px, the first node
    pitch: tuple[float, float]  # px from column to column, and from row to row
    nodes: tuple[int, int]  # columns and rows of the lattice
    stations: tuple[Label, ...]
    routes: tuple[Route, ...]
    asked: tuple[int, int]  # stations
    line_width: float  # px
    font: str  # SHA-256 of the file
    font_size: float  # px per em
    background: Color = WHITE

    @property
    def connections(self) -> int:
        """How many routes join the two stations."""
        return sum({start, end} == set(self.asked) for start, end, _, _ in self.routes)

    @cached_property
    def crossings(self) -> int:
        """How many nodes two routes or more have in common."""
        visited = [set(unrolled(corners)) for _, _, corners, _ in self.routes]
        return sum(sum(node in nodes for nodes in visited) > 1 for node in set().union(*visited))

    def place(self, node: Node) -> tuple[float, float]:
        """Where a node is, px."""
        return self.origin[0] + node[0] * self.pitch[0], self.origin[1] + node[1] * self.pitch[1]


def unrolled(corners: tuple[Node, ...]) -> list[Node]:
    """All the nodes of a route, one after the other."""
    nodes = [corners[0]]
    for (x0, y0), (x1, y1) in pairwise(corners):
        length = abs(x1 - x0) + abs(y1 - y0)
        nodes += [(x0 + (x1 - x0) * i // length, y0 + (y1 - y0) * i // length) for i in range(1, length + 1)]
    return nodes


def turns(nodes: list[Node]) -> tuple[Node, ...]:
    """The inverse of `unrolled`: the nodes where a route begins, turns, and ends."""
    kept = [
        here
        for before, here, after in zip(nodes, nodes[1:], nodes[2:], strict=False)
        if (here[0] - before[0], here[1] - before[1]) != (after[0] - here[0], after[1] - here[1])
    ]
    return (nodes[0], *kept, nodes[-1])


def draw(scene: Scene, font: Font) -> Canvas:
    """The routes, those listed first below, and the stations' letters."""
    canvas = Canvas(scene.image_size, scene.image_size, scene.background)
    half = scene.line_width / 2
    for _, _, corners, color in scene.routes:
        boxes: list[Box] = []
        for (x0, y0), (x1, y1) in pairwise(map(scene.place, corners)):
            boxes.append((min(x0, x1) - half, min(y0, y1) - half, max(x0, x1) + half, max(y0, y1) + half))
        canvas.boxes(boxes, color)
    canvas.texts(scene.stations, font.path, scene.font_size, BLACK)
    return canvas


def is_off_benchmark(scene: Scene) -> bool:
    """Whether a route ends where none of the benchmark's does, by 2 px of 224 or more."""
    unit = scene.image_size / BENCHMARK_UNITS
    first, last = 2 * unit, (BENCHMARK_UNITS - 2) * unit
    along = [(2 + stop) * unit for stop in BENCHMARK_STOPS]
    stops = [(x, y) for x in along for y in (first, last)] + [(x, y) for y in along for x in (first, last)]
    ends = [scene.place(corners[i]) for _, _, corners, _ in scene.routes for i in (0, -1)]
    off = OFF_BENCHMARK * scene.image_size / 224
    return any(all(max(abs(x - u), abs(y - v)) >= off for u, v in stops) for x, y in ends)
