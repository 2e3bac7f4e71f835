"""The two circles' page in `unblind demo`: drag the circles apart, or into each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from unblind.tasks.base import Task
from unblind.tasks.controls import Move, Spot
from unblind.tasks.scene_controls import BOTH, SceneControls, around, clamped, slider
from unblind.tasks.two_circles.scene import VISIBLE, Scene

Circle = tuple[float, float, float]


@dataclass(frozen=True)
class CircleControls(SceneControls[Scene]):
    """Two circles to drag, and their sizes."""

    tab = "Drag the circles"
    lead = "Drag the circles apart, or into each other." + BOTH
    lead_blind = "Drag the circles apart, or into each other, and see what the blind model makes of it."
    uploads = "Two filled circles"
    each = "circle"

    def knobs(self, scene: Scene) -> list[Any]:
        """The diameters."""
        names = ("First circle, % wide", "Second circle, % wide")
        values = zip(self.told(scene), names, strict=True)
        return [slider(4, 60, value, name, 0.1) for value, name in values]

    def told(self, scene: Scene) -> list[float]:
        """The diameters, in % of the picture."""
        return [round(200 * radius / scene.width, 1) for _, _, radius in (scene.first, scene.second)]

    def changed(self, scene: Scene, *wanted: Any) -> Scene:
        """Circles of other sizes."""
        circles = zip((scene.first, scene.second), wanted, strict=True)
        first, second = (
            _inside((x, y, diameter * scene.width / 200), scene) for (x, y, _), diameter in circles
        )
        return replace(scene, first=first, second=second)

    def spots(self, scene: Scene) -> list[Spot]:
        """The circles; that which is drawn last lies on top."""
        circles = zip((scene.first, scene.second), ("The first circle", "The second circle"), strict=True)
        return [Spot(around(*circle, scene.width), label, drags=True) for circle, label in circles]

    def dragged(self, scene: Scene, move: Move) -> Scene:
        """One circle moved, within the picture."""
        circles: list[Circle] = [scene.first, scene.second]
        x, y, radius = circles[move.spot]
        circles[move.spot] = _inside((x + move.dx * scene.width, y + move.dy * scene.height, radius), scene)
        return replace(scene, first=circles[0], second=circles[1])

    def note(self, scene: Scene) -> str:
        """Whether the answer can be seen at all."""
        if 0 < abs(scene.gap) < VISIBLE:
            return "At the model's size they are less than a pixel or so from touching: nobody can tell."
        return ""


def _inside(circle: Sequence[float], scene: Scene) -> Circle:
    x, y, radius = circle
    radius = min(radius, scene.width / 2 - 1, scene.height / 2 - 1)
    least = radius + 1
    return clamped(x, least, scene.width - least), clamped(y, least, scene.height - least), radius


def controls(task: Task[Any], options: Any, prompt: str, image_size: int) -> CircleControls:
    """The page's controls."""
    return CircleControls(task, options, prompt, image_size, task.resources(options))
