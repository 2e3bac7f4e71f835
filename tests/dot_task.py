"""A task that is not ours: a dot in the left or in the right half. It has two questions and no page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unblind.tasks.base import AnswerSpace, Pixels, Prompt, Task, braced
from unblind.tasks.splits import Split

SIDES = ("Left", "Right")


@dataclass(frozen=True)
class Dot:
    """Where it is, in px, and how large."""

    image_size: int
    x: int
    y: int
    radius: int


@dataclass(frozen=True)
class Options:
    """The sampler's knobs."""

    image_size: int = 64


class DotSide(Task[Dot]):
    """A black dot on white, and a grey line in the middle."""

    name = "dot-side"
    title = "In which half is the dot?"
    prompts = {  # noqa: RUF012
        "side": Prompt("Is the dot Left or Right?"),
        "other": Prompt("Which half is empty? Answer in curly brackets.", braced, truth="empty"),
    }
    answers = AnswerSpace(SIDES, lambda reply: reply.strip(" {}.").capitalize(), noun="sides")
    options_class = Options
    scene_class = Dot
    own_columns = {"radius": "int64"}  # noqa: RUF012
    parts = ("dot", "line")
    limits = "one dot on white paper."

    def sample(self, rng: np.random.Generator, split: Split, options: Options, resources: Any) -> Dot | None:
        size = options.image_size
        radius = int(rng.integers(2, size // 8))
        x, y = (int(value) for value in rng.integers(radius, size - radius, 2))
        return Dot(size, x, y, radius) if abs(x - size / 2) > radius + 2 else None

    def draw(self, scene: Dot, resources: Any, without: str | None = None) -> Pixels:
        y, x = np.mgrid[: scene.image_size, : scene.image_size]
        image = np.full((scene.image_size, scene.image_size, 3), 255, np.uint8)
        if without != "line":
            image[:, scene.image_size // 2] = 128
        if without != "dot":
            image[(x - scene.x) ** 2 + (y - scene.y) ** 2 <= scene.radius**2] = 0
        return image

    def truth(self, scene: Dot, which: str = "") -> str:
        return SIDES[(2 * scene.x > scene.image_size) ^ (which == "empty")]

    def columns(self, scene: Dot) -> dict[str, Any]:
        return {"radius": scene.radius}


TASK = DotSide()


def register(folder: Path) -> Path:
    """Make what an installed package has: an entry point. `folder` then belongs on Python's path."""
    info = folder / "dot_side-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dot-side\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[unblind.tasks]\ndot-side = dot_task\n")
    return folder
