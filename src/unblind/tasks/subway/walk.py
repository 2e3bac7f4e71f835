"""How a route finds its way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Set
from itertools import pairwise

import numpy as np

from unblind.tasks.subway.scene import Node

Edge = tuple[Node, Node]
Order = Callable[[Node, Node], list[Node]]  # a node, and the step that led to it: the steps to try, in order

STEPS: tuple[Node, ...] = ((1, 0), (-1, 0), (0, 1), (0, -1))


def walk(
    first: Edge, goals: Collection[Node], nodes: Node, used: Set[Edge], order: Order
) -> list[Node] | None:
    """A depth-first walk on a lattice, off its border, until it meets a goal.

    Args:
        first: its first edge, which leads off the border.
        goals: nodes on the border.
        nodes: columns and rows of the lattice.
        used: edges that may not be used, each in both directions.
        order: the steps to try at a node.

    Returns:
        The nodes from one end to the other, or None: there is no way.
    """
    start, here = first
    path, tried = [start, here], {first, first[::-1]}
    while len(path) > 1:
        (x0, y0), (x, y) = path[-2:]
        for dx, dy in order((x, y), (x - x0, y - y0)):
            there = x + dx, y + dy
            edge = (x, y), there
            inside = 0 < there[0] < nodes[0] - 1 and 0 < there[1] < nodes[1] - 1
            if (inside or there in goals) and edge not in tried and edge not in used:
                tried |= {edge, edge[::-1]}
                path.append(there)
                break
        else:
            path.pop()
        if path[-1] in goals:
            return path
    return None


def edges(path: list[Node]) -> set[Edge]:
    """The edges of a path, each in both directions."""
    found = set(pairwise(path))
    return found | {edge[::-1] for edge in found}


def dice(rng: np.random.Generator) -> Iterator[float]:
    """Numbers from 0 to 1, many drawn at once, which is faster."""
    while True:
        yield from rng.random(256).tolist()


def towards(goal: Node, random: Iterator[float], wander: float) -> Order:
    """Steps towards a goal first, straight on rather than aside; the more at random, the more it wanders."""

    def order(here: Node, step: Node) -> list[Node]:
        away = {
            (dx, dy): wander * next(random)
            - (dx * (goal[0] - here[0]) > 0 or dy * (goal[1] - here[1]) > 0)
            - 0.5 * ((dx, dy) == step)
            for dx, dy in STEPS
        }
        return sorted(STEPS, key=away.__getitem__)

    return order


def never(outward: Node, random: Iterator[float]) -> Order:
    """Any step but one, at random: the benchmark's way."""
    steps = [step for step in STEPS if step != outward]

    def order(_here: Node, _step: Node) -> list[Node]:
        return sorted(steps, key=lambda _: next(random))

    return order
