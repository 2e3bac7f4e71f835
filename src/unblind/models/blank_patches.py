"""Blank paper left out of training: most of a drawing is that, and every patch of it costs time.

Each image keeps the patches that hold something, and its tokens keep the places that they have in the whole
image, in the vision tower and in the language model. Evaluation always gets whole images.
Dropping tokens to train faster follows Li et al., "Scaling Language-Image Pre-training via Masking" (FLIP,
arXiv 2212.00794), who drop them at random.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from unblind.models.family import FixedGrid


def kept_patches(pixels: Tensor, grid: int) -> Tensor:
    """The patches that are not of one color, as many for each image of the batch.

    Images with fewer of them keep blank ones too, those beside what is drawn first. If all images are blank,
    all patches are kept.

    Args:
        pixels: (B, 3, H, W).
        grid: patches a side, G.

    Returns:
        int64 (B, N), ascending: their numbers in the whole image.
    """
    height, width = (length // grid for length in pixels.shape[2:])
    patches = pixels.view(*pixels.shape[:2], grid, height, grid, width)
    darkest, brightest = (
        patches.amin(5).amin(3),
        patches.amax(5).amax(3),
    )  # faster than both at once
    ink = (darkest != brightest).any(dim=1).float()  # (B, G, G)
    beside = F.max_pool2d(ink, 3, stride=1, padding=1)
    count = int(ink.sum((1, 2)).max()) or grid * grid
    order = (2 * ink + beside).flatten(1).argsort(dim=1, descending=True, stable=True)
    kept: Tensor = order[:, :count].sort(dim=1).values
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
