"""The sampler's knobs that several tasks have: what they may be, and how they are drawn from."""

from __future__ import annotations

import math

import numpy as np

from unblind.errors import SceneError
from unblind.options import flag

Range = tuple[float, float]  # the ends
THINNEST = 0.5  # px: thinner lines can hardly be seen


def check_image_size(size: int) -> None:
    """Raise SceneError unless images of this size can be drawn and shown."""
    if not 28 <= size <= 4096:
        raise SceneError(f"--image-size {size}: need 28 to 4096 px")


def check_range(name: str, ends: Range, least: float, most: float) -> None:
    """Raise SceneError unless both ends of a knob's range lie within limits, the smaller first."""
    low, high = ends
    if not least <= low <= high <= most:
        raise SceneError(
            f"{flag(name)} {low} {high}: need two numbers from {least:g} to {most:g}, the smaller first"
        )


def check_number(name: str, value: float, least: float, most: float) -> None:
    """Raise SceneError unless a knob lies within limits."""
    if not least <= value <= most:
        raise SceneError(f"{flag(name)} {value}: need a number from {least:g} to {most:g}")


def check_share(name: str, share: float, most: float = 1.0) -> None:
    """Raise SceneError unless a knob is a share from 0 to `most`."""
    if not 0 <= share <= most:
        raise SceneError(f"{flag(name)} {share}: need a share from 0 to {most:g}")


def even(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two others."""
    return float(rng.uniform(low, high))


def even_log(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two others, small ones as often as large ones."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def whole(rng: np.random.Generator, low: float, high: float) -> int:
    """A whole number from one to another, both included."""
    return int(rng.integers(int(low), int(high) + 1))


def likely(rng: np.random.Generator, share: float) -> bool:
    """Yes, with this probability."""
    return bool(rng.random() < share)
