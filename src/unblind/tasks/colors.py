"""Colours that can be told apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unblind.tasks.canvas import WHITE, Color

# Matplotlib's ten, `tab10`.
TAB10: tuple[Color, ...] = (
    (31, 119, 180),
    (255, 127, 14),
    (44, 160, 44),
    (214, 39, 40),
    (148, 103, 189),
    (140, 86, 75),
    (227, 119, 194),
    (127, 127, 127),
    (188, 189, 34),
    (23, 190, 207),
)


def random_color(rng: np.random.Generator) -> Color:
    """Any of the 2^24."""
    red, green, blue = rng.integers(256, size=3).tolist()
    return red, green, blue


def contrast(one: Color, other: Color) -> float:
    """Difference of luma (ITU-R BT.601), 0-255."""
    weights = (0.299, 0.587, 0.114)
    return abs(sum(w * (a - b) for w, a, b in zip(weights, one, other, strict=True)))


def unlike(rng: np.random.Generator, background: Color, others: Sequence[Color] = ()) -> Color:
    """A colour that stands out: by 80 of luma from the background, by 100 in some channel from the others."""
    while True:
        color = random_color(rng)
        apart = all(max(abs(a - b) for a, b in zip(color, other, strict=True)) >= 100 for other in others)
        if apart and contrast(color, background) >= 80:
            return color


def pale(rng: np.random.Generator) -> Color:
    """A background: white three times in four, or else some pale tint."""
    if rng.random() < 0.75:
        return WHITE
    red, green, blue = rng.integers(215, 256, size=3).tolist()
    return red, green, blue
