"""The task: do two circles touch? do they overlap?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from unblind.tasks.answers import YES_NO, chance, parse_yes_no, yes_no
from unblind.tasks.base import Mistake, Pixels, Prompt, Row, Task, Trait, Wording
from unblind.tasks.replies import YES_NO_RULES
from unblind.tasks.splits import Split, split_by_hash
from unblind.tasks.two_circles.scene import Options, Scene, benchmark_scenes, draw, sample, twin


def _is_of(row: Row, side: int) -> bool | None:
    """Whether a row's circles are apart (1), touch (0) or overlap (-1); None where that is not known."""
    gap = row.get("gap")
    return None if gap is None else (gap > 0) - (gap < 0) == side


class TwoCircles(Task[Scene]):
    """Two filled circles, apart, just touching, or overlapping."""

    name = "two-circles"
    title = "Do two circles touch, or overlap?"
    pictures = "Two filled circles"
    held_out = (
        "The first circle decides which split a scene belongs to; every scene differs from each of the"
        " benchmark's by 2 px of 224 in some centre or radius."
    )
    benchmark = ("Touching Circles",)
    benchmark_count = 672
    prompts = {
        "touching": Prompt("Are the two circles touching each other? Answer with Yes/No.", truth="touching"),
        "overlapping": Prompt("Are the two circles overlapping? Answer with Yes/No.", truth="overlapping"),
        "short": Prompt("Do the circles touch?", truth="touching"),
        "short-overlap": Prompt("Do the circles overlap?", truth="overlapping"),
    }
    answers = YES_NO
    options_class = Options
    scene_class = Scene
    own_columns = {"gap": "float64", "diameter": "float64", "ratio": "float64", "resolution": "int64"}
    meanings = {
        "gap": "in diameters of the smaller circle; below 0 they overlap",
        "diameter": "of the larger circle, as a share of the image",
        "ratio": "of the larger diameter to the smaller",
        "resolution": "image width, px",
    }
    parts = ("second", "first")
    traits = {
        "gap": Trait(
            "gap in diameters of the smaller circle; below 0 they overlap",
            lambda row: row.get("gap"),
            (-0.1, -0.03, -1e-6, 1e-6, 0.03, 0.1, 0.3),
            {
                "-0.03 to -1e-06": "-0.03 to below 0",
                "-1e-06 to 1e-06": "0: one point",
                "1e-06–0.03": "up to 0.03",
            },
        ),
        "diameter": Trait(
            "the larger circle's diameter, as a share of the image",
            lambda row: row.get("diameter"),
            (0.0, 0.13, 0.18, 0.23),
        ),
        "ratio": Trait(
            "the larger circle over the smaller", lambda row: row.get("ratio"), (1.0, 1.01, 1.5, 2.0)
        ),
        "resolution": Trait(
            "image width, px", lambda row: row.get("resolution"), (0.0, 300.0, 500.0, 1000.0)
        ),
    }
    mistakes = {
        "unseen_gap": Mistake(
            "Yes, though there is a gap",
            lambda row, reply: _is_of(row, 1) and parse_yes_no(reply) == "Yes",
        ),
        "touching_taken": Mistake("of circles that touch in one point", lambda row, _: _is_of(row, 0)),
        "unseen_overlap": Mistake(
            "No, though they overlap",
            lambda row, reply: _is_of(row, -1) and parse_yes_no(reply) == "No",
        ),
    }
    base_rates = {"chance": chance(answers)}
    rules = YES_NO_RULES
    wording = Wording(
        success="saw what the circles do",
        truth="true",
        parts={"second": "the second circle", "first": "the first circle"},
        covering="One circle alone touches nothing: a model that sees answers No then.",
        without="shown one of the circles alone",
    )
    too_tight = "use a larger --image-size, a smaller --radius or a smaller --gap"
    demo = "unblind.tasks.two_circles.demo"

    def sample(
        self, rng: np.random.Generator, split: Split, options: Options, resources: None
    ) -> Scene | None:
        """Two circles; they overlap as often as they lie apart."""
        return sample(rng, options)

    def draw(self, scene: Scene, resources: None, without: str | None = None) -> Pixels:
        """The circles, or one without the other."""
        return draw(scene, without).pixels

    def split_of(self, scene: Scene) -> Split:
        """By a hash of the first circle, so that a scene and its twins are in one split."""
        return split_by_hash(self.name, repr(scene.first), 0.8, 0.9)

    def truth(self, scene: Scene, which: str = "") -> str:
        """Whether they touch (overlapping ones do), or whether they are `overlapping`."""
        return yes_no(scene.gap < 0 if which == "overlapping" else scene.gap <= 0)

    def contrast(self, rng: np.random.Generator, scene: Scene, which: str = "") -> Scene | None:
        """The same circles, the second pushed a little away, or into the first."""
        return twin(scene, which == "overlapping")

    def columns(self, scene: Scene) -> Mapping[str, Any]:
        """What was drawn."""
        small, large = sorted((scene.first[2], scene.second[2]))
        return {
            "gap": round(scene.gap / (2 * small), 4),
            "diameter": round(2 * large / scene.height, 4),
            "ratio": round(large / small, 3),
            "resolution": scene.width,
        }

    def benchmark_scenes(self, seed: int, resources: None) -> Iterator[Scene]:
        """The benchmark's 672 pairs."""
        return iter(benchmark_scenes())

    def benchmark_columns(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """Gap, diameter and resolution."""
        names = {"distance": "gap", "diameter": "diameter", "resolution": "resolution"}
        return {"ratio": 1.0} | {ours: metadata[name] for name, ours in names.items() if name in metadata}


TASK = TwoCircles()
