"""Scenes drawn again with one letter covered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unblind.tasks.circled_letter.draw import draw_ellipse, draw_word, letter_boxes
from unblind.tasks.circled_letter.scene import Scene
from unblind.tasks.fonts import Font


def without_letter(scene: Scene, font: Font, index: int) -> NDArray[np.uint8]:
    """Draw a scene with one letter covered by the background, the ellipse whole: (height, width, 3) uint8."""
    canvas = draw_word(scene, font)
    box = letter_boxes(scene, font)[index]
    x0, y0 = np.maximum(np.floor(box[:2]).astype(int) - 1, 0)  # antialiasing reaches out
    x1, y1 = np.ceil(box[2:]).astype(int) + 1
    canvas.pixels[y0:y1, x0:x1] = scene.background
    draw_ellipse(canvas, scene)
    return canvas.pixels
