"""The task: how many rings, or pentagons, are there?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unblind.tasks.answers import MISCOUNTS, chance, counts
from unblind.tasks.base import Pixels, Prompt, Task, Trait, braced
from unblind.tasks.olympic import scene as olympic
from unblind.tasks.olympic.scene import COUNTS, POINTS, Draw, Layout, Options, Scene
from unblind.tasks.replies import LOOSE_COUNT_RULES
from unblind.tasks.splits import Split, split_by_hash


def prompts(things: str) -> dict[str, Prompt]:
    """The questions, of `circles` or `pentagons`."""
    return {
        "count": Prompt(
            f"Count the {things} in the image. Answer with a number in curly brackets e.g. {{3}}.", braced
        ),
        "how-many": Prompt(
            f"How many {things} are in the image? Answer with only the number in numerical format."
        ),
        "short": Prompt(f"How many {things}?"),
    }


class Olympic(Task[Scene]):
    """Outlines that overlap like the Olympic logo's.

    Attributes:
        outline: draws one of them.
        layout: where the benchmark places them.
        size: a circle's diameter, or a pentagon's side, over its radius.
    """

    outline: ClassVar[Draw]
    layout: ClassVar[Layout]
    size: ClassVar[float]

    benchmark_count = 240
    held_out = (
        "The first one drawn decides which split a scene belongs to; in every scene one lies 2 px of 224 or"
        " more from all of any benchmark image of that count."
    )
    answers = counts(1, 20)
    options_class = Options
    scene_class = Scene
    own_columns = {
        "size": "float64",
        "line_width": "float64",
        "colours": "string",
        "crowding": "float64",
        "resolution": "int64",
    }
    meanings = {
        "size": "a circle's diameter, or a pentagon's side, as a share of the image",
        "line_width": "in 1/277 of the image",
        "colours": "`black` for one colour, `colored` for several",
        "crowding": "the least distance of two centres, in % of the image",
        "resolution": "image width, px",
    }
    traits = {
        "count": Trait("how many there are", lambda row: int(row["answer"]), curve=True),
        "size": Trait(
            "size, as a share of the image", lambda row: row.get("size"), (0.0, 0.06, 0.09, 0.12, 0.2)
        ),
        "line_width": Trait(
            "line width, in 1/277 of the image", lambda row: row.get("line_width"), (0.0, 0.6, 1.1, 2.0)
        ),
        "colours": Trait(
            "colours", lambda row: row.get("colours"), groups={"black": "one", "colored": "several"}
        ),
        "crowding": Trait(
            "the least distance of two centres, in % of the image",
            lambda row: row.get("crowding"),
            (0.0, 5.0, 8.0, 12.0),
        ),
        "resolution": Trait(
            "image width, px", lambda row: row.get("resolution"), (0.0, 300.0, 500.0, 1000.0)
        ),
    }
    mistakes = MISCOUNTS
    base_rates = {"chance": chance(answers, list(map(str, COUNTS)))}
    rules = LOOSE_COUNT_RULES
    too_tight = (
        "use a larger --image-size, a larger --fill, thinner lines (--line-width) or a smaller --count"
    )

    demo = "unblind.tasks.olympic.demo"

    @cached_property
    def known(self) -> NDArray[np.float64]:
        """Where the benchmark's are: training keeps off."""
        return olympic.benchmark_places(self.benchmark_scenes(0, None))

    def sample(
        self, rng: np.random.Generator, split: Split, options: Options, resources: None
    ) -> Scene | None:
        """Some outlines; each count is as likely as the others."""
        return olympic.sample(rng, options, self.known)

    def draw(self, scene: Scene, resources: None, without: str | None = None) -> Pixels:
        """All of them."""
        return olympic.draw(scene, type(self).outline).pixels

    def split_of(self, scene: Scene) -> Split:
        """By a hash of the first outline, so that a scene and its twins are in one split."""
        return split_by_hash(self.name, repr(scene.outlines[0]), 0.8, 0.9)

    def truth(self, scene: Scene, which: str = "") -> str:
        """The count."""
        return str(len(scene.outlines))

    def contrast(self, rng: np.random.Generator, scene: Scene, which: str = "") -> Scene | None:
        """The same with one of them taken out, but not the first."""
        return olympic.twin(rng, scene)

    def columns(self, scene: Scene) -> Mapping[str, Any]:
        """What was drawn."""
        radius = max(radius for _, _, radius in scene.outlines)
        nearest = olympic.nearest(scene) if len(scene.outlines) > 1 else None
        return {
            "size": round(self.size * radius / scene.height, 4),
            "line_width": round(scene.line_width * POINTS / scene.height, 3),
            "colours": "colored" if len(set(scene.colors)) > 1 else "black",
            "crowding": nearest and round(100 * nearest / scene.height, 3),
            "resolution": scene.width,
        }

    def benchmark_scenes(self, seed: int, resources: None) -> Iterator[Scene]:
        """The benchmark's 240 scenes."""
        return olympic.benchmark_scenes(type(self).layout)

    def benchmark_columns(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """Size, line width, colours and resolution."""
        names = ("size", "line_width", "colours", "resolution")
        return {name: metadata[name] for name in names if name in metadata}
