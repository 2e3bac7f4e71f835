"""How a map is chosen: the answer first, then the lattice, the stations, the routes."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np

from unblind.errors import SceneError
from unblind.flags import Drawing
from unblind.tasks.canvas import WHITE, Color
from unblind.tasks.colors import TAB10, pale
from unblind.tasks.fonts import Font
from unblind.tasks.glyphs import measure_text
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
from unblind.tasks.subway.scene import POINTS, Label, Node, Route, Scene, is_off_benchmark, turns, unrolled
from unblind.tasks.subway.walk import Edge, dice, edges, towards, walk

MOST_CONNECTIONS = 4
MOST_ENDS = 5  # of routes at a station
LETTERS = sorted(set(string.ascii_uppercase[4:]) - set("IOW"))  # the benchmark's stations are A, B, C, D
_MOST_OTHERS = 6  # routes that do not join the two stations
_TRIES = 60


@dataclass(frozen=True)
class Options:
    """The knobs. Pairs are the ends of a range; each number of connections is as frequent as the others.

    Attributes:
        image_size: px; images are square.
        connections: routes that join the two stations asked about (the benchmark: 1 to 3).
        stations: how many there are (the benchmark: 4).
        nodes: columns, and rows, of the lattice on which routes run (the benchmark: 15).
        line_width: in points on a figure 18 inches wide (the benchmark: 10 and 20).
        wander: how much routes stray, from 0, hardly, to 3, a lot.
        fonts: as in `find_fonts`.
        colored: the share of images with colours other than Matplotlib's ten on white.
    """

    image_size: int = 224
    connections: Drawing[tuple[int, int]] = (0, MOST_CONNECTIONS)
    stations: Drawing[tuple[int, int]] = (2, 6)
    nodes: Drawing[tuple[int, int]] = (9, 17)
    line_width: Drawing[Range] = (6.0, 26.0)
    wander: Drawing[Range] = (0.5, 3.0)
    fonts: tuple[str, ...] = ("bundled",)
    colored: Drawing[float] = 0.5

    def __post_init__(self) -> None:
        """Refuse values that no scene can be made of. Raises SceneError, naming the knob."""
        check_image_size(self.image_size)
        check_range("connections", self.connections, 0, MOST_CONNECTIONS)
        check_range("stations", self.stations, 2, 6)
        check_range("nodes", self.nodes, 9, 40)
        check_range("line_width", self.line_width, 1, 60)
        check_range("wander", self.wander, 0, 4)
        check_share("colored", self.colored)
        if self.connections[0] == 0 and self.stations[1] == 2:
            raise SceneError(
                f"--stations {self.stations[0]} 2: two stations without a connection make an empty map;"
                " raise the larger number, or the smaller one of --connections"
            )


def sample_lattice(rng: np.random.Generator, options: Options) -> Scene:
    """A map without stations and routes."""
    size = options.image_size
    nodes = whole(rng, *options.nodes), whole(rng, *options.nodes)
    letter = even(rng, 0.055, 0.1) * size
    border = 1.35 * letter
    extents = [even(rng, 0.7, 1.0) * (size - 2 * border) for _ in nodes]
    pitch = extents[0] / (nodes[0] - 1), extents[1] / (nodes[1] - 1)
    origin = tuple(even(rng, border, size - border - extent) for extent in extents)
    width = max(THINNEST, min(even(rng, *options.line_width) * size / POINTS, 0.45 * min(pitch)))
    background = pale(rng) if likely(rng, options.colored) else WHITE
    return Scene(size, (origin[0], origin[1]), pitch, nodes, (), (), (0, 1), width, "", letter, background)


def sample(rng: np.random.Generator, lattice: Scene, font: Font, options: Options) -> Scene | None:
    """A map on a lattice, with as many routes between the two stations as are chosen first.

    None if no such map was found.
    """
    connections = whole(rng, *options.connections)
    count = whole(rng, max(options.stations[0], 2 if connections else 3), options.stations[1])
    asked = (0, 1) if likely(rng, 0.5) else (1, 0)  # where stations are is chosen at random
    letters = rng.permutation(len(LETTERS))[:count].tolist()
    for _ in range(_TRIES):
        pairs = [(0, 1)] * connections + _others(rng, count, connections)
        ends = [sum(pair.count(station) for pair in pairs) for station in range(count)]
        stops = _stops(rng, ends, lattice.nodes)
        routes = _routes(rng, pairs, stops, lattice.nodes, options)
        if routes is None:
            continue
        scene = replace(lattice, routes=routes, asked=asked, font=font.digest)
        labels = [_label(scene, ports, LETTERS[i], font) for ports, i in zip(stops, letters, strict=True)]
        if is_off_benchmark(scene) and all(label is not None for label in labels):
            return replace(scene, stations=tuple(label for label in labels if label))
    return None


def _others(rng: np.random.Generator, count: int, connections: int) -> list[tuple[int, int]]:
    """Pairs of stations to join beside the two that are asked about; every station gets a route."""
    pairs = [pair for pair in combinations(range(count), 2) if pair != (0, 1)]
    ends = [connections, connections] + [0] * (count - 2)
    found: list[tuple[int, int]] = []
    most = whole(rng, 0, _MOST_OTHERS)
    while pairs:
        bare = [pair for pair in pairs if 0 in (ends[pair[0]], ends[pair[1]])]
        if not bare and len(found) >= most:
            break
        among = bare or pairs
        one, other = pair = among[whole(rng, 0, len(among) - 1)]
        if max(ends[one], ends[other]) < MOST_ENDS:
            found.append(pair)
            ends[one] += 1
            ends[other] += 1
        else:
            pairs.remove(pair)
    return found


def _stops(rng: np.random.Generator, ends: Sequence[int], nodes: Node) -> list[list[Node]]:
    """The nodes at which routes can end, of each station: on a side of its own, or in one half of a side."""
    halves = [(side, half) for side in range(4) for half in (0, 1)]
    chosen = [halves[i] for i in rng.permutation(len(halves))[: len(ends)].tolist()]
    found = []
    for (side, half), count in zip(chosen, ends, strict=True):
        low, high = 1, nodes[side % 2] - 2  # a side's nodes without the corners
        if (side, 1 - half) in chosen:
            low, high = (low, high // 2 - 1) if half == 0 else (high // 2 + 2, high)
        count = max(1, min(count, high - low + 1))
        start = whole(rng, low, high - count + 1)
        far = nodes[1 - side % 2] - 1 if side > 1 else 0
        found.append([(i, far) if side % 2 == 0 else (far, i) for i in range(start, start + count)])
    return found


def _outward(port: Node, nodes: Node) -> Node:
    """The step that leads from a node on the border out of the lattice."""
    x, y = port
    return ((x == nodes[0] - 1) - (x == 0), 0) if x in (0, nodes[0] - 1) else (0, (y > 0) - (y == 0))


def _routes(
    rng: np.random.Generator,
    pairs: Sequence[tuple[int, int]],
    stops: Sequence[Sequence[Node]],
    nodes: Node,
    options: Options,
) -> tuple[Route, ...] | None:
    """A route for each pair of stations; None if there is no way for one of them."""
    free = [[ports[i] for i in rng.permutation(len(ports)).tolist()] for ports in stops]
    if any(sum(pair.count(station) for pair in pairs) > len(ports) for station, ports in enumerate(free)):
        return None
    wander, random, used = even(rng, *options.wander), dice(rng), set[Edge]()
    found: list[Route] = []
    for i, color in zip(rng.permutation(len(pairs)).tolist(), _colors(rng, options), strict=False):
        start, end = pairs[i] if likely(rng, 0.5) else pairs[i][::-1]
        path = connect(free[start].pop(), free[end].pop(), nodes, used, random, wander)
        if path is None:
            return None
        used |= edges(path)
        found.append((start, end, turns(path), color))
    return tuple(found)


def connect(
    start: Node, end: Node, nodes: Node, used: set[Edge], random: Iterator[float], wander: float
) -> list[Node] | None:
    """A way from one node on the border to another, off the edges that are used; None if there is none."""
    dx, dy = _outward(start, nodes)
    first = start, (start[0] - dx, start[1] - dy)
    return walk(first, (end,), nodes, used, towards(end, random, wander))


def _colors(rng: np.random.Generator, options: Options) -> list[Color]:
    """Matplotlib's ten in any order, or others that are as far from each other."""
    colors = [TAB10[i] for i in rng.permutation(len(TAB10)).tolist()]
    if not likely(rng, options.colored):
        return colors
    shifts = rng.integers(-25, 26, (len(colors), 3))
    return [(int(r), int(g), int(b)) for r, g, b in np.clip(np.array(colors) + shifts, 0, 255)]


def _label(scene: Scene, ports: Sequence[Node], letter: str, font: Font) -> Label | None:
    """A station's letter, beyond the middle of the nodes where its routes end; None: it leaves the image."""
    x0, y0, x1, y1 = (measure_text(font.path, letter).ink[0] * scene.font_size).tolist()
    dx, dy = _outward(ports[0], scene.nodes)
    (u0, v0), (u1, v1) = scene.place(ports[0]), scene.place(ports[-1])
    gap = scene.line_width / 2 + 0.2 * scene.font_size
    x = (u0 + u1 - x0 - x1) / 2 + dx * (gap + (x1 - x0) / 2)
    y = (v0 + v1 - y0 - y1) / 2 + dy * (gap + (y1 - y0) / 2)
    inside = min(x + x0, y + y0) >= 1.5 and max(x + x1, y + y1) <= scene.image_size - 1.5
    return (letter, round(x, 2), round(y, 2)) if inside else None


def twin(rng: np.random.Generator, scene: Scene) -> Scene | None:
    """The same map without one of the routes that join the two stations, or with one more."""
    joining = [i for i, (start, end, _, _) in enumerate(scene.routes) if {start, end} == set(scene.asked)]
    if joining and (scene.connections == MOST_CONNECTIONS or likely(rng, 0.5)):
        return _without(rng, scene, joining)
    more = with_one_more(rng, scene)
    return more or (_without(rng, scene, joining) if joining else None)


def _without(rng: np.random.Generator, scene: Scene, joining: Sequence[int]) -> Scene:
    gone = joining[whole(rng, 0, len(joining) - 1)]
    return replace(scene, routes=scene.routes[:gone] + scene.routes[gone + 1 :])


def with_one_more(rng: np.random.Generator, scene: Scene) -> Scene | None:
    """One more route, in a colour that is not there yet, from and to nodes beside those of the others."""
    used: set[Edge] = set().union(*(edges(unrolled(corners)) for _, _, corners, _ in scene.routes))
    colors = [color for color in TAB10 if all(_apart(color, other) for *_, other in scene.routes)]
    start, end = scene.asked
    random = dice(rng)
    for one, other in product(_free_ports(scene, start), _free_ports(scene, end)):
        path = connect(one, other, scene.nodes, used, random, 1.0)
        if path and colors:
            route = start, end, turns(path), colors[0]
            return replace(scene, routes=(*scene.routes, route))
    return None


def _apart(color: Color, other: Color) -> bool:
    return max(abs(a - b) for a, b in zip(color, other, strict=True)) > 60


def _free_ports(scene: Scene, station: int) -> list[Node]:
    """The nodes on the border that are next to a station's others, and free."""
    ends = {node: at for s, e, corners, _ in scene.routes for at, node in ((s, corners[0]), (e, corners[-1]))}
    mine = [node for node, at in ends.items() if at == station]
    found = []
    for x, y in mine:
        across = _outward((x, y), scene.nodes)[0] != 0
        for i in (-1, 1):
            port = (x, y + i) if across else (x + i, y)
            along = port[1] if across else port[0]
            if 0 < along < scene.nodes[across] - 1 and port not in ends:
                found.append(port)
    return found
