"""What the page asks the models: their answers, and how these fall as parts of the picture are hidden."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Lock

from peft import PeftModel
from PIL import Image

from unblind.evaluation.answers import Answer, answer, ask, choice_shares
from unblind.models.loading import Loaded
from unblind.tasks.words import LETTERS

AT_ONCE = 4  # hidden parts a forward pass: few, so that an answer never waits long for the pass before it


class Models:
    """The blind model and, where there is an adapter, the cured one: the same weights with it and without."""

    def __init__(self, loaded: Loaded, prompt: str) -> None:
        self.loaded, self.prompt = loaded, prompt
        self._turn = Lock()  # pages are answered in threads, and an adapter is switched for all of them
        size = loaded.processor.image_processor.size
        self.image_size = int(size["height"])
        self.names = ("blind", "cured") if isinstance(loaded.model, PeftModel) else ("blind",)

    def ask(self, image: Image.Image, word: str = "") -> list[Answer]:
        """Each model's answer to a picture. Raises DatasetError if the prompt needs a word."""
        rows = [{"image": image, "prompt": self.prompt, "word": word}]
        answers = []
        for name in self.names:
            with self._turn, self._as(name):
                answers += answer(self.loaded, rows)
        return answers

    def hide(
        self, whole: Image.Image, hidden: Sequence[Image.Image], word: str = ""
    ) -> Iterator[list[list[float]]]:
        """By how much the probability of each model's answer falls in the pictures with a part hidden.

        Yields, after every few pictures, a list for each model, of the falls known so far.
        """
        rows = [{"image": image, "prompt": self.prompt, "word": word} for image in (whole, *hidden)]
        shares: list[list[list[float]]] = [[] for _ in self.names]
        for start in range(0, len(rows), AT_ONCE):
            for name, known in zip(self.names, shares, strict=True):
                with self._turn, self._as(name):
                    of_views = choice_shares(self.loaded, *ask(self.loaded, rows[start : start + AT_ONCE]))
                    known += [share.tolist() for share in of_views if share is not None]
                time.sleep(0.002)  # whoever waits for an answer goes first
            yield [_falls(known) for known in shares]

    def _as(self, name: str) -> AbstractContextManager[None]:
        model = self.loaded.model
        if name == "blind" and isinstance(model, PeftModel):
            return model.disable_adapter()
        return nullcontext()


def _falls(shares: Sequence[Sequence[float]]) -> list[float]:
    best = max(range(len(LETTERS)), key=lambda i: shares[0][i])
    return [shares[0][best] - row[best] for row in shares[1:]]
