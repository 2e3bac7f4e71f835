"""Choices as tokens: where a model's reply names one of a few answers, and by which tokens they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from unblind.errors import ModelError
from unblind.models.family import Family, Processor


@dataclass(frozen=True)
class Choices:
    """The token by which replies differ.

    Attributes:
        shared: the tokens with which every reply begins, such as that of `{`; mostly none.
        tokens: the next one, another for each choice.
    """

    shared: tuple[int, ...]
    tokens: tuple[int, ...]


def choices_as_tokens(family: Family, processor: Processor, replies: Sequence[str]) -> Choices:
    """The token by which the replies of an answer space differ; they are two at least.

    Raises:
        ModelError: the tokenizer does not know them all, or two of them have that token in common.
    """
    encoded = [family.reply_tokens(processor, reply) for reply in replies]
    columns = zip(*encoded, strict=False)
    shared = [ids[0] for ids in takewhile(lambda ids: len(set(ids)) == 1, columns)]
    differing = {ids[len(shared)] for ids in encoded if len(ids) > len(shared)}
    if len(differing - {processor.tokenizer.unk_token_id}) != len(replies):
        raise ModelError(
            f"this model's tokenizer does not tell {replies[0]} … {replies[-1]} apart by one token each; name"
            " another model (--model)"
        )
    return Choices(tuple(shared), tuple(ids[len(shared)] for ids in encoded))
