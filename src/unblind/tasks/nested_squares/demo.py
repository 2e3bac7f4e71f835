"""The nested squares' page in `unblind demo`: add one, take one out, drag them about in one another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from unblind.errors import DemoError
from unblind.tasks.base import Pixels, Task
from unblind.tasks.controls import Move, Spot
from unblind.tasks.nested_squares.scene import MOST_SQUARES, POINTS, Scene, Square
from unblind.tasks.scene_controls import BOTH, SceneControls, clamped, slider

NEXT = 0.75  # of the innermost side: that of one more
PAPER = 1 / 224  # of the picture's width: background between two lines, at least


@dataclass(frozen=True)
class SquareControls(SceneControls[Scene]):
    """How many squares there are, the width of their lines; each can be dragged, with those in it."""

    tab = "Add and drag"
    lead = "Add a square, take one out, drag them about in one another." + BOTH
    lead_blind = "Add a square, take one out, drag them, and see what the blind model makes of it."
    uploads = "Squares in one another"
    each = "square"

    def knobs(self, scene: Scene) -> list[Any]:
        """The number and the line width."""
        count, width = self.told(scene)
        return [slider(1, MOST_SQUARES, count, "Squares"), slider(1.5, 12, width, "Line width, points", 0.1)]

    def told(self, scene: Scene) -> list[float]:
        """The number, and the line width in points of the benchmark's figure."""
        return [len(scene.squares), round(scene.line_width * POINTS / scene.image_size, 1)]

    def changed(self, scene: Scene, *wanted: Any) -> Scene:
        """The outer ones, or more in the innermost; lines of another width. Raises DemoError."""
        count, points = wanted
        scene = replace(scene, line_width=points * scene.image_size / POINTS)
        squares = scene.squares[: int(count)]
        while len(squares) < count:
            squares = (*squares, _next(squares[-1]))
        changed = replace(scene, squares=squares)
        paper = min([squares[-1][2] - scene.line_width, *changed.gaps])
        if paper < PAPER * scene.image_size / 2:
            raise DemoError("There is no room for so many squares, or for lines so wide.")
        return changed

    def parts(self, scene: Scene) -> list[tuple[str, Pixels]]:
        """Each of the squares."""
        numbers = range(len(scene.squares)) if len(scene.squares) > 1 else ()
        kept = [tuple(square for j, square in enumerate(scene.squares) if j != i) for i in numbers]
        return [("", self.task.draw(replace(scene, squares=squares), self.resources)) for squares in kept]

    def spots(self, scene: Scene) -> list[Spot]:
        """The squares, the inner ones on top."""
        size = scene.image_size
        return [
            Spot((x / size, y / size, side / size, side / size), f"Square {number} from outside", drags=True)
            for number, (x, y, side) in enumerate(scene.squares, start=1)
        ]

    def dragged(self, scene: Scene, move: Move) -> Scene:
        """A square moved, and those in it; within the one around it, or the picture."""
        size, gap = scene.image_size, scene.line_width + PAPER * scene.image_size
        outer = scene.squares[move.spot - 1] if move.spot else (0.0, 0.0, float(size))
        x, y, side = scene.squares[move.spot]
        room = max(gap, outer[2] - side - gap)
        dx = clamped(x + move.dx * size, outer[0] + gap, outer[0] + room) - x
        dy = clamped(y + move.dy * size, outer[1] + gap, outer[1] + room) - y
        inner = tuple((x + dx, y + dy, side) for x, y, side in scene.squares[move.spot :])
        return replace(scene, squares=(*scene.squares[: move.spot], *inner))


def _next(square: Square) -> Square:
    x, y, side = square
    return x + side * (1 - NEXT) / 2, y + side * (1 - NEXT) / 2, side * NEXT


def controls(task: Task[Any], options: Any, prompt: str, image_size: int) -> SquareControls:
    """The page's controls."""
    return SquareControls(task, options, prompt, image_size, task.resources(options))
