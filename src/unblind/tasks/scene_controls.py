"""Pages of `unblind demo` whose picture is a scene of the task. They need Gradio.

People change the scene by components beside the picture, and by dragging what is in it.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from threading import Lock
from typing import Any, ClassVar, Generic, TypeVar

import gradio as gr
import numpy as np
from PIL import Image

from unblind.errors import DemoError
from unblind.tasks.base import Pixels, sample_scene
from unblind.tasks.controls import Box, Controls, Large, Move, Part, Picture, Spot

S = TypeVar("S")

SHOWN = 896  # px, of the picture on the page; the model gets its own size
BOTH = (
    " The blind model and the cured one see the same picture. The cured one is the same model with an adapter"
    " that learnt from others of its kind."
)
_SIDES = ("width", "height", "image_size")  # a scene's whole numbers that are lengths
_ANGLES = ("turn",)  # a scene's other numbers that are none
_drawing = Lock()  # FreeType's faces serve one thread at a time, and tasks are not asked in several


@dataclass(frozen=True)
class DrawnControls(Controls, Generic[S]):
    """A scene, and one of the task's questions about it, which is the last of the values.

    Attributes:
        each: what can be hidden one by one, in words.
    """

    tab = "A drawn picture"
    lead = BOTH.strip()
    lead_blind = "See what the blind model makes of it."
    uploads = "A picture of the same kind"
    each: ClassVar[str] = "part"

    @abstractmethod
    def scene(self, values: Sequence[Any]) -> S:
        """The scene. Raises DemoError, in words for the page."""

    def parts(self, scene: S) -> list[tuple[str, Pixels]]:
        """What can be hidden, the picture without it; by default the task's parts. Names may be ""."""
        return [
            (self.task.wording.parts.get(part, f"the {part}"), self.task.draw(scene, self.resources, part))
            for part in self.task.parts
        ]

    def spots(self, scene: S) -> list[Spot]:
        """What can be clicked on, or dragged."""
        return []

    def note(self, scene: S) -> str:
        """What a person should know of it."""
        return ""

    def on_the_page(self, scene: S) -> S:
        """The scene as the page shows it; by default as the model sees it."""
        return scene

    def question(self) -> gr.Dropdown:
        """The component of the question."""
        choices = [(prompt.text, name) for name, prompt in self.task.prompts.items()]
        if self.prompt not in self.task.prompts:
            choices.insert(0, (self.prompt, self.prompt))
        return gr.Dropdown(choices, value=self.prompt, label="Question", visible=len(choices) > 1)

    def large(self, values: Sequence[Any]) -> Large:
        """The scene, large."""
        with _drawing:
            scene = self.scene(values)
            pixels = self.task.draw(self.on_the_page(scene), self.resources)
        asked = self.task.ask(scene, values[-1]).question
        return Large(pixels, asked, self.spots(scene), caption=asked)

    def picture(self, values: Sequence[Any]) -> Picture:
        """The scene as the model sees it, and the same without each of its parts."""
        with _drawing:
            scene = self.scene(values)
            whole, hidden = self.task.draw(scene, self.resources), self.parts(scene)
        asked = self.task.ask(scene, values[-1])
        boxes = [(label, pixels, difference(whole, pixels)) for label, pixels in hidden]
        return Picture(
            Image.fromarray(whole),
            {"prompt": asked.question, **self.task.columns(scene)},
            asked.answer,
            [Part(Image.fromarray(pixels), box, label) for label, pixels, box in boxes if box is not None],
            self.each,
            note=self.note(scene),
        )

    def held_out(self, number: int) -> S:
        """A scene of the test split, by its number."""
        scene: S = sample_scene(self.task, 0, "test", number, self.options, self.resources)
        return scene


@dataclass(frozen=True)
class SceneControls(DrawnControls[S]):
    """A held-out scene, which drags and the components of `knobs` change.

    The first of the values is the scene as it was sampled, or as the last drag has left it; the knobs' values
    hold for it too.
    """

    @cached_property
    def first(self) -> S:
        """A held-out scene."""
        return self.held_out(0)

    @abstractmethod
    def knobs(self, scene: S) -> list[Any]:
        """Make the components, with the values that the scene has."""

    @abstractmethod
    def told(self, scene: S) -> list[Any]:
        """The values that the knobs have for a scene, rounded as they are shown."""

    @abstractmethod
    def changed(self, scene: S, *wanted: Any) -> S:
        """The scene with other values of the knobs. Raises DemoError, in words for the page."""

    def dragged(self, scene: S, move: Move) -> S:
        """The scene after a click or a drag."""
        return scene

    def below(self) -> list[Any]:
        """Nothing."""
        return []

    def beside(self) -> list[Any]:
        """The knobs, and the question."""
        with gr.Row():
            knobs = self.knobs(self.first)
        return [*knobs, self.question()]

    def another(self, values: Sequence[Any]) -> list[Any]:
        """A held-out scene with other values of the knobs, so that the page notices."""
        while True:
            with _drawing:
                scene = self.held_out(random.randrange(1_000_000))
            if self.told(scene) != list(values[1:-1]):
                return [scene, *self.told(scene), gr.skip()]

    def scene(self, values: Sequence[Any]) -> S:
        """The scene as it was left, with what the knobs say."""
        scene: S = values[0]
        wanted = list(values[1:-1])
        if None in wanted:
            raise DemoError("Fill in each of the numbers.")
        return scene if wanted == self.told(scene) else self.changed(scene, *wanted)

    def moved(self, values: Sequence[Any], move: Move) -> S:
        """The scene after a click or a drag; what the knobs say becomes a part of it."""
        with _drawing:
            scene = self.scene(values)
            return self.dragged(scene, move) if 0 <= move.spot < len(self.spots(scene)) else scene

    def on_the_page(self, scene: S) -> S:
        """The scene, larger."""
        return scaled(scene, SHOWN / self.image_size)


def scaled(scene: S, factor: float) -> S:
    """A scene on larger paper. Floats of scenes are lengths in px, but for angles; of whole numbers, sides.

    Raises TypeError for a scene that is no dataclass.
    """
    larger = {}
    for one in fields(scene):  # type: ignore[arg-type]
        value = getattr(scene, one.name)
        if one.name in _SIDES:
            larger[one.name] = round(value * factor)
        elif one.name not in _ANGLES:
            larger[one.name] = _times(value, factor)
    return replace(scene, **larger)  # type: ignore[type-var]


def _times(value: Any, factor: float) -> Any:
    if isinstance(value, tuple):
        return tuple(_times(one, factor) for one in value)
    return value * factor if isinstance(value, float) else value


def slider(least: float, most: float, value: float, label: str, step: float = 1) -> gr.Slider:
    """A component for a number."""
    return gr.Slider(least, most, value, step=step, label=label, min_width=130, buttons=[])


def clamped(value: float, least: float, most: float) -> float:
    """The nearest number within limits."""
    return min(max(value, least), most)


def around(x: float, y: float, reach: float, size: int, least: float = 0.03) -> Box:
    """A box about a place in px, as shares of a picture; `reach` px to each side, or that share of it."""
    half = max(reach / size, least)
    return x / size - half, y / size - half, 2 * half, 2 * half


def difference(whole: Pixels, hidden: Pixels) -> Box | None:
    """The box around the pixels in which two pictures differ; None if they are equal."""
    rows, columns = np.nonzero((whole != hidden).any(axis=-1))
    if len(rows) == 0:
        return None
    height, width = whole.shape[:2]
    x, y = int(columns.min()), int(rows.min())
    return x / width, y / height, (int(columns.max()) + 1 - x) / width, (int(rows.max()) + 1 - y) / height
