"""One font's letters: their measures and their bitmaps, through FreeType, never hinted.

Without hinting everything scales linearly, so the measures (in em) are exact at every size.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import freetype
import freetype.raw as ft
import numpy as np
from numpy.typing import NDArray

from unblind.errors import FontsError
from unblind.tasks.words import LETTERS

_OUTLINE_ONLY = ft.FT_LOAD_NO_SCALE | ft.FT_LOAD_NO_BITMAP
_RENDER = ft.FT_LOAD_RENDER | ft.FT_LOAD_NO_HINTING | ft.FT_LOAD_NO_BITMAP


@dataclass(frozen=True)
class Measures:
    """The letters' measures in em, indexed by `ord(letter)`; y points up from the baseline."""

    advance: NDArray[np.float64]  # (128,)
    ink: NDArray[np.float64]  # (128, 4): x0, y0, x1, y1; NaN where the font has no glyph or no ink


@dataclass(frozen=True)
class Word:
    """A word's measures in em, the pen starting at x = 0 on the baseline; y points down."""

    pens: NDArray[np.float64]  # (letters,): where each letter's pen stands
    width: float  # the sum of the advances
    advances: NDArray[np.float64]  # (letters,)
    ink: NDArray[np.float64]  # (letters, 4): x0, y0, x1, y1


@lru_cache(maxsize=1024)
def open_face(path: Path) -> Any:
    """The font file as FreeType opens it; one a process, kept open."""
    return freetype.Face(str(path))


@lru_cache(maxsize=1024)
def measure_letters(path: Path) -> Measures:
    """The measures of the 52 letters, from their outlines in font units."""
    advance = np.full(128, np.nan)
    ink = np.full((128, 4), np.nan)
    for letter in LETTERS:
        advance[ord(letter)], *ink[ord(letter)] = measure_character(path, letter)
    return Measures(advance, ink)


@lru_cache(maxsize=65536)
def measure_character(path: Path, character: str) -> tuple[float, float, float, float, float]:
    """A character's advance and ink (x0, y0, x1, y1) in em; NaN where the font has no glyph or no ink."""
    face, ink = open_face(path), (np.nan,) * 4
    if not face.get_char_index(character):
        return (np.nan, *ink)
    face.load_char(character, _OUTLINE_ONLY)
    em = face.units_per_EM
    box = face.glyph.outline.get_bbox()
    if box.xMax > box.xMin and box.yMax > box.yMin:
        ink = box.xMin / em, box.yMin / em, box.xMax / em, box.yMax / em
    return (face.glyph.metrics.horiAdvance / em, *ink)


def measure_word(path: Path, word: str) -> Word:
    """Letters set one after the other by their advances, without kerning, as the benchmark sets them."""
    measures = measure_letters(path)
    codes = np.frombuffer(word.encode("ascii"), np.uint8)
    return _set(measures.advance[codes], measures.ink[codes])


def measure_text(path: Path, text: str) -> Word:
    """Any characters set like the letters of a word; what has no ink, such as a space, has NaN for it.

    Raises:
        FontsError: the font lacks one of the characters.
    """
    measures = np.array([measure_character(path, character) for character in text]).reshape(-1, 5)
    if np.isnan(measures[:, 0]).any():
        lacking = text[int(np.isnan(measures[:, 0]).argmax())]
        raise FontsError(f"{path}: the font lacks {lacking!r}; name another (--fonts)")
    return _set(measures[:, 0], measures[:, 1:])


def pens_of(path: Path, text: str) -> NDArray[np.float64]:
    """Where `measure_text` has the letters' pens, in em, much faster. Raises FontsError likewise."""
    ends = list(accumulate(measure_character(path, character)[0] for character in text))
    if ends and ends[-1] != ends[-1]:  # the font lacks something: NaN
        return measure_text(path, text).pens
    return np.array([0.0, *ends[:-1]])


def _set(advances: NDArray[np.float64], ink: NDArray[np.float64]) -> Word:
    ends = np.cumsum(advances)
    pens = ends - advances
    x0, y0, x1, y1 = ink.T
    width = float(ends[-1]) if len(ends) else 0.0
    return Word(pens, width, advances, np.stack([pens + x0, -y1, pens + x1, -y0], axis=1))


def draw_letters(
    mask: NDArray[np.uint8], path: Path, size: float, word: str, pens: NDArray[np.float64], baseline: float
) -> None:
    """Draw antialiased letters into a coverage mask, 0-255, to 1/64 px.

    Args:
        mask: (height, width) uint8, changed in place; letters are joined by maximum.
        path: the font file.
        size: px per em.
        word: the letters.
        pens: (letters,) the x of each letter's pen in px.
        baseline: y of the baseline in px.
    """
    face = open_face(path)._FT_Face
    slot = face.contents.glyph
    ft.FT_Set_Char_Size(face, round(size * 64), 0, 72, 72)
    row = int(np.floor(baseline))
    shift_y = round((row - baseline) * 64)  # FreeType's y points up
    for letter, pen in zip(word, pens.tolist(), strict=True):
        column = int(pen // 1)
        shift = ft.FT_Vector(round((pen - column) * 64), shift_y)
        ft.FT_Set_Transform(face, None, ctypes.byref(shift))
        if ft.FT_Load_Char(face, ord(letter), _RENDER):
            raise RuntimeError(f"FreeType cannot draw {letter!r} of {path.name}")
        glyph = slot.contents
        _paste(mask, glyph.bitmap, column + glyph.bitmap_left, row - glyph.bitmap_top)


def _paste(mask: NDArray[np.uint8], bitmap: Any, left: int, top: int) -> None:
    rows, width, pitch = bitmap.rows, bitmap.width, bitmap.pitch
    if not rows or not width:
        return
    data = np.frombuffer(ctypes.string_at(bitmap.buffer, rows * pitch), np.uint8)
    ink = data.reshape(rows, pitch)[:, :width]
    height, breadth = mask.shape
    if left < 0 or top < 0 or left + width > breadth or top + rows > height:
        ink = ink[max(0, -top) : height - top, max(0, -left) : breadth - left]
        left, top = max(0, left), max(0, top)
    target = mask[top : top + ink.shape[0], left : left + ink.shape[1]]
    np.maximum(target, ink, out=target)
