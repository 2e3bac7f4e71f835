"""The page of a task without controls of its own: one held-out picture after another, and a question."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import gradio as gr

from unblind.errors import DemoError, UnblindError
from unblind.options import build, options_of
from unblind.tasks.base import Task
from unblind.tasks.controls import Controls
from unblind.tasks.scene_controls import DrawnControls

BUNDLED = ("bundled",)


@dataclass(frozen=True)
class NumberControls(DrawnControls[Any]):
    """A number, by which a held-out scene is sampled, and one of the task's questions."""

    def below(self) -> list[Any]:
        """The number of the scene."""
        return [gr.Number(0, label="Picture number", precision=0, scale=1, min_width=150)]

    def beside(self) -> list[Any]:
        """The question."""
        return [self.question()]

    def another(self, values: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        """Any number."""
        return [0, random.randrange(1_000_000), gr.skip()]

    def scene(self, values: Sequence[Any]) -> Any:
        """The scene of that number."""
        number = values[1]
        if number is None or number < 0:
            raise DemoError("Type the number of a picture: 0, 1, 2, …")
        return self.held_out(int(number))


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
