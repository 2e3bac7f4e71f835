"""Scene -> pixels and letter boxes. Deterministic: no random choice is made here."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unblind.tasks.circled_letter.scene import Color, Ellipse, Scene
from unblind.tasks.fonts import Font
from unblind.tasks.glyphs import draw_letters, measure_word


def draw(scene: Scene, font: Font, *, circled: bool = True) -> NDArray[np.uint8]:
    """Draw a scene, antialiased.

    Args:
        scene: what to draw.
        font: the font that `scene.font` names.
        circled: with the ellipse.

    Returns:
        (height, width, 3) uint8 RGB; the same bytes for the same scene and font file.
    """
    size = scene.image_size
    word = measure_word(font.path, scene.word)
    top, bottom = _text_rows(scene, word.ink)
    mask = np.zeros((bottom - top, size), np.uint8)
    pens = word.pens * scene.font_size + scene.x
    draw_letters(mask, font.path, scene.font_size, scene.word, pens, scene.baseline - top)
    image: NDArray[np.uint8] = _canvas(size, scene.background).copy()
    palette = _palette(scene.text_color, scene.background)
    np.take(palette, mask, axis=0, out=image[top:bottom], mode="clip")  # three times as fast as palette[mask]
    if circled:
        draw_ellipse(image, scene.ellipse, scene.ellipse_color)
    return image


def letter_boxes(scene: Scene, font: Font) -> NDArray[np.float32]:
    """The boxes of the letters' ink, from the outlines.

    Returns:
        (letters, 4) float32: x0, y0, x1, y1 in px, y pointing down; pixel i covers [i, i + 1).
    """
    word = measure_word(font.path, scene.word)
    origin = np.array([scene.x, scene.baseline, scene.x, scene.baseline])
    boxes: NDArray[np.float32] = (word.ink * scene.font_size + origin).astype(np.float32)
    return boxes


def _text_rows(scene: Scene, ink: NDArray[np.float64]) -> tuple[int, int]:
    """The rows that hold ink, one spare on either side for rounding."""
    top = scene.baseline + float(ink[:, 1].min()) * scene.font_size
    bottom = scene.baseline + float(ink[:, 3].max()) * scene.font_size
    return max(0, int(top) - 1), min(scene.image_size, int(bottom) + 2)


@lru_cache(maxsize=4)
def _canvas(size: int, color: Color) -> NDArray[np.uint8]:
    return np.full((size, size, 3), color, np.uint8)


@lru_cache(maxsize=64)
def _palette(text: Color, background: Color) -> NDArray[np.uint8]:
    """The colour of each coverage, (256, 3)."""
    share = np.arange(256)[:, None] / 255
    return np.round(np.array(background) * (1 - share) + np.array(text) * share).astype(np.uint8)


def draw_ellipse(image: NDArray[np.uint8], ellipse: Ellipse, color: Color) -> None:
    """Stroke an ellipse on (H, W, 3) uint8 pixels, in place.

    A pixel's coverage comes from its centre's distance to the curve.

    The distance is f / |grad f| with f = |(x/a, y/b)| - 1, exact to first order near the curve
    (Taubin, "Estimation of planar curves", 1991).
    """
    reach_x = (ellipse.width + ellipse.line_width) / 2 + 1
    reach_y = (ellipse.height + ellipse.line_width) / 2 + 1
    size = image.shape[0]
    x0, x1 = max(0, int(ellipse.x - reach_x)), min(size, int(ellipse.x + reach_x) + 1)
    y0, y1 = max(0, int(ellipse.y - reach_y)), min(size, int(ellipse.y + reach_y) + 1)
    a, b = np.float32(ellipse.width / 2), np.float32(ellipse.height / 2)
    u = (np.arange(x0, x1, dtype=np.float32) + np.float32(0.5 - ellipse.x)) / a
    v = ((np.arange(y0, y1, dtype=np.float32) + np.float32(0.5 - ellipse.y)) / b)[:, None]
    squared = u * u + v * v
    slope = np.sqrt(np.maximum((u / a) ** 2 + (v / b) ** 2, np.float32(1e-12)))
    distance = np.abs(squared - np.sqrt(squared)) / slope
    most = np.float32(min(1.0, ellipse.line_width))  # a line thinner than a pixel never covers one
    coverage = np.minimum(np.maximum(np.float32((ellipse.line_width + 1) / 2) - distance, 0), most)[..., None]
    part = image[y0:y1, x0:x1]
    part[...] = part + coverage * (np.array(color, np.float32) - part) + np.float32(0.5)
