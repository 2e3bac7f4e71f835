"""The subway maps' page in `unblind demo`: click two stations, take routes out, and add some."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unblind.errors import DemoError
from unblind.tasks.base import Pixels, Task
from unblind.tasks.controls import Move, Spot
from unblind.tasks.glyphs import measure_text
from unblind.tasks.scene_controls import BOTH, SceneControls, around, slider
from unblind.tasks.subway.sample import with_one_more
from unblind.tasks.subway.scene import POINTS, Scene

MOST_ROUTES = 10  # as many as there are colours


@dataclass(frozen=True)
class MapControls(SceneControls[Scene]):
    """How many routes a map has, and their width; the stations can be clicked on."""

    tab = "Routes and stations"
    lead = "Click two stations to ask about them. Take routes out, or add some between the two." + BOTH
    lead_blind = "Click two stations, add routes, and see what the blind model makes of it."
    uploads = "A map of routes between lettered stations"
    each = "route"

    def knobs(self, scene: Scene) -> list[Any]:
        """The number of routes and the line width."""
        count, width = self.told(scene)
        return [slider(1, MOST_ROUTES, count, "Routes"), slider(2, 30, width, "Line width, points", 0.1)]

    def told(self, scene: Scene) -> list[float]:
        """The number of routes, and the line width in points of the benchmark's figure."""
        return [len(scene.routes), round(scene.line_width * POINTS / scene.image_size, 1)]

    def changed(self, scene: Scene, *wanted: Any) -> Scene:
        """The first routes, or more between the two stations; lines of another width. Raises DemoError."""
        count, points = wanted
        scene = replace(
            scene,
            routes=scene.routes[: int(count)],
            line_width=min(points * scene.image_size / POINTS, 0.6 * min(scene.pitch)),
        )
        while len(scene.routes) < count:
            rng = np.random.default_rng(zlib.crc32(repr(scene.routes).encode()))
            more = with_one_more(rng, scene)
            if more is None:
                raise DemoError("There is no room for one more route between these two stations.")
            scene = more
        return scene

    def parts(self, scene: Scene) -> list[tuple[str, Pixels]]:
        """Each of the routes."""
        numbers = range(len(scene.routes))
        kept = [tuple(route for j, route in enumerate(scene.routes) if j != i) for i in numbers]
        return [("", self.task.draw(replace(scene, routes=routes), self.resources)) for routes in kept]

    def spots(self, scene: Scene) -> list[Spot]:
        """The stations."""
        path, size = self.resources.get(scene.font).path, scene.image_size
        found = []
        for number, (letter, x, y) in enumerate(scene.stations):
            x0, y0, x1, y1 = (measure_text(path, letter).ink[0] * scene.font_size).tolist()
            box = around(x + (x0 + x1) / 2, y + (y0 + y1) / 2, (y1 - y0) / 2 + 2, size)
            found.append(Spot(box, f"Ask about station {letter}", pressed=number in scene.asked, marked=True))
        return found

    def dragged(self, scene: Scene, move: Move) -> Scene:
        """The station that was clicked on, and the one that was clicked on before it, are asked about."""
        before = scene.asked[1] if scene.asked[1] != move.spot else scene.asked[0]
        return replace(scene, asked=(before, move.spot))

    def note(self, scene: Scene) -> str:
        """Whether the answer is one that the model chooses from."""
        many = scene.connections > int((self.task.answers.choices or ("0",))[-1])
        return "So many routes join the two that the answer is none of those to choose from." if many else ""


def controls(task: Task[Any], options: Any, prompt: str, image_size: int) -> MapControls:
    """The page's controls. Raises FontsError."""
    return MapControls(task, options, prompt, image_size, task.resources(options))
