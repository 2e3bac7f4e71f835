"""How far the ring reaches into a neighbour's ink: of a scene, and of the benchmark's images from a table.

The table was measured once on the benchmark's scenes as we draw them again, so that numbers about the real
images depend on no font of the machine that scores them. `python -m unblind.tasks.circled_letter.overlap`
measures it again, with Open Sans and Liberation Sans (whose advances are Helvetica's) from the system.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path

from unblind.tasks.circled_letter.blindtest import (
    BENCHMARK_FONTS,
    LINE_WIDTHS,
    PADDINGS,
    benchmark_fonts,
    benchmark_scene,
)
from unblind.tasks.circled_letter.draw import letter_boxes
from unblind.tasks.circled_letter.scene import Scene
from unblind.tasks.words import BENCHMARK_WORDS

_TABLE = Path(__file__).with_name(
    "overlap.json"
)  # by word and font: thousandths by image, in `_cells`' order


def overlap(scene: Scene, boxes: Sequence[Sequence[float]]) -> float:
    """How far the ring, its line included, reaches into a neighbour's ink: the larger share of a width.

    Args:
        scene: the scene.
        boxes: x0, y0, x1, y1 of each letter's ink, in px.
    """
    reach = (scene.ellipse.width + scene.ellipse.line_width) / 2
    left, right = scene.ellipse.x - reach, scene.ellipse.x + reach
    beside = [boxes[i] for i in (scene.index - 1, scene.index + 1) if 0 <= i < len(boxes)]
    return max((max(0.0, min(right, x1) - max(left, x0)) / (x1 - x0) for x0, _, x1, _ in beside), default=0.0)


def benchmark_overlap(
    word: object, index: object, font: object, padding: object, thickness: object
) -> float | None:
    """The overlap in one of the benchmark's images, to 3 decimals; None for what is none of them."""
    try:
        return _known().get((word, index, font, padding, thickness))
    except TypeError:  # a list, say
        return None


@cache
def _known() -> dict[tuple[object, ...], float]:
    table = json.loads(_TABLE.read_text("utf-8"))
    return {
        (word, index, font, padding, line_width): thousandths / 1000
        for word, fonts in table.items()
        for font, numbers in fonts.items()
        for (padding, line_width, index), thousandths in zip(_cells(word), numbers, strict=True)
    }


def _cells(word: str) -> list[tuple[int, int, int]]:
    return list(product(PADDINGS, LINE_WIDTHS, range(len(word))))


def _measure() -> dict[str, dict[str, list[int]]]:
    fonts = dict(zip(BENCHMARK_FONTS, benchmark_fonts(), strict=True))
    table: dict[str, dict[str, list[int]]] = {}
    for word, (name, font) in product(BENCHMARK_WORDS, fonts.items()):
        scenes = [benchmark_scene(word, i, font, padding, width) for padding, width, i in _cells(word)]
        overlaps = [overlap(scene, letter_boxes(scene, font).tolist()) for scene in scenes]
        table.setdefault(word, {})[name] = [round(1000 * value) for value in overlaps]
    return table


if __name__ == "__main__":
    _TABLE.write_text(json.dumps(_measure(), separators=(",", ":")) + "\n", encoding="utf-8")
