"""BlindTest's circled letters, drawn again: its strings, fonts and grid, and its generator's geometry.

Rahmanzadehgervi et al., "Vision language models are blind" (2024); the generator is
github.com/anguyen8/vision-llms-are-blind, src/CircledWord/text_image_generator.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path

import freetype
import numpy as np
from numpy.typing import NDArray

from unblind.errors import FontsError, SceneError
from unblind.tasks.circled_letter.scene import EM, Ellipse, Scene, lay_out
from unblind.tasks.fonts import Font, FontLibrary, find_fonts
from unblind.tasks.words import BENCHMARK_WORDS

PADDINGS = (25, 50, 100, 200)
LINE_WIDTHS = (4, 5, 6)
IMAGE_SIZE = 512  # px
SCALE = 1.4  # ellipse over letter
COUNT = 2 * len(PADDINGS) * len(LINE_WIDTHS) * sum(map(len, BENCHMARK_WORDS))

# The generator sets glyphs of 96 px, hinted, on an axis 200 units high, a unit being one of their pixels.
# The axis fills Matplotlib's default subplot of a 10 x 2 inch figure as far as an equal aspect lets it, and
# is trimmed and scaled to the image's width; that is how a line's points become pixels.
_AXIS_HEIGHT = 200
_SUBPLOT = (7.75, 1.54)  # inches
_HELVETICA = ("Helvetica", "Liberation Sans")  # the second has the first's advances
BENCHMARK_FONTS = {"OpenSans": ("Open Sans",), "Helvetica": _HELVETICA}  # by their names in the metadata


@dataclass(frozen=True)
class Bitmaps:
    """A word's hinted bitmaps at 96 px per em, in px; each (letters,) float64."""

    advance: NDArray[np.float64]
    left: NDArray[np.float64]  # from the pen
    top: NDArray[np.float64]  # above the baseline
    width: NDArray[np.float64]
    height: NDArray[np.float64]


def benchmark_fonts(*sources: str) -> tuple[Font, Font]:
    """Open Sans, and Helvetica or else Liberation Sans, of the regular style.

    Args:
        sources: as in `find_fonts`; none: the system's.

    Raises:
        FontsError: one of them is not there.
    """
    advice = "run: apt install fonts-open-sans fonts-liberation; or name the folder they are in (--fonts)"
    try:
        library = find_fonts(*(sources or ("system",)), bold=False, italic=False)
    except FontsError as error:
        raise FontsError(f"--preset blindtest: no font found ({error}); {advice}") from None
    open_sans, helvetica = regular(library, "Open Sans"), regular(library, *_HELVETICA)
    if open_sans is None or helvetica is None:
        lacking = ["Open Sans"] if open_sans is None else []
        lacking += ["Helvetica or Liberation Sans"] if helvetica is None else []
        raise FontsError(f"--preset blindtest: {' and '.join(lacking)} not found; {advice}")
    return open_sans, helvetica


@lru_cache(maxsize=1)
def known_fonts() -> FontLibrary:
    """The fonts of a plain install, and the benchmark's where the system has them: to draw rows again with.

    Raises FontsError if there are none at all.
    """
    plain = find_fonts()
    try:
        return FontLibrary((*plain.fonts, *benchmark_fonts()))
    except FontsError:
        return plain


def regular(library: FontLibrary, *families: str) -> Font | None:
    """The regular style of the first of these families that is there."""
    fonts = {font.family: font for font in library.fonts if font.style == "Regular"}
    return next((fonts[family] for family in families if family in fonts), None)


def benchmark_scenes(fonts: tuple[Font, ...]) -> Iterator[Scene]:
    """The benchmark's scenes: with two fonts 1,248, word by word, font by font."""
    for word, font, padding, line_width in product(BENCHMARK_WORDS, fonts, PADDINGS, LINE_WIDTHS):
        for index in range(len(word)):
            yield benchmark_scene(word, index, font, padding, line_width)


def benchmark_scene(word: str, index: int, font: Font, padding: int, line_width: int) -> Scene:
    """One scene by the generator's arithmetic.

    Args:
        word: letters.
        index: of the circled letter, zero-based.
        font: the font.
        padding: units on either side of the word.
        line_width: points.

    Raises:
        SceneError: the font's letters reach far beyond their advances, as in no font of the benchmark.
    """
    bitmaps = measure_bitmaps(font.path, word)
    total = float(bitmaps.advance.sum()) + 2 * padding
    unit = IMAGE_SIZE / total  # px of the image
    points = 72 * min(_SUBPLOT[0] / total, _SUBPLOT[1] / _AXIS_HEIGHT)  # in a unit
    height = int(_AXIS_HEIGHT * unit)
    middle = (IMAGE_SIZE - height) // 2 + height / 2
    baseline = float(bitmaps.height.max()) // 2  # units below the middle
    pens = padding + np.cumsum(bitmaps.advance) - bitmaps.advance
    x = (pens + bitmaps.left + bitmaps.width / 2) * unit
    y = middle + (baseline - bitmaps.top + bitmaps.height / 2) * unit
    ellipse = Ellipse(
        float(x[index]),
        float(y[index]),
        float(bitmaps.advance[index]) * unit * SCALE,
        float(bitmaps.height[index]) * unit * SCALE,
        line_width * unit / points,
    )
    plain = lay_out(
        word, index, font, image_size=IMAGE_SIZE, padding=padding, ellipse_scale=1.0, line_width=line_width
    )
    if plain is None:
        raise SceneError(f"'{word}' in {font.path} leaves the image; name another font (--fonts)")
    return replace(
        plain,
        baseline=middle + baseline * unit,
        ellipse=ellipse,
        ambiguous=int(ellipse.contains(x, y).sum()) != 1,
    )


@lru_cache(maxsize=64)
def measure_bitmaps(path: Path, word: str) -> Bitmaps:
    """Measure the bitmaps as FreeType renders them by default."""
    face = freetype.Face(str(path))  # a face of its own: `glyphs.draw_letters` leaves its transform behind
    face.set_pixel_sizes(0, round(EM))
    rows = []
    for letter in word:
        face.load_char(letter, freetype.FT_LOAD_RENDER)
        glyph = face.glyph
        rows.append(
            (
                glyph.advance.x // 64,
                glyph.bitmap_left,
                glyph.bitmap_top,
                glyph.bitmap.width,
                glyph.bitmap.rows,
            )
        )
    return Bitmaps(*np.array(rows, np.float64).T)
