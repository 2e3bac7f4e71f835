"""Which of two bars is longer, the upper or the lower?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unblind.errors import RecipeError
from unblind.tasks.base import AnswerSpace, BaseRate, Mistake, Pixels, Prompt, Row, Task, Trait, braced
from unblind.tasks.splits import Split

ANSWERS = ("upper", "lower")


@dataclass(frozen=True)
class Options:
    """The knobs: pixels, and the least and the most by which the bars differ, as shares of the image."""

    image_size: int = 224
    difference: tuple[float, float] = (0.02, 0.3)

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn. Raises RecipeError."""
        low, high = self.difference
        if not (56 <= self.image_size <= 2048 and 1 / self.image_size <= low <= high <= 0.5):
            raise RecipeError("image_size needs 56 to 2048, difference two shares from 1 px to 0.5, in order")


@dataclass(frozen=True)
class Scene:
    """Two bars: their left ends, their lengths and their thickness, in px."""

    image_size: int
    lefts: tuple[int, int]
    lengths: tuple[int, int]
    thickness: int


class LongerBar(Task[Scene]):
    """Two bars, one above the other."""

    name = "longer-bar"
    title = "Which of two bars is longer?"
    prompts = {
        "longer": Prompt("Which bar is longer, the upper or the lower?"),
        "braces": Prompt("Which bar is longer? Answer with {upper} or {lower}.", braced),
    }
    answers = AnswerSpace(ANSWERS, lambda reply: {a: a for a in ANSWERS}.get(reply.strip(" .{}\n").lower()))
    options_class, scene_class = Options, Scene
    own_columns = {"difference": "float64"}
    meanings = {"difference": "by how much the bars differ, as a share of the image"}
    traits = {"difference": Trait("Difference", lambda row: row.get("difference"), (0, 0.05, 0.1, 0.2))}
    mistakes = {"above": Mistake("The upper bar, wrongly", lambda row, reply: reply == "upper")}
    base_rates = {"upper": BaseRate("Always the upper bar", lambda rows: np.mean([_upper(r) for r in rows]))}

    def sample(self, rng: np.random.Generator, split: Split, options: Options, resources: None) -> Scene:
        """Bars anywhere, in a thickness that leaves them apart."""
        size = options.image_size
        difference = max(1, round(float(rng.uniform(*options.difference)) * size))
        short = int(rng.integers(size // 8, 7 * size // 8 - difference + 1))
        lengths = (short, short + difference) if rng.random() < 0.5 else (short + difference, short)
        left, right = (int(rng.integers(2, size - length - 1)) for length in lengths)
        return Scene(size, (left, right), lengths, int(rng.integers(2, size // 8)))

    def draw(self, scene: Scene, resources: None, without: str | None = None) -> Pixels:
        """Black bars on white."""
        image = np.full((scene.image_size, scene.image_size, 3), 255, np.uint8)
        for row, left, length in zip((1, 2), scene.lefts, scene.lengths, strict=True):
            top = row * scene.image_size // 3
            image[top : top + scene.thickness, left : left + length] = 0
        return image

    def truth(self, scene: Scene, which: str = "") -> str:
        """The longer bar."""
        return ANSWERS[scene.lengths[0] < scene.lengths[1]]

    def columns(self, scene: Scene) -> Mapping[str, float]:
        """By how much they differ."""
        return {"difference": abs(scene.lengths[0] - scene.lengths[1]) / scene.image_size}


def _upper(row: Row) -> bool:
    return bool(row["answer"] == "upper")


TASK = LongerBar()
