"""The task: how often do two lines cross?"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from unblind.tasks.answers import MISCOUNTS, chance, counts
from unblind.tasks.base import Pixels, Prompt, Task, Trait, Wording, braced
from unblind.tasks.line_intersections.scene import (
    POINTS,
    Options,
    Scene,
    benchmark_pair,
    benchmark_scene,
    clearance,
    crossings,
    draw,
    sample,
    twin,
)
from unblind.tasks.replies import COUNT_RULES
from unblind.tasks.splits import Split, split_by_hash

PLOTS = 100  # of each count, in the benchmark
RESOLUTIONS = (384, 768, 1152)  # px
THICKNESSES = (2, 4)  # points


class LineIntersections(Task[Scene]):
    """A blue and a red line, bent once or more."""

    name = "line-intersections"
    title = "How often do two lines cross?"
    pictures = "Two bent lines"
    held_out = (
        "The blue line's first end decides which split a scene belongs to; bends and ends keep 2 px of 224"
        " off the 39 places where the benchmark has them."
    )
    benchmark = ("Line Plot Intersections",)
    benchmark_count = 18 * PLOTS  # three counts, three resolutions, two line widths
    prompts = {
        "touch": Prompt(
            "How many times do the blue and red lines touch each other? Answer with a number in curly"
            " brackets, e.g., {5}.",
            braced,
        ),
        "count": Prompt(
            "Count the intersection points where the blue and red lines meet. Put your answer in curly"
            " brackets, e.g., {2}.",
            braced,
        ),
        "short": Prompt("How often do the two lines cross?"),
    }
    answers = counts(0, 9)
    options_class = Options
    scene_class = Scene
    own_columns = {
        "figure": "string",
        "bends": "int64",
        "thickness": "float64",
        "clearance": "float64",
        "resolution": "int64",
    }
    meanings = {
        "figure": "the same for the same lines, whatever their width",
        "bends": "of each line",
        "thickness": "line width, in 1/360 of the image",
        "clearance": "the least distance of the lines where one bends or ends, in % of the image",
        "resolution": "image width, px",
    }
    parts = ("red line", "blue line")
    traits = {
        "crossings": Trait("crossings", lambda row: int(row["answer"]), curve=True),
        "bends": Trait("bends of each line", lambda row: row.get("bends")),
        "thickness": Trait(
            "line width, in 1/360 of the image", lambda row: row.get("thickness"), (0.0, 1.5, 3.0, 5.0)
        ),
        "clearance": Trait(
            "the least distance of the lines where one bends or ends, in % of the image",
            lambda row: row.get("clearance"),
            (0.0, 2.0, 4.0, 8.0, 16.0),
        ),
        "resolution": Trait(
            "image width, px", lambda row: row.get("resolution"), (0.0, 300.0, 500.0, 1000.0)
        ),
    }
    mistakes = MISCOUNTS
    base_rates = {"chance": chance(answers, "012")}
    rules = COUNT_RULES
    cluster = "figure"
    wording = Wording(
        success="counted the crossings",
        truth="drawn",
        parts={"red line": "the red line", "blue line": "the blue line"},
        covering="One line alone crosses nothing: a model that sees answers 0 then.",
        without="shown the blue line alone",
    )
    too_tight = "use a larger --image-size, fewer --bends or thinner lines (--line-width)"
    demo = "unblind.tasks.line_intersections.demo"

    def sample(
        self, rng: np.random.Generator, split: Split, options: Options, resources: None
    ) -> Scene | None:
        """Two lines; each number of crossings is as likely as the others."""
        return sample(rng, options)

    def draw(self, scene: Scene, resources: None, without: str | None = None) -> Pixels:
        """The lines, or one without the other."""
        return draw(scene, without).pixels

    def split_of(self, scene: Scene) -> Split:
        """By a hash of the blue line's first end, so that a scene and its twins are in one split."""
        return split_by_hash(self.name, repr(scene.blue[0]), 0.8, 0.9)

    def remarks(self, options: Options, resources: None, preset: str | None) -> Sequence[str]:
        """That the benchmark's lines are random."""
        return ("Lines: a new sample by the benchmark's rules.",) if preset == "blindtest" else ()

    def truth(self, scene: Scene, which: str = "") -> str:
        """The number of crossings."""
        return str(crossings(scene))

    def contrast(self, rng: np.random.Generator, scene: Scene, which: str = "") -> Scene | None:
        """The same lines with one bend or end moved, so that a crossing is made or undone."""
        return twin(rng, scene)

    def columns(self, scene: Scene) -> Mapping[str, Any]:
        """What was drawn."""
        return {
            "figure": f"{zlib.crc32(repr(_shape(scene)).encode()):08x}",
            "bends": len(scene.blue) - 2,
            "thickness": round(scene.line_width * POINTS / scene.width, 3),
            "clearance": round(100 * clearance(scene) / scene.width, 3),
            "resolution": scene.width,
        }

    def benchmark_scenes(self, seed: int, resources: None) -> Iterator[Scene]:
        """A new sample by the benchmark's rules: 300 plots, each at three resolutions and two line widths."""
        rng, wanted = np.random.default_rng((seed, PLOTS)), dict.fromkeys((0, 1, 2), PLOTS)
        while any(wanted.values()):
            pair = benchmark_pair(rng)
            count = crossings(benchmark_scene(pair, 384, 2))
            if wanted[count]:
                wanted[count] -= 1
                for resolution, thickness in product(RESOLUTIONS, THICKNESSES):
                    yield benchmark_scene(pair, resolution, thickness)

    def benchmark_columns(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """Line width and resolution."""
        return {name: metadata[name] for name in ("thickness", "resolution") if name in metadata} | {
            "bends": 1
        }


def _shape(scene: Scene) -> list[tuple[float, float]]:
    """The lines' points as shares of the image, to 0.01 %."""
    points = (*scene.blue, *scene.red)
    return [(round(x / scene.width, 4), round(y / scene.height, 4)) for x, y in points]


TASK = LineIntersections()
