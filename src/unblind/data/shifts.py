"""Pictures shifted away from how they are drawn: does a model see, or does it know our renderer?

Each kind changes how a picture looks and leaves its answer alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unblind.tasks.base import Pixels

Field = NDArray[np.float64]  # (height, width)

_NOISE = (4.0, 12.0)  # standard deviation, of 255
_QUALITY = (20, 60)  # of JPEG
_DEGREES = 5.0
_WOBBLE = 0.008  # of the image's size: how far a line is bent at most
_DARKEST = 0.72  # of the paper's brightness, in a channel


def shifted(rng: np.random.Generator, pixels: Pixels, kinds: Sequence[str]) -> Pixels:
    """The picture, changed in each of these kinds in the order of `SHIFTS`.

    Args:
        rng: makes all choices.
        pixels: (height, width, 3) uint8.
        kinds: names in `SHIFTS`.

    Returns:
        uint8 of the same shape.
    """
    for kind, change in SHIFTS.items():
        if kind in kinds:
            pixels = change(rng, pixels)
    return pixels


def _wobble(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Lines as by a hand: every point moves a little, and its neighbours with it."""
    height, width = pixels.shape[:2]
    reach = _WOBBLE * max(height, width)
    rows, columns = np.mgrid[:height, :width].astype(float)
    rows += reach * _smooth(rng, height, width, 9)
    columns += reach * _smooth(rng, height, width, 9)
    return _read_at(pixels, rows, columns)


def _rotation(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Turned by up to 5 degrees, and made a little smaller, so that nothing is cut off."""
    angle = np.deg2rad(rng.uniform(-_DEGREES, _DEGREES))
    height, width = pixels.shape[:2]
    y, x = (height - 1) / 2, (width - 1) / 2
    rows, columns = np.mgrid[:height, :width].astype(float)
    rows, columns = rows - y, columns - x
    sine, cosine = np.sin(angle), np.cos(angle)
    larger = abs(sine) + cosine
    return _read_at(
        pixels, larger * (cosine * rows + sine * columns) + y, larger * (cosine * columns - sine * rows) + x
    )


def _texture(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """On paper of an uneven colour."""
    height, width = pixels.shape[:2]
    paper = np.empty(pixels.shape)
    for channel in range(3):
        pattern = 0.6 * _smooth(rng, height, width, 4) + 0.4 * _smooth(rng, height, width, 32)
        paper[..., channel] = 1 - (1 - _DARKEST) * (rng.uniform(0, 0.5) + 0.5 * (pattern + 1) / 2)
    return _rounded(pixels * paper)


def _noise(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """A camera's noise."""
    return _rounded(pixels + rng.normal(0, rng.uniform(*_NOISE), pixels.shape))


def _jpeg(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Saved as a small JPEG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=int(rng.integers(*_QUALITY, endpoint=True)))
    return np.asarray(Image.open(file))


SHIFTS: dict[str, Callable[[np.random.Generator, Pixels], Pixels]] = {
    "wobble": _wobble,
    "rotation": _rotation,
    "texture": _texture,
    "noise": _noise,
    "jpeg": _jpeg,
}


def _smooth(rng: np.random.Generator, height: int, width: int, knots: int) -> Field:
    """A smooth random field in [-1, 1] with `knots` free values a side."""
    grid = Image.fromarray(rng.uniform(-1, 1, (knots, knots)).astype(np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BILINEAR), np.float64)


def _read_at(pixels: Pixels, rows: Field, columns: Field) -> Pixels:
    """The colours at these places: bilinear between pixels, and beyond the edge those of the edge."""
    height, width = pixels.shape[:2]
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    below, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, across = (rows - top)[..., None], (columns - left)[..., None]
    upper = (1 - across) * pixels[top, left] + across * pixels[top, right]
    lower = (1 - across) * pixels[below, left] + across * pixels[below, right]
    return _rounded((1 - down) * upper + down * lower)


def _rounded(values: NDArray[np.float64]) -> Pixels:
    return np.rint(values).clip(0, 255).astype(np.uint8)
