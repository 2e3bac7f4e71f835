"""The crossing lines' page in `unblind demo`: drag the bends and ends of two lines, and add bends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from unblind.tasks.base import Task
from unblind.tasks.controls import Move, Spot
from unblind.tasks.line_intersections.scene import POINTS, Line, Scene, is_clear
from unblind.tasks.scene_controls import BOTH, SceneControls, around, clamped, slider

MOST_BENDS = 6
REACH = 0.035  # of the picture's width, about a bend: where it can be taken hold of


@dataclass(frozen=True)
class LineControls(SceneControls[Scene]):
    """How many bends the lines have, and their width; each bend and end can be dragged."""

    tab = "Drag the lines"
    lead = "Drag the bends and ends of the two lines, so that they cross or do not." + BOTH
    lead_blind = "Drag the bends and ends of the two lines, and see what the blind model makes of it."
    uploads = "Two lines, a blue one and a red one"
    each = "line"

    def knobs(self, scene: Scene) -> list[Any]:
        """The number of bends and the line width."""
        bends, width = self.told(scene)
        bend = slider(1, MOST_BENDS, bends, "Bends of each line")
        return [bend, slider(1, 12, width, "Line width, points", 0.1)]

    def told(self, scene: Scene) -> list[float]:
        """The number of bends, and the line width in points of the benchmark's figure."""
        return [len(scene.blue) - 2, round(scene.line_width * POINTS / scene.width, 1)]

    def changed(self, scene: Scene, *wanted: Any) -> Scene:
        """Lines with fewer bends, or with more to drag; of another width."""
        bends, points = wanted
        return replace(
            scene,
            blue=_bent(scene.blue, int(bends), scene.turned),
            red=_bent(scene.red, int(bends), scene.turned),
            line_width=points * scene.width / POINTS,
        )

    def spots(self, scene: Scene) -> list[Spot]:
        """The bends and ends, of the blue line first."""
        lines = (("Blue", scene.blue), ("Red", scene.red))
        return [
            Spot(around(x, y, REACH * scene.width, scene.width), f"{name}, point {number}", drags=True)
            for name, line in lines
            for number, (x, y) in enumerate(line, start=1)
        ]

    def dragged(self, scene: Scene, move: Move) -> Scene:
        """One bend or end moved, between those before and after it."""
        by = move.dx * scene.width, move.dy * scene.height
        if move.spot < len(scene.blue):
            return replace(scene, blue=_moved(scene, scene.blue, move.spot, by))
        return replace(scene, red=_moved(scene, scene.red, move.spot - len(scene.blue), by))

    def note(self, scene: Scene) -> str:
        """Whether the crossings can be told."""
        if is_clear(scene):
            return ""
        return "The lines come very close to each other at a bend or an end: hard to tell for anyone."


def _bent(line: Line, bends: int, turned: bool) -> Line:
    """The line with other bends left out, or with more in the middle of its longest parts."""
    points = list(line)
    while len(points) > bends + 2:
        del points[len(points) // 2]
    along = 1 if turned else 0
    while len(points) < bends + 2:
        lengths = [b[along] - a[along] for a, b in pairwise(points)]
        at = lengths.index(max(lengths))
        (x0, y0), (x1, y1) = points[at : at + 2]
        points.insert(at + 1, ((x0 + x1) / 2, (y0 + y1) / 2))
    return tuple(points)


def _moved(scene: Scene, line: Line, at: int, by: tuple[float, float]) -> Line:
    edge, gap = scene.line_width / 2 + 0.5, scene.line_width + 2
    along = 1 if scene.turned else 0
    ends = [[edge, scene.width - edge], [edge, scene.height - edge]]
    if at:
        ends[along][0] = line[at - 1][along] + gap
    if at + 1 < len(line):
        ends[along][1] = line[at + 1][along] - gap
    x, y = (clamped(line[at][axis] + by[axis], low, max(low, high)) for axis, (low, high) in enumerate(ends))
    return (*line[:at], (x, y), *line[at + 1 :])


def controls(task: Task[Any], options: Any, prompt: str, image_size: int) -> LineControls:
    """The page's controls."""
    return LineControls(task, options, prompt, image_size, task.resources(options))
