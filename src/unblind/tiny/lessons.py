"""What the tiny base learns from: pictures cut into patches, and what is in them.

A lesson depends on (seed, number) alone. Only scenes, words and font families of the training split occur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from unblind.tasks.fonts import Font
from unblind.tiny.build import GRID, VOCABULARY
from unblind.tiny.drawn import draw, pick
from unblind.tiny.patches import IGNORE, Labels, chosen, cut, inked, no_labels, resized
from unblind.tiny.printed import MAX_LENGTH, Printer, question, waist_row

GROUP = 5  # lessons that share their pictures, sorted by how much is drawn on them
_WHOLE = 0.04  # of the lessons have whole pictures
_MOST_PAPER = 0.06  # of the plain patches are kept at most in the others
_COMPLETE = 0.85  # of a lesson's pictures keep all that is drawn; the fullest lose some of it


@dataclass(frozen=True)
class Picture:
    """A picture's patches, (patches, 3, 16, 16); how much they are wanted; their labels by head.

    A printed one has its text's row of patches, question and answer.
    """

    patches: NDArray[np.uint8]
    wanted: NDArray[
        np.int64
    ]  # (patches,): 0, plain paper; 1, something is drawn; 2, a letter's name is asked
    labels: dict[str, Labels]
    waist: int = 0
    text: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Lesson:
    """A batch of pictures, of each of which the same number of patches is kept.

    Attributes:
        pixels: (batch, kept, 3, 16, 16) uint8.
        index: (batch, kept) int64: the patches' numbers in the whole picture, ascending.
        labels: by head, (batch, kept, slots) int64, -100 where there is none.
        waist: (batch,) int64: the row of patches in which the text is read.
        ids: (batch, length) int64: <bos> question newline answer <eos> <pad>...; of drawings (0, 0).
        answer: likewise, bool: which ids belong to the answer.
    """

    pixels: torch.Tensor
    index: torch.Tensor
    labels: dict[str, torch.Tensor]
    waist: torch.Tensor
    ids: torch.Tensor
    answer: torch.Tensor

    def to(self, device: torch.device) -> Lesson:
        """The same on another device."""
        moved = {field.name: getattr(self, field.name) for field in fields(self)}
        labels = {name: value.to(device) for name, value in moved.pop("labels").items()}
        return Lesson(labels=labels, **{name: value.to(device) for name, value in moved.items()})


class Lessons(IterableDataset[tuple[Lesson, ...]]):
    """The lessons of steps number `first`, `first` + 1, ... of a stage: a printed one, and a drawn one."""

    def __init__(
        self,
        *,
        fonts: Sequence[Font],
        seed: int,
        first: int,
        last: int,
        printed: int,
        drawn: int,
        growth: int,
        larger: float = 0.25,
        neighbours: Sequence[str] = (),
    ) -> None:
        """Keep what the lessons depend on.

        Args:
            fonts: to print with.
            seed: of all lessons of the stage.
            first: number of the first step.
            last: number after the last one.
            printed: pictures of a printed lesson.
            drawn: pictures of a drawn lesson; 0: there are none.
            growth: the step from which on strings have their full length; before, they grow from 3 letters.
            larger: share of the printed pictures that are drawn larger than the model sees them, and shrunk.
            neighbours: families among the fonts that are drawn more often.
        """
        self.seed, self.first, self.last = seed, first, last
        self.counts, self.growth = (printed, drawn), growth
        self._printer = Printer(fonts, larger, neighbours)

    def __iter__(self) -> Iterator[tuple[Lesson, ...]]:
        """Draw the lessons one by one; meant for one background worker."""
        for group in range(self.first // GROUP, -(-self.last // GROUP)):
            for number, lessons in enumerate(self.group(group), group * GROUP):
                if self.first <= number < self.last:
                    yield lessons

    def group(self, number: int) -> list[tuple[Lesson, ...]]:
        """The lessons of the steps from GROUP * `number` on."""
        kinds = [
            self._alike(np.random.default_rng((self.seed, number, kind)), draw, count, number * GROUP)
            for kind, (draw, count) in enumerate(zip((self._print, self._draw), self.counts, strict=True))
            if count
        ]
        return list(zip(*kinds, strict=True))

    def _alike(
        self,
        rng: np.random.Generator,
        draw: Callable[[np.random.Generator, int], Picture],
        count: int,
        step: int,
    ) -> list[Lesson]:
        """GROUP lessons of `count` pictures, in each of which about as much is drawn on all."""
        pictures = [draw(rng, step) for _ in range(GROUP * count)]
        pictures.sort(key=lambda picture: np.count_nonzero(picture.wanted))
        parts = [pictures[i * count : (i + 1) * count] for i in range(GROUP)]
        return [_lesson(rng, parts[i]) for i in rng.permutation(GROUP).tolist()]

    def _print(self, rng: np.random.Generator, step: int) -> Picture:
        longest = 3 + int((MAX_LENGTH - 3) * min(1.0, step / self.growth)) if self.growth else MAX_LENGTH
        scene, image, labels = self._printer.print(rng, longest)
        patches = cut(resized(rng, image))
        wanted = np.where((labels["place"] != IGNORE).any(1), 2, inked(patches))
        return Picture(patches, wanted, labels, waist_row(scene), question(rng, scene.word))

    def _draw(self, rng: np.random.Generator, _: int) -> Picture:
        image, labels = draw(rng, pick(rng))
        patches = cut(resized(rng, image))
        return Picture(patches, inked(patches).astype(int), labels)


def _lesson(rng: np.random.Generator, pictures: Sequence[Picture]) -> Lesson:
    share = 1.0 if rng.random() < _WHOLE else rng.uniform(0, _MOST_PAPER)
    most = int(np.quantile([np.count_nonzero(picture.wanted) for picture in pictures], _COMPLETE))
    kept = chosen(rng, [p.wanted for p in pictures], int(most + share * (GRID * GRID - most)))
    rows = np.arange(len(pictures))[:, None]
    slots = {name: part.shape[1] for picture in pictures for name, part in picture.labels.items()}
    labels = {
        name: np.stack([picture.labels.get(name, no_labels(count)) for picture in pictures])[rows, kept]
        for name, count in slots.items()
    }
    texts = [picture.text for picture in pictures if picture.text[1]]
    ids, answer = encode_texts(texts)
    return Lesson(
        pixels=torch.from_numpy(np.stack([picture.patches for picture in pictures])[rows, kept]),
        index=torch.from_numpy(kept),
        labels={name: torch.from_numpy(part) for name, part in labels.items()},
        waist=torch.tensor([picture.waist for picture in pictures]),
        ids=ids,
        answer=answer,
    )


def encode(text: str) -> list[int]:
    """The ids of a text, one a character, as the tokenizer gives them."""
    return [VOCABULARY[character] for character in text.replace(" ", "▁")]


def encode_texts(texts: Sequence[tuple[str, str]]) -> tuple[torch.Tensor, torch.Tensor]:
    """(question, answer) pairs as ids, padded on the right, and which of them are the answer's."""
    heads = [[VOCABULARY["<bos>"], *encode(q + "\n")] for q, _ in texts]
    tails = [[*encode(a), VOCABULARY["<eos>"]] for _, a in texts]
    length = max((len(head) + len(tail) for head, tail in zip(heads, tails, strict=True)), default=0)
    ids = torch.full((len(texts), length), VOCABULARY["<pad>"])
    answer = torch.zeros(ids.shape, dtype=torch.bool)
    for i, (head, tail) in enumerate(zip(heads, tails, strict=True)):
        ids[i, : len(head) + len(tail)] = torch.tensor(head + tail)
        answer[i, len(head) : len(head) + len(tail)] = True
    return ids, answer
