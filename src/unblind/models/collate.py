"""Samples to tensors: the one place where a question, an image and an answer become a model's input.

PaliGemma's text is `<image>` x N + bos + prompt + newline, then answer + eos. Image and prompt are the
prefix: they see each other in both directions (token type 0). The answer is causal (token type 1), and the
only part that the loss counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import torch
from PIL import Image
from torch import Tensor
from transformers import PaliGemmaProcessor

from unblind.data.images import decode_image
from unblind.errors import DatasetError, ModelError
from unblind.models.blank_patches import kept_patches
from unblind.tasks.prompts import prompt_text
from unblind.tasks.words import LETTERS

Row = Mapping[str, Any]


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
        processor: the model's.
        prompt: instead of the rows' own; a name in `PROMPTS` or a text, `{word}` in it is the row's word.
        answers: with them (training), or the questions alone (evaluation, prediction).
        features: gives what a frozen vision tower makes of the rows' images, in the place of pixels.
        drop_blank: leave out patches of blank paper, for a model that is `dropping_patches`.
    """

    processor: PaliGemmaProcessor
    prompt: str | None = None
    answers: bool = True
    features: Callable[[Sequence[Row]], Tensor] | None = None
    drop_blank: bool = False

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """The batch of B rows with S tokens and K answer tokens in all.

        Returns:
            input_ids, attention_mask, token_type_ids: int64 (B, S); pixel_values: float32 (B, 3, H, W), or
            the features. With answers also labels: int64 (B, S), -100 outside the answers; logits_to_keep:
            bool (B, S), where the next token is one of an answer; shift_labels: int64 (K,), these tokens.
            With the last two the model computes logits for the answers alone, and the loss is the same.
            Where blank paper is left out, also kept_patches: int64 (B, N), the patches to see; position_ids:
            int64 (B, S), the places that the tokens have beside a whole image.

        Raises:
            DatasetError: a row without prompt or answer, or with a broken image; the message has its id.
        """
        questions = [self._question(row) for row in rows]
        answers = [self._answer(row) if self.answers else [] for row in rows]
        pixel_values = self.features(rows) if self.features else self._pixels(rows)
        image, whole = self.processor.image_token_id, self.processor.image_seq_length
        kept = kept_patches(pixel_values, math.isqrt(whole)) if self.drop_blank else None
        seen = whole if kept is None else kept.shape[1]
        length = seen + max(len(q) + len(a) for q, a in zip(questions, answers, strict=True))
        pad = self.processor.tokenizer.pad_token_id
        ids = torch.full((len(rows), length), pad)
        types = torch.zeros_like(ids)
        attention = torch.zeros_like(ids)
        for i, (question, answer) in enumerate(zip(questions, answers, strict=True)):
            tokens = [image] * seen + question + answer
            ids[i, length - len(tokens) :] = torch.tensor(tokens)
            attention[i, length - len(tokens) :] = 1
            types[i, length - len(answer) :] = 1
        batch = {"input_ids": ids, "attention_mask": attention, "token_type_ids": types}
        batch["pixel_values"] = pixel_values
        if kept is not None:
            batch |= {"kept_patches": kept, "position_ids": _places(attention, kept, whole)}
        if self.answers:
            batch |= _targets(ids, types)
            check_mask(batch)
        return batch

    def _pixels(self, rows: Sequence[Row]) -> Tensor:
        return pixels(self.processor, [decode_image(row["image"], f"row {name_of(row)}") for row in rows])

    def _question(self, row: Row) -> list[int]:
        prompt = self.prompt if self.prompt is not None else row.get("prompt")
        if not isinstance(prompt, str):
            raise DatasetError(
                f"row {name_of(row)} has no prompt; add a column prompt, or name one (--prompt)"
            )
        if "{word}" in prompt_text(prompt, "{word}") and not row.get("word"):
            raise DatasetError(f"row {name_of(row)} has no word for the prompt; choose another (--prompt)")
        tokenizer = self.processor.tokenizer
        text = f"{tokenizer.bos_token}{prompt_text(prompt, str(row.get('word') or ''))}\n"
        tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        if self.processor.image_token_id in tokens:
            raise DatasetError(
                f"row {name_of(row)}: the prompt must not contain {self.processor.image_token}"
            )
        return tokens

    def _answer(self, row: Row) -> list[int]:
        answer = row.get("answer")
        if not isinstance(answer, str) or not answer:
            raise DatasetError(f"row {name_of(row)} has no answer; fill it in or leave the row out")
        return answer_tokens(self.processor, answer)


def answer_tokens(processor: PaliGemmaProcessor, answer: str) -> list[int]:
    """The tokens of an answer with its end-of-sequence."""
    tokenizer = processor.tokenizer
    tokens: list[int] = tokenizer(answer + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    return tokens


def pixels(processor: PaliGemmaProcessor, images: Sequence[Image.Image]) -> Tensor:
    """Images of any size and mode as the model's pixels: float32 (B, 3, H, W)."""
    tensor: Tensor = processor.image_processor(images=list(images), return_tensors="pt")["pixel_values"]
    return tensor


def letter_tokens(processor: PaliGemmaProcessor) -> list[int]:
    """The token of each of the 52 `LETTERS`. Raises ModelError if one is not a single token of its own."""
    tokenizer = processor.tokenizer
    found = [tokenizer(letter, add_special_tokens=False)["input_ids"] for letter in LETTERS]
    tokens = [ids[0] for ids in found if len(ids) == 1 and ids[0] != tokenizer.unk_token_id]
    if len(set(tokens)) != len(LETTERS):
        raise ModelError(
            "this model's tokenizer lacks letters A-Z, a-z as single tokens; name a PaliGemma model (--model)"
        )
    return tokens


def check_mask(batch: Mapping[str, Tensor]) -> None:
    """Refuse a training batch whose mask would let the answer see itself, or make the prefix causal.

    Both train without complaint and to no use: PaliGemma takes missing token types for an all-causal text,
    and all-zero ones for a prefix that includes the answer.

    Raises:
        ValueError: token types missing, without an answer in some row, or other than 1 on the answer alone.
    """
    types = batch.get("token_type_ids")
    if types is None:
        raise ValueError("the batch has no token_type_ids: the prefix would be causal")
    if not bool((types == 1).any(dim=1).all()):
        raise ValueError("token_type_ids are 0 throughout a row: the answer would see itself")
    if not torch.equal(types == 1, batch["labels"] != -100):
        raise ValueError("token_type_ids are not 1 on the answer alone")


def name_of(row: Row) -> str:
    """What an error calls a row."""
    return str(row.get("id", "(without id)"))


def _places(attention: Tensor, kept: Tensor, whole: int) -> Tensor:
    """The tokens' places beside a whole image, of `whole` tokens. PaliGemma counts from 1."""
    places = attention.cumsum(dim=1) + whole - kept.shape[1]
    images = attention.argmax(dim=1, keepdim=True) + torch.arange(kept.shape[1])  # their columns
    return places.scatter(1, images, kept + 1)


def _targets(ids: Tensor, types: Tensor) -> dict[str, Tensor]:
    answer = types == 1
    keep = answer.roll(-1, dims=1)  # the first column is never an answer, so nothing wraps round
    return {
        "labels": ids.masked_fill(~answer, -100),
        "logits_to_keep": keep,
        "shift_labels": ids[answer],
    }
