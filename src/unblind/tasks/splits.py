"""The three splits, and how a hash decides which one something belongs to."""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def split_by_hash(salt: str, key: str, train: float, validation: float) -> Split:
    """The split in which the hash of two strings falls, the same on every machine.

    Args:
        salt: gives the same keys another order.
        key: what belongs to a split: a word, a font family, a scene.
        train: share of the training split.
        validation: shares of the training and validation splits together.
    """
    digest = hashlib.blake2b(f"{salt}\0{key}".encode(), digest_size=8).digest()
    share = int.from_bytes(digest, "big") / 2**64
    return "train" if share < train else "validation" if share < validation else "test"
