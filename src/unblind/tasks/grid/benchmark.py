"""BlindTest's tables, drawn again: blank ones as they are, those with words with words of our own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

from unblind.errors import FontsError
from unblind.tasks.canvas import Text
from unblind.tasks.fonts import Font, FontLibrary, find_fonts
from unblind.tasks.glyphs import measure_word, open_face
from unblind.tasks.grid.scene import (
    BENCHMARK_DRAWN,
    BENCHMARK_SHAPES,
    BENCHMARK_WIDTHS,
    Scene,
    benchmark_lines,
)

RESOLUTIONS = (500, 1250, 2000)  # px
KINDS = ("blank", "text")
COUNT = len(BENCHMARK_SHAPES) * len(RESOLUTIONS) * len(BENCHMARK_WIDTHS) * len(KINDS)
_SANS = ("Liberation Sans", "Arimo", "Helvetica")
# The benchmark has 260 common words in an order of its own; these are common words of the test split.
_COMMON = (
    "back hide empty grass free game sea banner dry song logo climb water trail graph kitchen "
    "secret amount shelf devil copy thought atom branch active cheap show radio angle offer "
    "trade rest poem watch favor silk room angry health ready basket center model nurse week "
    "state give year wet signal village cousin team mountain rice lock dice extra winter "
    "brain cliff number fire idea figure length lawyer root speak bee cloth print place wave "
    "bucket plain modern steel tide meet nature single period drill second decide baker "
    "salary hill series fridge focus life side frozen thousand bath date folder father"
)
WORDS = tuple(_COMMON.split())


def benchmark_font(*sources: str) -> Font:
    """Liberation Sans, or a font with the same advances.

    Args:
        sources: as in `find_fonts`; none: the system's.

    Raises:
        FontsError: there is none.
    """
    library = find_fonts(*(sources or ("system",)), bold=False, italic=False)
    fonts = {font.family: font for font in library.fonts if font.style == "Regular"}
    for family in _SANS:
        if family in fonts:
            return fonts[family]
    raise FontsError(
        "--preset blindtest: Liberation Sans, in which the benchmark's tables are lettered, was not found;"
        " run: apt install fonts-liberation; or name the folder it is in (--fonts)"
    )


@lru_cache(maxsize=1)
def known_fonts() -> FontLibrary:
    """The fonts of a plain install, and the benchmark's where the system has it: to draw rows again with."""
    plain = find_fonts()
    try:
        return FontLibrary((*plain.fonts, benchmark_font()))
    except FontsError:
        return plain


def benchmark_scenes(font: Font) -> Iterator[Scene]:
    """The benchmark's 264 tables: each shape in three sizes and two line widths, blank and with words."""
    for (rows, columns), size, width, kind in product(BENCHMARK_SHAPES, RESOLUTIONS, BENCHMARK_WIDTHS, KINDS):
        scene = benchmark_scene(rows, columns, size, width)
        yield with_words(scene, font) if kind == "text" else scene


def benchmark_scene(rows: int, columns: int, size: int, width: int) -> Scene:
    """A blank table of the benchmark: px of the image, and px of a line where the image is 2000 px wide."""
    drawn = width * size / BENCHMARK_DRAWN
    return Scene(size, benchmark_lines(columns, drawn, size), benchmark_lines(rows, drawn, size), drawn)


def with_words(scene: Scene, font: Font) -> Scene:
    """A table of the benchmark with a word in each cell, where the benchmark has its words."""
    wide, high = (lines[1] - lines[0] - scene.line_width for lines in (scene.xs, scene.ys))
    unit = scene.image_size / BENCHMARK_DRAWN
    size = int(0.2 * min(wide, high) / unit) * unit
    face = open_face(font.path)
    ascender = face.ascender / face.units_per_EM
    words: list[Text] = []
    for text, (y, x) in zip(WORDS, product(scene.ys[:-1], scene.xs[:-1]), strict=False):
        measures = measure_word(font.path, text)
        ink = float(measures.ink[:, 3].max() - measures.ink[:, 1].min()) * size
        left = x + 0.04 * wide + (wide - measures.width * size) / 2
        words.append((text, round(left, 2), round(y + (high - ink) / 2 + ascender * size, 2)))
    return Scene(
        scene.image_size,
        scene.xs,
        scene.ys,
        scene.line_width,
        tuple(words),
        font.digest,
        size,
    )
