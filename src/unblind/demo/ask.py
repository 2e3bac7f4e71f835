"""What the page asks the models: their answers, and how these fall as parts of the picture are hidden."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Lock

from peft import PeftModel

from unblind.evaluation.answers import Answer, answer, ask, choice_shares
from unblind.models.loading import Loaded
from unblind.tasks.base import Task
from unblind.tasks.controls import Picture

AT_ONCE = 4  # hidden parts a forward pass: few, so that an answer never waits long for the pass before it


class Models:
    """The blind model and, where there is an adapter, the cured one: the same weights with it and without."""

    def __init__(self, loaded: Loaded, task: Task[object]) -> None:
        self.loaded, self.task = loaded, task
        self._turn = Lock()  # pages are answered in threads, and an adapter is switched for all of them
        self.image_size = loaded.family.image_size(loaded.processor)
        self.names = ("blind", "cured") if isinstance(loaded.model, PeftModel) else ("blind",)

    def restricts(self, picture: Picture) -> bool:
        """Whether the answer to a picture is one of the task's choices."""
        choices = self.task.answers.choices
        return choices is not None and picture.answer in (None, *choices)

    def ask(self, picture: Picture) -> list[Answer]:
        """Each model's answer. Raises DatasetError and ModelError as `evaluation.answer` does."""
        row = {**picture.row, "image": picture.image}
        answers = []
        for name in self.names:
            with self._turn, self._as(name):
                answers += answer(self.loaded, [row], task=self.task, restricted=self.restricts(picture))
        return answers

    def hide(self, picture: Picture) -> Iterator[list[list[float]]]:
        """By how much the probability of each model's answer falls in the pictures with a part hidden.

        Yields, after every few pictures, a list for each model, of the falls known so far; nothing where
        answers are not restricted.
        """
        if not self.restricts(picture):
            return
        images = [picture.image, *(part.hidden for part in picture.parts)]
        rows = [{**picture.row, "image": image} for image in images]
        shares: list[list[list[float]]] = [[] for _ in self.names]
        for start in range(0, len(rows), AT_ONCE):
            for name, known in zip(self.names, shares, strict=True):
                with self._turn, self._as(name):
                    of_views = choice_shares(
                        self.loaded, *ask(self.loaded, rows[start : start + AT_ONCE], task=self.task)
                    )
                    known += [share.tolist() for share in of_views if share is not None]
                time.sleep(0.002)  # whoever waits for an answer goes first
            yield [_falls(known) for known in shares]

    def _as(self, name: str) -> AbstractContextManager[None]:
        model = self.loaded.model
        if name == "blind" and isinstance(model, PeftModel):
            return model.disable_adapter()
        return nullcontext()


def _falls(shares: Sequence[Sequence[float]]) -> list[float]:
    best = max(range(len(shares[0])), key=lambda i: shares[0][i])
    return [shares[0][best] - row[best] for row in shares[1:]]
