"""Pictures cut into patches, most of them left out: those of plain paper show nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unblind.tiny.build import GRID, IMAGE_SIZE, PATCH

IGNORE = -100  # what torch's cross-entropy leaves out
MOST = 3  # points of a patch that are told apart
Labels = NDArray[np.int64]  # (patches, slots), IGNORE where there is none
Point = tuple[float, float]


def resized(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture at the model's size, as an image processor would shrink or enlarge it."""
    if image.shape[:2] == (IMAGE_SIZE, IMAGE_SIZE):
        return image
    method = Image.Resampling.BICUBIC if rng.random() < 0.7 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(image).resize((IMAGE_SIZE, IMAGE_SIZE), method))


def cut(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture's patches, row by row: (patches, 3, 16, 16)."""
    return image.reshape(GRID, PATCH, GRID, PATCH, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, PATCH, PATCH)


def inked(patches: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which patches are not of one colour."""
    flat = patches.reshape(len(patches), 3, -1)
    plain: NDArray[np.bool_] = (flat == flat[:, :, :1]).all((1, 2))
    return ~plain


def chosen(rng: np.random.Generator, wanted: Sequence[NDArray[np.int64]], kept: int) -> NDArray[np.int64]:
    """The patches kept of each picture of a lesson: those wanted most first, equals at random.

    Args:
        rng: chooses.
        wanted: (patches,) of each picture: how much.
        kept: how many each picture keeps.

    Returns:
        (pictures, kept), ascending.
    """
    first = [np.argsort(rng.random(one.size) - one)[:kept] for one in wanted]
    return np.sort(np.stack(first), axis=1)


def no_labels(slots: int = 1) -> Labels:
    """Room for the labels of all patches of a picture."""
    return np.full((GRID * GRID, slots), IGNORE)


def patch_of(point: Point, scale: float) -> int:
    """The number of the patch in which a point of a picture (px) lies, once it is `scale` times as large."""
    column, row = (min(max(int(value * scale // PATCH), 0), GRID - 1) for value in point)
    return row * GRID + column


def marked(points: Iterable[Point], scale: float) -> Labels:
    """How many of the points lie in each patch, `MOST` at most."""
    labels = no_labels()
    labels[:] = 0
    for point in points:
        patch = patch_of(point, scale)
        labels[patch] = min(labels[patch, 0] + 1, MOST)
    return labels


def along(points: Sequence[Point], step: float) -> Iterable[Point]:
    """Points on a line through others, not more than `step` apart."""
    for (x0, y0), (x1, y1) in pairwise(points):
        count = max(1, int(np.ceil(np.hypot(x1 - x0, y1 - y0) / step)))
        for i in range(count + 1):
            yield x0 + (x1 - x0) * i / count, y0 + (y1 - y0) * i / count


def traced(lines: Iterable[tuple[int, Sequence[Point]]], scale: float) -> Labels:
    """Each patch's lowest and highest label among the lines that run through it, (patches, 2)."""
    labels = no_labels(2)
    for label, points in lines:
        for patch in {patch_of(point, scale) for point in along(points, PATCH / 4 / scale)}:
            lowest, highest = labels[patch]
            labels[patch] = (label, label) if lowest == IGNORE else (min(lowest, label), max(highest, label))
    return labels
