"""One font's letters: their measures and their bitmaps, through FreeType, never hinted.

Without hinting everything scales linearly, so the measures (in em) are exact at every size.
"""

from __future__ import annotations

import ctypes
import math
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
_OUTLINE = ft.FT_LOAD_NO_HINTING | ft.FT_LOAD_NO_BITMAP
_OVERLAP = 0x40  # FT_OUTLINE_OVERLAP
_LIBRARY = freetype.get_handle()
_BYTES = dict(ft.FT_Bitmap._fields_)["buffer"]


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


@lru_cache(maxsize=4096)  # a scene is sampled, then drawn
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
    boxes = ink[:, [0, 3, 2, 1]]
    boxes[:, ::2] += pens[:, None]
    np.negative(boxes[:, 1::2], out=boxes[:, 1::2])
    return Word(pens, float(ends[-1]) if len(ends) else 0.0, advances, boxes)


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
    height, width = mask.shape
    row = math.floor(baseline)
    up = round((row - baseline) * 64) + (height - row) * 64  # FreeType's y points up, from the bottom
    outline, box = slot.contents.outline, ft.FT_BBox()
    at, around = ctypes.byref(outline), ctypes.byref(box)
    sheets: list[_Sheet] = []
    for letter, pen in zip(word, pens.tolist(), strict=True):
        if ft.FT_Load_Char(face, ord(letter), _OUTLINE):
            raise RuntimeError(f"FreeType cannot draw {letter!r} of {path.name}")
        column = int(pen // 1)
        ft.FT_Outline_Translate(at, column * 64 + round((pen - column) * 64), up)
        if outline.flags & _OVERLAP:
            _render(mask, slot)
            continue
        ft.FT_Outline_Get_CBox(at, around)
        left = box.xMin >> 6
        for sheet in sheets:
            if sheet.right <= left:
                break
        else:
            sheets.append(sheet := _Sheet(height, width))
        sheet.right = (box.xMax + 63) >> 6
        ft.FT_Outline_Get_Bitmap(_LIBRARY, at, sheet.bitmap)
    for sheet in sheets:
        np.maximum(mask, sheet.pixels, out=mask)


class _Sheet:
    """A mask of its own for letters that lie beside each other: FreeType overwrites what it draws upon."""

    def __init__(self, height: int, width: int) -> None:
        self.pixels = np.zeros((height, width), np.uint8)
        buffer = ctypes.cast(self.pixels.ctypes.data, _BYTES)
        self.bitmap = ctypes.byref(ft.FT_Bitmap(height, width, width, buffer, 256, ft.FT_PIXEL_MODE_GRAY))
        self.right = -(1 << 30)  # where the ink ends, px


def _render(mask: NDArray[np.uint8], slot: Any) -> None:
    """Draw a glyph whose contours overlap: FreeType smooths those in another way, on a bitmap of its own."""
    ft.FT_Render_Glyph(slot, ft.FT_RENDER_MODE_NORMAL)
    glyph = slot.contents
    _paste(mask, glyph.bitmap, glyph.bitmap_left, mask.shape[0] - glyph.bitmap_top)


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
