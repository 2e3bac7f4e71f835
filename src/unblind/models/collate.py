"""Samples to tensors: the one place where a question, an image and a reply become a model's input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import datasets
from PIL import Image
from torch import Tensor

from unblind.data.images import decode_image
from unblind.errors import DatasetError
from unblind.models.blank_patches import kept_patches
from unblind.models.family import Family, Processor, with_fixed_grid
from unblind.tasks.base import Row, Task
from unblind.tasks.registry import DEFAULT_TASK, task_named, task_names


def prepared(dataset: datasets.Dataset, *, answers: bool = True) -> datasets.Dataset:
    """The dataset with images left encoded, so that `Collator` can name the row of a broken one.

    Raises:
        DatasetError: it is empty, or lacks image or answer, or image is no image column.
    """
    wanted = ["image", *(["answer"] if answers else [])]
    missing = [name for name in wanted if name not in dataset.column_names]
    if missing:
        raise DatasetError(
            f"the dataset lacks the column {', '.join(missing)} (it has {', '.join(dataset.column_names)});"
            " needed are image, prompt, answer"
        )
    if not isinstance(dataset.features["image"], datasets.Image):
        raise DatasetError(
            "the dataset's column image holds no images; store PNG or JPEG in a datasets.Image"
        )
    if len(dataset) == 0:
        raise DatasetError("the dataset is empty; generate or name one with samples")
    return dataset.cast_column("image", datasets.Image(decode=False))


@dataclass(frozen=True)
class Collator:
    """Makes a batch of rows (image, prompt, answer, ...), padded on the left.

    Attributes:
        family: the model's.
        processor: the model's.
        prompt: instead of the rows' own; the name of a prompt of their task, or a text, in which `{word}` is
            the row's column of that name.
        answers: with the replies (training), or the questions alone (evaluation, prediction).
        features: gives what a frozen vision tower makes of the rows' images, in the place of pixels.
        drop_blank: leave out patches of blank paper, for a model that is `dropping_patches`.
    """

    family: Family
    processor: Processor
    prompt: str | None = None
    answers: bool = True
    features: Callable[[Sequence[Row]], Tensor] | None = None
    drop_blank: bool = False

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """The batch of B rows, as the family encodes it.

        Raises:
            DatasetError: a row without prompt or answer, or with a broken image; the message has its id.
            SceneError: the prompt asks for another truth than the row's own, and the row has no scene.
        """
        questions = [self._question(row) for row in rows]
        replies = [self.reply(row) for row in rows] if self.answers else None
        batch = self._encoded(rows, questions, replies)
        if self.answers:
            self.family.check(batch)
        return batch

    def reply(self, row: Row) -> str:
        """A row's answer in the format that its question asks for. Raises DatasetError and SceneError."""
        answer = row.get("answer")
        if not isinstance(answer, str) or not answer:
            raise DatasetError(f"row {name_of(row)} has no answer; fill it in or leave the row out")
        return _task(row).ask_again(row, self.prompt).reply

    def _encoded(
        self, rows: Sequence[Row], questions: Sequence[str], replies: Sequence[str] | None
    ) -> dict[str, Tensor]:
        if self.features:
            family = with_fixed_grid(self.family, "cache_features")
            return family.encode_pixels(self.processor, self.features(rows), questions, replies)
        images = [image_of(row) for row in rows]
        if not self.drop_blank:
            return self.family.encode(self.processor, images, questions, replies)
        family = with_fixed_grid(self.family, "drop_blank")
        pixels = family.pixels(self.processor, images)
        kept = kept_patches(pixels, family.grid(self.processor))
        return family.encode_pixels(self.processor, pixels, questions, replies, kept)

    def _question(self, row: Row) -> str:
        prompt = self.prompt if self.prompt is not None else row.get("prompt")
        if not isinstance(prompt, str):
            raise DatasetError(
                f"row {name_of(row)} has no prompt; add a column prompt, or name one (--prompt)"
            )
        task = _task(row)
        text = task.prompt_of(prompt, row).text
        for name in task.own_columns:
            if f"{{{name}}}" in text and row.get(name) in (None, ""):
                raise DatasetError(
                    f"row {name_of(row)} has no {name} for the prompt; choose another (--prompt)"
                )
        question = task.question(text, row)
        self._refuse_marks(row, "prompt", question)
        self._refuse_marks(row, "answer", str(row.get("answer") or ""))
        return question

    def _refuse_marks(self, row: Row, name: str, written: str) -> None:
        token = next((token for token in self._reserved if token in written), None)
        if token:
            raise DatasetError(f"row {name_of(row)}: the {name} must not contain {token}; take it out")

    @cached_property
    def _reserved(self) -> tuple[str, ...]:
        """What the tokenizer reads as a mark of its own, and never as text: `a<eos>` is no answer."""
        return self.family.reserved(self.processor)


def name_of(row: Row) -> str:
    """What an error calls a row."""
    return str(row.get("id", "(without id)"))


def image_of(row: Row) -> Image.Image:
    """A row's image. Raises DatasetError, which names the row."""
    return decode_image(row["image"], f"row {name_of(row)}")


def _task(row: Row) -> Task[Any]:
    return _task_recorded(str(row.get("task")))


@lru_cache(maxsize=64)
def _task_recorded(name: str) -> Task[Any]:
    """The task that knows a row's prompts; where none of ours is recorded, the only one there used to be."""
    return task_named(name if name in task_names() else DEFAULT_TASK)
