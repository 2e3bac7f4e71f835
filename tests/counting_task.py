"""A second small task, for what has to work for any: how many dots are there?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from unblind.tasks.base import AnswerSpace, Caption, Mistake, Pixels, Prompt, Row, Task, Trait, Wording
from unblind.tasks.replies import COUNT_RULES

NAME = "dots"
COUNTS = ("1", "2", "3", "4")


@dataclass(frozen=True)
class Dots:
    """So many dots of a radius, in px."""

    count: int
    radius: int


@dataclass(frozen=True)
class Options:
    """The sampler's only knob."""

    image_size: int = 64


class CountDots(Task[Dots]):
    """Dots in a row."""

    name = NAME
    title = "How many dots are there?"
    prompts: ClassVar[Any] = {"count": Prompt("How many dots are there?")}
    answers = AnswerSpace(COUNTS, lambda reply: reply.strip(" .{}"))
    options_class = Options
    scene_class = Dots
    own_columns: ClassVar[Any] = {"radius": "int64"}
    parts = ("dots",)
    rules = COUNT_RULES
    cluster = "radius"
    traits: ClassVar[Any] = {
        "count": Trait("dots in the picture", lambda row: int(row["answer"]), curve=True),
        "radius": Trait("Radius, px", lambda row: row["radius"], bins=(0, 4, 8)),
    }
    mistakes: ClassVar[Any] = {
        "one_off": Mistake(
            "one dot too many or too few",
            lambda row, reply: abs(int(row["answer"]) - int(reply)) == 1,
            lambda row: 1 / 3 if row["answer"] in ("1", "4") else 2 / 3,
            at_random="Another number at random would be one off",
            meaning="it nearly counted",
        )
    }
    wording = Wording(
        success="counted the dots",
        truth="drawn",
        parts={"dots": "all dots"},
        covering="Without dots there is nothing to count.",
    )

    def sample(self, rng: np.random.Generator, split: Any, options: Options, resources: Any) -> Dots:
        """A number and a radius."""
        return Dots(int(rng.integers(1, 5)), int(rng.integers(2, 6)))

    def draw(self, scene: Dots, resources: Any, without: str | None = None) -> Pixels:
        """Squares do for dots here."""
        image = np.full((64, 64, 3), 255, np.uint8)
        for i in range(0 if without else scene.count):
            image[32 - scene.radius : 32 + scene.radius, 4 + 15 * i : 4 + 15 * i + 2 * scene.radius] = 0
        return image

    def truth(self, scene: Dots, which: str = "") -> str:
        """The number."""
        return str(scene.count)

    def caption(self, row: Row) -> Caption:
        """As many dots as there are."""
        return Caption(before="•" * int(row["answer"]), note=f"radius {row.get('radius')}")


TASK = CountDots()
