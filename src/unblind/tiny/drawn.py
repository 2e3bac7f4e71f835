"""Pictures of the tasks other than the circled letter, and what the tower is asked about their patches.

A head is asked which of several like things runs through a patch, or what happens in it. Of each thing one
point is marked, so that there are as many marks as things. No question is asked in words, and no number of
things is named: to count is left to the cure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblind.tasks.base import sample_scene
from unblind.tasks.registry import task_named
from unblind.tiny.build import IMAGE_SIZE
from unblind.tiny.patches import MOST, Labels, Point, marked, no_labels, patch_of, traced

SIZES = (IMAGE_SIZE, IMAGE_SIZE, 400, 512, 768)  # px; real pictures are larger, and shrunk
SHARES = {
    "line-intersections": 0.24,
    "olympic-circles": 0.15,
    "olympic-pentagons": 0.17,
    "nested-squares": 0.14,
    "grid": 0.1,
    "subway": 0.14,
    "two-circles": 0.06,
}
CROSSINGS, RINGS, SQUARES, LINES, SIDES = 5, 12, 7, 13, 12
OVERLAP, TOUCH, APART = 0, 1, 2
MARKS = (
    "crossing", "top of a ring", "corner of a square", "top of a line", "left of a line", "end of a route"
)  # fmt: skip


def draw(rng: np.random.Generator, name: str) -> tuple[NDArray[np.uint8], dict[str, Labels]]:
    """A picture of a task's training split, and the labels of its patches by head."""
    task = task_named(name)
    options, resources = _prepared(name, SIZES[int(rng.integers(len(SIZES)))])
    scene = sample_scene(
        task, int(rng.integers(2**31)), "train", int(rng.integers(2**31)), options, resources
    )
    return task.draw(scene, resources), _LABELS[name](scene, IMAGE_SIZE / options.image_size)


@cache
def _prepared(name: str, size: int) -> tuple[Any, Any]:
    task = task_named(name)
    options = replace(task.options_class(), image_size=size)
    return options, task.resources(options)


def _crossings(scene: Any, scale: float) -> dict[str, Labels]:
    """Where the lines cross, and which crossing it is along the lines."""
    found = [
        meeting
        for one in pairwise(scene.blue)
        for other in pairwise(scene.red)
        if (meeting := _meeting(*one, *other)) is not None
    ]
    found.sort(key=lambda point: point[scene.turned])
    number = no_labels()
    for i, point in enumerate(found):
        number[patch_of(point, scale)] = i
    return {"crossing": marked(found, scale), "which crossing": number}


def _meeting(a: Point, b: Point, c: Point, d: Point) -> Point | None:
    """Where two segments cross."""
    ux, uy, vx, vy = b[0] - a[0], b[1] - a[1], d[0] - c[0], d[1] - c[1]
    cross = ux * vy - uy * vx
    if cross == 0:
        return None
    s = ((c[0] - a[0]) * vy - (c[1] - a[1]) * vx) / cross
    t = ((c[0] - a[0]) * uy - (c[1] - a[1]) * ux) / cross
    return (a[0] + s * ux, a[1] + s * uy) if 0 < s <= 1 and 0 < t <= 1 else None


def _rings(scene: Any, scale: float) -> dict[str, Labels]:
    """Which outline runs here, counted from the left; where its top is."""
    return _outlines(_numbered(scene, corners=48, turn=0.0), scale)


def _pentagons(scene: Any, scale: float) -> dict[str, Labels]:
    return _outlines(_numbered(scene, corners=5, turn=scene.turn - math.pi / 2), scale)


def _outlines(numbered: list[tuple[int, list[Point]]], scale: float) -> dict[str, Labels]:
    tops = [min(points, key=lambda point: point[1]) for _, points in numbered]
    return {"ring": traced(numbered, scale), "top of a ring": marked(tops, scale)}


def _numbered(scene: Any, corners: int, turn: float) -> list[tuple[int, list[Point]]]:
    angles = [turn + 2 * math.pi * i / corners for i in range(corners + 1)]
    return [
        (i, [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles])
        for i, (x, y, radius) in enumerate(sorted(scene.outlines))
    ]


def _squares(scene: Any, scale: float) -> dict[str, Labels]:
    """Which square's side runs here, counted from the outermost; where its upper left corner is."""
    outlines = [
        (i, [(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)])
        for i, (x, y, side) in enumerate(scene.squares)
    ]
    corners = [(x, y) for x, y, _ in scene.squares]
    return {"square": traced(outlines, scale), "corner of a square": marked(corners, scale)}


def _table(scene: Any, scale: float) -> dict[str, Labels]:
    """Which upright line, from the left, and which level one, from the top, runs here; where they begin."""
    (left, right), (top, bottom) = (lines[:: len(lines) - 1] for lines in (scene.xs, scene.ys))
    upright = [(i, [(x, top), (x, bottom)]) for i, x in enumerate(scene.xs)]
    level = [(i, [(left, y), (right, y)]) for i, y in enumerate(scene.ys)]
    return {
        "upright line": traced(upright, scale),
        "level line": traced(level, scale),
        "top of a line": marked([(x, top) for x in scene.xs], scale),
        "left of a line": marked([(left, y) for y in scene.ys], scale),
    }


def _routes(scene: Any, scale: float) -> dict[str, Labels]:
    """Between which parts of the map's border the route runs that is here, or the routes do that are.

    And where routes end.
    """
    one, other, ends_of_all = [], [], []
    for _, _, corners, _ in scene.routes:
        ends = sorted(_part(scene, corners[i]) for i in (0, -1))
        points = [scene.place(corner) for corner in corners]
        one.append((ends[0], points))
        other.append((ends[1], points))
        ends_of_all += [points[0], points[-1]]
    return {
        "route's one end": traced(one, scale),
        "route's other end": traced(other, scale),
        "end of a route": marked(ends_of_all, scale),
    }


def _part(scene: Any, node: tuple[int, int]) -> int:
    """The third of a side on which a node of the lattice's border lies."""
    x, y = (at / (count - 1) for at, count in zip(node, scene.nodes, strict=True))
    side, place = ((0, x) if y == 0 else (1, x)) if y in (0, 1) else ((2, y) if x == 0 else (3, y))
    return 3 * side + min(2, int(3 * place))


def _contact(scene: Any, scale: float) -> dict[str, Labels]:
    """What the circles do where they are nearest: overlap, touch, or lie apart."""
    (x, y, r), (u, v, s) = scene.first, scene.second
    distance = math.hypot(u - x, v - y)
    dx, dy = (u - x) / distance, (v - y) / distance
    labels = no_labels()
    if scene.gap < 0:  # where their outlines meet
        beside = (distance**2 + r**2 - s**2) / (2 * distance)
        away = math.sqrt(max(0.0, r**2 - beside**2))
        points = [(x + beside * dx - way * away * dy, y + beside * dy + way * away * dx) for way in (-1, 1)]
    else:
        points = [(x + r * dx, y + r * dy), (u - s * dx, v - s * dy)]
    kind = OVERLAP if scene.gap < 0 else APART if scene.gap > 0 else TOUCH
    for point in points:
        labels[patch_of(point, scale)] = kind
    return {"contact": labels}


_LABELS: Mapping[str, Callable[[Any, float], dict[str, Labels]]] = {
    "line-intersections": _crossings,
    "olympic-circles": _rings,
    "olympic-pentagons": _pentagons,
    "nested-squares": _squares,
    "grid": _table,
    "subway": _routes,
    "two-circles": _contact,
}
# Of each head: its labels of a patch (the lowest and the highest, where lines are traced), and its classes.
HEADS = {
    **dict.fromkeys(MARKS, (1, 1 + MOST)),
    "which crossing": (1, CROSSINGS),
    "ring": (2, RINGS),
    "square": (2, SQUARES),
    "upright line": (2, LINES),
    "level line": (2, LINES),
    "route's one end": (2, SIDES),
    "route's other end": (2, SIDES),
    "contact": (1, 3),
}


def pick(rng: np.random.Generator, names: Sequence[str] = tuple(SHARES)) -> str:
    """A task, by its share."""
    return names[int(rng.choice(len(names), p=[SHARES[name] for name in names]))]
