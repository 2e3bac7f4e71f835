"""Blank paper left out of training: a picture of a word is mostly that, and every patch of it costs time.

Each image keeps the rows of patches that hold something, and its tokens keep the places that they have in the
whole image, in the vision tower and in the language model. Evaluation always gets whole images.
Dropping tokens to train faster follows Li et al., "Scaling Language-Image Pre-training via Masking" (FLIP,
arXiv 2212.00794), who drop them at random.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from unblind.models.family import FixedGrid


def kept_patches(pixels: Tensor, grid: int) -> Tensor:
    """The patches of the rows that are not blank, as many rows for each image of the batch.

    A row is blank if all of its pixels have the color of the image's first one. From the first to the last
    row that is not, all are kept; images with fewer of them keep blank ones around. A blank image is kept
    whole.

    Args:
        pixels: (B, 3, H, W).
        grid: patches a side, G.

    Returns:
        int64 (B, rows * G), ascending: their numbers in the whole image.
    """
    ink = (pixels != pixels[:, :, :1, :1]).any(dim=1).any(dim=2)  # (B, H)
    rows = ink.view(len(ink), grid, -1).any(dim=2).int()  # (B, G)
    first, last = rows.argmax(dim=1), grid - 1 - rows.flip(1).argmax(dim=1)
    count = int((last - first).max()) + 1
    start = ((first + last + 1 - count) // 2).clamp(0, grid - count)
    kept: Tensor = start[:, None] * grid + torch.arange(count * grid)
    return kept


@contextmanager
def dropping_patches(base: nn.Module, family: FixedGrid) -> Iterator[None]:
    """While the block runs, the model takes batches with `kept_patches`, int64 (B, K): those it is to see.

    All patches are embedded, with their positions; the tower's layers get the kept ones.

    Args:
        base: the model, without what peft wraps around it.
        family: of the model.
    """
    kept: Tensor | None = None

    def take(_: nn.Module, __: Any, named: dict[str, Any]) -> None:
        nonlocal kept
        kept = named.pop("kept_patches", None)

    def drop(_: nn.Module, __: Any, tokens: Tensor) -> Tensor:
        if kept is None:
            return tokens
        return tokens.gather(1, kept[..., None].expand(-1, -1, tokens.shape[-1]))

    with ExitStack() as hooks:
        hooks.enter_context(base.register_forward_pre_hook(take, with_kwargs=True))
        embeddings = base.get_submodule(family.patch_embeddings)
        hooks.enter_context(embeddings.register_forward_hook(drop))
        yield
