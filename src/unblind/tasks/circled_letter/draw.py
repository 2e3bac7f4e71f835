"""Scene -> pixels and letter boxes. Deterministic: no random choice is made here."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unblind.tasks.canvas import Canvas, Color
from unblind.tasks.circled_letter.scene import Scene
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
    canvas = draw_word(scene, font)
    if circled:
        draw_ellipse(canvas, scene)
    return canvas.pixels


def draw_word(scene: Scene, font: Font) -> Canvas:
    """The word alone."""
    canvas = Canvas(scene.image_size, scene.image_size, scene.background)
    word = measure_word(font.path, scene.word)
    top, bottom = _text_rows(scene, word.ink)
    mask = np.zeros((bottom - top, scene.image_size), np.uint8)
    pens = word.pens * scene.font_size + scene.x
    draw_letters(mask, font.path, scene.font_size, scene.word, pens, scene.baseline - top)
    palette = _palette(scene.text_color, scene.background)
    # three times as fast as palette[mask]
    np.take(palette, mask, axis=0, out=canvas.pixels[top:bottom], mode="clip")
    return canvas


def draw_ellipse(canvas: Canvas, scene: Scene) -> None:
    """Stroke a scene's ellipse."""
    at = scene.ellipse
    canvas.ellipse(at.x, at.y, at.width, at.height, scene.ellipse_color, at.line_width)


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


@lru_cache(maxsize=64)
def _palette(text: Color, background: Color) -> NDArray[np.uint8]:
    """The colour of each coverage, (256, 3)."""
    share = np.arange(256)[:, None] / 255
    return np.round(np.array(background) * (1 - share) + np.array(text) * share).astype(np.uint8)
