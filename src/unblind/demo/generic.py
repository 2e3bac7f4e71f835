"""The page of a task without controls of its own: one held-out picture after another, and a question."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from threading import Lock
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from unblind.errors import DemoError, UnblindError
from unblind.options import build, options_of
from unblind.tasks.base import Pixels, Task, sample_scene
from unblind.tasks.controls import Box, Controls, Large, Part, Picture

BUNDLED = ("bundled",)


@dataclass(frozen=True)
class NumberControls(Controls):
    """A number, by which a held-out scene is sampled, and one of the task's questions."""

    _drawing: Any = field(default_factory=Lock, repr=False)  # tasks are not asked to draw in several threads

    tab = "A drawn picture"
    lead = (
        "The blind model and the cured one see the same picture. The cured one is the same model with an"
        " adapter that learnt from others of its kind."
    )
    lead_blind = "See what the blind model makes of it."
    uploads = "A picture of the same kind"

    def below(self) -> list[Any]:
        """The number of the scene."""
        return [gr.Number(0, label="Picture number", precision=0, scale=1, min_width=150)]

    def beside(self) -> list[Any]:
        """The question."""
        choices = [(prompt.text, name) for name, prompt in self.task.prompts.items()]
        if self.prompt not in self.task.prompts:
            choices.insert(0, (self.prompt, self.prompt))
        return [gr.Dropdown(choices, value=self.prompt, label="Question", visible=len(choices) > 1)]

    def another(self) -> list[Any]:
        """Any number."""
        return [0, random.randrange(1_000_000), gr.skip()]

    def large(self, values: Sequence[Any]) -> Large:
        """The scene, as the model sees it."""
        _, number, prompt = values
        with self._drawing:
            scene = self._scene(number)
            pixels = self.task.draw(scene, self.resources)
        return Large(pixels, self.task.ask(scene, prompt).question)

    def picture(self, values: Sequence[Any]) -> Picture:
        """The scene, and the same without each of the task's parts."""
        _, number, prompt = values
        with self._drawing:
            scene = self._scene(number)
            whole = self.task.draw(scene, self.resources)
            hidden = {part: self.task.draw(scene, self.resources, part) for part in self.task.parts}
        boxes = {part: _difference(whole, pixels) for part, pixels in hidden.items()}
        asked = self.task.ask(scene, prompt)
        return Picture(
            Image.fromarray(whole),
            {"prompt": asked.question, **self.task.columns(scene)},
            asked.answer,
            [
                Part(Image.fromarray(hidden[part]), box, self.task.wording.parts.get(part, f"the {part}"))
                for part, box in boxes.items()
                if box is not None
            ],
        )

    def _scene(self, number: float | None) -> Any:
        if number is None or number < 0:
            raise DemoError("Type the number of a picture: 0, 1, 2, …")
        return sample_scene(self.task, 0, "test", int(number), self.options, self.resources)


def controls_of(task: Task[Any], prompt: str, image_size: int, fonts: tuple[str, ...] = BUNDLED) -> Controls:
    """The controls of a task's page: its own, or the generic ones.

    Args:
        task: the task.
        prompt: the question, by name or as a text.
        image_size: px, of the pictures that the model sees.
        fonts: for a task that draws words.

    Raises:
        DemoError: a task without fonts, or one whose own controls cannot be loaded.
    """
    knobs = options_of(task.options_class)
    if fonts != BUNDLED and "fonts" not in knobs:
        raise DemoError(f"{task.name} draws no words; leave out --fonts")
    wanted = {"fonts": fonts, "image_size": image_size}
    given = {name: value for name, value in wanted.items() if name in knobs}
    options: Any = build(task.options_class, given, f"--task {task.name}")
    if not task.demo:
        return NumberControls(task, options, prompt, image_size, task.resources(options))
    try:
        made: Controls = import_module(task.demo).controls(task, options, prompt, image_size)
    except UnblindError:
        raise
    except Exception as error:  # whatever another package's code raises
        reason = f"{type(error).__name__}: {error}"[:200]
        raise DemoError(
            f"--task {task.name}: its page {task.demo} cannot be loaded ({reason}); mend or remove it"
        ) from error
    return made


def _difference(whole: Pixels, hidden: Pixels) -> Box | None:
    """The box around the pixels in which two pictures differ; None if they are equal."""
    rows, columns = np.nonzero((whole != hidden).any(axis=-1))
    if len(rows) == 0:
        return None
    height, width = whole.shape[:2]
    x, y = int(columns.min()), int(rows.min())
    return x / width, y / height, (int(columns.max()) + 1 - x) / width, (int(rows.max()) + 1 - y) / height
