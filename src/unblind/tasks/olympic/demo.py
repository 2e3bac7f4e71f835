"""The page of rings and pentagons in `unblind demo`: add some, take some out, drag them about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from unblind.errors import DemoError
from unblind.tasks.base import Pixels, Task
from unblind.tasks.colors import TAB10
from unblind.tasks.controls import Move, Spot
from unblind.tasks.olympic.scene import MOST, POINTS, Outline, Scene, is_clear
from unblind.tasks.scene_controls import BOTH, SceneControls, around, clamped, slider

PLACES = 24  # along each axis, where one more may go


@dataclass(frozen=True)
class OutlineControls(SceneControls[Scene]):
    """How many there are, the width of their lines; each can be dragged."""

    tab = "Add and drag"
    lead = "Add some, take some out, drag them into each other." + BOTH
    lead_blind = "Add some, take some out, drag them, and see what the blind model makes of it."
    uploads = "Rings or pentagons"

    def knobs(self, scene: Scene) -> list[Any]:
        """The number and the line width."""
        count, width = self.told(scene)
        return [slider(1, MOST, count, "How many"), slider(0.4, 6, width, "Line width, points", 0.1)]

    def told(self, scene: Scene) -> list[float]:
        """The number, and the line width in points of the benchmark's figure."""
        return [len(scene.outlines), round(scene.line_width * POINTS / scene.width, 1)]

    def changed(self, scene: Scene, *wanted: Any) -> Scene:
        """The first so many of them, or so many more; lines of another width."""
        count, points = wanted
        scene = replace(scene, line_width=points * scene.width / POINTS)
        while len(scene.outlines) < count:
            scene = _with_one_more(scene)
        return replace(scene, outlines=scene.outlines[: int(count)], colors=scene.colors[: int(count)])

    def parts(self, scene: Scene) -> list[tuple[str, Pixels]]:
        """Each of them."""
        numbers = range(len(scene.outlines))
        others = [replace(scene, **_but(scene, i)) for i in numbers] if len(numbers) > 1 else []
        return [("", self.task.draw(other, self.resources)) for other in others]

    def spots(self, scene: Scene) -> list[Spot]:
        """Each of them; in the middle, so that those that overlap can be taken hold of."""
        return [
            Spot(around(x, y, 0.6 * radius, scene.width), f"Number {number}", drags=True)
            for number, (x, y, radius) in enumerate(scene.outlines, start=1)
        ]

    def dragged(self, scene: Scene, move: Move) -> Scene:
        """One of them moved, within the picture."""
        outlines = list(scene.outlines)
        x, y, radius = outlines[move.spot]
        least = radius + scene.line_width + 1
        x = clamped(x + move.dx * scene.width, least, scene.width - least)
        y = clamped(y + move.dy * scene.height, least, scene.height - least)
        outlines[move.spot] = x, y, radius
        return replace(scene, outlines=tuple(outlines))

    def note(self, scene: Scene) -> str:
        """Whether they can be told apart."""
        if is_clear(scene):
            return ""
        return "Some lie so near to each other that nobody could count them for sure."


def _but(scene: Scene, out: int) -> dict[str, Any]:
    """The outlines and colours without one of them."""
    fields: dict[str, Sequence[Any]] = {"outlines": scene.outlines, "colors": scene.colors}
    return {name: tuple(v for i, v in enumerate(values) if i != out) for name, values in fields.items()}


def _with_one_more(scene: Scene) -> Scene:
    """One more beside the others. Raises DemoError if there is no room."""
    radius, colored = scene.outlines[-1][2], len(set(scene.colors)) > 1
    color = TAB10[len(scene.outlines) % len(TAB10)] if colored else scene.colors[0]
    place = _free_place(scene, radius)
    return replace(scene, outlines=(*scene.outlines, place), colors=(*scene.colors, color))


def _free_place(scene: Scene, radius: float) -> Outline:
    """As near to the others' middle as there is room, a radius and a half from the next one."""
    least = radius + scene.line_width + 1
    steps = [least + i * (scene.width - 2 * least) / (PLACES - 1) for i in range(PLACES)]
    middle = [sum(place[axis] for place in scene.outlines) / len(scene.outlines) for axis in (0, 1)]
    free = [
        (math.dist((x, y), middle), x, y)
        for x, y in product(steps, steps)
        if all(math.dist((x, y), place[:2]) >= 0.75 * (radius + place[2]) for place in scene.outlines)
    ]
    if not free:
        raise DemoError("There is no room for one more.")
    _, x, y = min(free)
    return x, y, radius


def controls(task: Task[Any], options: Any, prompt: str, image_size: int) -> OutlineControls:
    """The page's controls."""
    return OutlineControls(task, options, prompt, image_size, task.resources(options))
