"""Any question about any picture: data of which nothing is known but image, prompt and answer."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from unblind.errors import RecipeError
from unblind.tasks.base import AnswerSpace, Pixels, Prompt, Task, Trait
from unblind.tasks.replies import LETTER_RULES
from unblind.tasks.splits import Split


class Generic(Task[None]):
    """Nothing is drawn, and any text is an answer."""

    name = "generic"
    title = "Questions about pictures"
    prompts = {"own": Prompt("")}
    answers = AnswerSpace(None, str.strip)
    traits = {"answer": Trait("answer", lambda row: row["answer"], section="")}
    rules = LETTER_RULES  # which know of nothing else
    options_class = scene_class = type(None)

    def sample(self, rng: np.random.Generator, split: Split, options: Any, resources: Any) -> NoReturn:
        """Raise RecipeError: there is nothing to draw."""
        raise RecipeError("a generic task has no pictures of its own; name a task to draw (--task)")

    def draw(self, scene: None, resources: Any, without: str | None = None) -> Pixels:
        """Raise RecipeError: there is nothing to draw."""
        raise RecipeError("a generic task has no pictures of its own; name a task to draw (--task)")

    def truth(self, scene: None, which: str = "") -> str:
        """Raise RecipeError: only the data knows."""
        raise RecipeError("the answers of a generic task are in its data alone")


GENERIC = Generic()
