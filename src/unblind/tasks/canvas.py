"""A white sheet on which tasks draw: lines, circles, polygons, text; antialiased, the same bytes everywhere.

Coordinates are in px, y pointing down; pixel i covers [i, i + 1). A pixel's coverage comes from the distance
of its centre to the shape. Only the neighbourhood of a shape is touched, so that drawing is fast. Angles are
given to `math.sin` by whoever needs them: NumPy's sine differs from processor to processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unblind.tasks.glyphs import draw_letters, measure_text, pens_of

Color = tuple[int, int, int]  # RGB, 0-255
Point = tuple[float, float]
Text = tuple[str, float, float]  # x of the first letter's pen, y of the baseline
Box = tuple[float, float, float, float]  # x0, y0, x1, y1
Cap = Literal["butt", "projecting", "round"]
Floats = NDArray[np.float64]
Segment = list[float]  # as `_segments` has it

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)


class Canvas:
    """An image to draw on; shapes may reach beyond it.

    Attributes:
        pixels: (height, width, 3) uint8 RGB, C-contiguous.
    """

    def __init__(self, width: int, height: int, background: Color = WHITE) -> None:
        self.pixels: NDArray[np.uint8] = _blank(width, height, background).copy()
        self._covered: NDArray[np.float32] | None = None  # zeros, between strokes

    def line(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        width: float,
        color: Color,
        cap: Cap = "butt",
    ) -> None:
        """A straight line; `projecting` ends reach half a width further."""
        self.polyline(((x0, y0), (x1, y1)), width, color, cap=cap)

    def polyline(self, points: Sequence[Point], width: float, color: Color, cap: Cap = "butt") -> None:
        """Straight lines from point to point, painted as one shape; corners are round.

        Args:
            points: two or more.
            width: px.
            color: RGB.
            cap: what the two ends look like.
        """
        segments = _segments(points, width / 2, cap)
        if segments:
            self._stroke(segments, width, color)
        elif cap == "round":
            self.circle(*points[0], width / 2, color)

    def circle(self, x: float, y: float, radius: float, color: Color, width: float | None = None) -> None:
        """A circle about (x, y): filled, or a ring whose middle has that radius if `width` is given."""
        reach = radius + (width or 0) / 2 + 1
        columns, rows = self._window(x - reach, y - reach, x + reach, y + reach)
        across, down = _centres(columns, x), _centres(rows, y)[:, None]
        distance = np.sqrt(across * across + down * down) - np.float32(radius)
        self._paint(columns.start, rows.start, _coverage(distance, width), color)

    def ellipse(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        color: Color,
        line_width: float | None = None,
    ) -> None:
        """An ellipse about (x, y) by its full axes: filled, or a line along it if `line_width` is given.

        The distance is f / |grad f| with f = |(x/a, y/b)| - 1, exact to first order near the curve
        (Taubin, "Estimation of planar curves", 1991).
        """
        stroke = line_width or 0
        reach_x, reach_y = (width + stroke) / 2 + 1, (height + stroke) / 2 + 1
        columns, rows = self._window(x - reach_x, y - reach_y, x + reach_x, y + reach_y)
        a, b = np.float32(width / 2), np.float32(height / 2)
        u, v = _centres(columns, x) / a, (_centres(rows, y) / b)[:, None]
        squared = np.maximum(u * u + v * v, np.float32(1e-6))  # the very centre is not on the curve
        slope = np.sqrt(np.maximum((u / a) ** 2 + (v / b) ** 2, np.float32(1e-12)))
        distance = (squared - np.sqrt(squared)) / slope
        self._paint(columns.start, rows.start, _coverage(distance, line_width), color)

    def polygon(self, points: Sequence[Point], color: Color, width: float | None = None) -> None:
        """A convex polygon: filled, or a line with sharp corners (of 40 degrees or more) along it.

        The distance is that to the farthest of the sides' half planes: negative inside.

        Raises:
            ValueError: the polygon is not convex.
        """
        nx, ny, offset = np.array(_half_planes(points), np.float32).T
        reach = 1 + 1.5 * (width or 0)
        xs, ys = zip(*points, strict=True)
        columns, rows = self._window(min(xs) - reach, min(ys) - reach, max(xs) + reach, max(ys) + reach)
        across = np.multiply.outer(nx, _centres(columns, 0.0))
        down = np.multiply.outer(ny, _centres(rows, 0.0)) - offset[:, None]
        distance = (down[:, :, None] + across[:, None, :]).max(0)
        self._paint(columns.start, rows.start, _coverage(distance, width), color)

    def rectangle(
        self, x0: float, y0: float, x1: float, y1: float, color: Color, width: float | None = None
    ) -> None:
        """A rectangle from corner to corner: filled, or a line along it if `width` is given.

        Coverage is the exact area, of the outer rectangle less the inner one.
        """
        half = (width or 0) / 2
        columns, rows = self._window(x0 - half, y0 - half, x1 + half, y1 + half)
        across, down = _overlap(columns, x0 - half, x1 + half), _overlap(rows, y0 - half, y1 + half)
        if width is None:
            self._paint(columns.start, rows.start, across * down[:, None], color)
            return
        hollow, low = _overlap(columns, x0 + half, x1 - half), _overlap(rows, y0 + half, y1 - half)
        left, right = _whole(hollow)
        top, bottom = _whole(low)
        everywhere, between = slice(0, None), slice(top, bottom)
        for down_part, across_part in (
            (slice(0, top), everywhere),
            (between, slice(0, left)),
            (between, slice(right, None)),
            (slice(bottom, None), everywhere),
        ):
            inner = hollow[across_part] * low[down_part, None]
            coverage = across[across_part] * down[down_part, None] - inner
            self._paint(columns.start + across_part.start, rows.start + down_part.start, coverage, color)

    def boxes(self, boxes: Sequence[Box], color: Color) -> None:
        """Filled rectangles, painted as one shape: a pixel is covered as by the best of them.

        Args:
            boxes: one or more, each x0, y0, x1, y1.
            color: RGB.
        """
        width = self.pixels.shape[1]
        _, rows = self._window(0, min(box[1] for box in boxes), width, max(box[3] for box in boxes))
        covered = np.zeros((len(rows), width), np.float32)
        for box in boxes:
            across, down = self._window(*box)
            part = covered[down.start - rows.start : down.stop - rows.start, across.start : across.stop]
            coverage = _filled(across, box[0], box[2]) * _filled(down, box[1], box[3])[:, None]
            np.maximum(part, coverage, out=part)
        touched = np.flatnonzero(covered > 0)
        cover = covered.ravel()[touched]
        _blend(self.pixels.reshape(-1, 3), touched + rows.start * width, cover, color)

    def text(self, x: float, baseline: float, text: str, font: Path, size: float, color: Color) -> None:
        """One line of text, not hinted, without kerning, to 1/64 px; `glyphs.measure_text` has its measures.

        Args:
            x: where the first letter's pen stands.
            baseline: y of the baseline.
            text: any characters that the font has.
            font: its file.
            size: px per em.
            color: RGB.

        Raises:
            FontsError: the font lacks one of the characters.
        """
        measures = measure_text(font, text)
        ink = measures.ink[~np.isnan(measures.ink[:, 0])] * size
        if not len(ink):
            return
        left, top = int(np.floor(x + ink[:, 0].min())) - 1, int(np.floor(baseline + ink[:, 1].min())) - 1
        right, bottom = int(np.ceil(x + ink[:, 2].max())) + 1, int(np.ceil(baseline + ink[:, 3].max())) + 1
        mask = np.zeros((bottom - top, right - left), np.uint8)
        draw_letters(mask, font, size, text, measures.pens * size + (x - left), baseline - top)
        height, width = self.pixels.shape[:2]
        mask = mask[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
        self._paint(max(0, left), max(0, top), np.divide(mask, 255, dtype=np.float32), color)

    def texts(self, texts: Sequence[Text], font: Path, size: float, color: Color) -> None:
        """Many short texts in one font and size, each as `text` sets it, but faster; letters may be cut off.

        Args:
            texts: each a text, x of the first letter's pen, and y of the baseline.
            font: its file.
            size: px per em.
            color: RGB.

        Raises:
            FontsError: the font lacks one of the characters.
        """
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        lines: dict[float, list[Text]] = {}
        for text in texts:
            lines.setdefault(text[2], []).append(text)
        for baseline, line in lines.items():
            pens = np.concatenate([pens_of(font, text) * size + x for text, x, _ in line])
            top = max(0, math.floor(baseline - 1.5 * size))
            band = mask[top : max(top, math.ceil(baseline + size))]
            draw_letters(band, font, size, "".join(text for text, _, _ in line), pens, baseline - top)
        touched = np.flatnonzero(mask)
        cover = np.divide(mask.ravel()[touched], 255, dtype=np.float32)
        _blend(self.pixels.reshape(-1, 3), touched, cover, color)

    # -- below the shapes ------------------------------------------------------------------------------------

    def _window(self, x0: float, y0: float, x1: float, y1: float) -> tuple[range, range]:
        """The columns and rows that a box touches, within the image."""
        height, width = self.pixels.shape[:2]
        return (
            range(max(0, int(x0)), max(0, min(width, int(x1) + 1))),
            range(max(0, int(y0)), max(0, min(height, int(y1) + 1))),
        )

    def _paint(self, x0: int, y0: int, coverage: NDArray[np.float32], color: Color) -> None:
        """Blend a colour into the pixels from (x0, y0) on by their coverage, (h, w) in [0, 1]."""
        height, width = coverage.shape
        touched = np.flatnonzero(coverage > 0)
        if 4 * len(touched) < coverage.size:
            breadth = self.pixels.shape[1]
            index = touched + (touched // width * (breadth - width) + y0 * breadth + x0)
            _blend(self.pixels.reshape(-1, 3), index, coverage.ravel()[touched], color)
        else:  # most of the window: no need to gather
            part = self.pixels[y0 : y0 + height, x0 : x0 + width]
            _blend(part, ..., coverage, color)

    def _stroke(self, segments: list[Segment], width: float, color: Color) -> None:
        """Paint segments as one shape: what two of them cover is covered as the better of them does."""
        height, breadth = self.pixels.shape[:2]
        walks = np.array([_walk(segment, width / 2 + 0.5, breadth, height) for segment in segments])
        index, owner, along, off = _near(walks, width / 2 + 0.5)
        length, round_start, round_end = np.array([segment[4:] for segment in segments])[owner].T
        beyond = np.maximum(-along, along - length)
        rounded = np.where(along > length / 2, round_end, round_start)
        reached = np.maximum(beyond, 0) * rounded
        off = np.sqrt(off * off + reached * reached)
        coverage = np.minimum(np.maximum((width + 1) / 2 - off, 0), min(1.0, width))
        coverage *= np.minimum(np.maximum(0.5 - beyond, rounded), 1)
        cover = coverage.astype(np.float32)
        if len(segments) > 1:
            if self._covered is None:
                self._covered = np.zeros(height * breadth, np.float32)
            np.maximum.at(self._covered, index, cover)
            cover = self._covered[index]
            self._covered[index] = 0
        _blend(self.pixels.reshape(-1, 3), index, cover, color)


def _walk(segment: Segment, reach: float, breadth: int, height: int) -> tuple[float, ...]:
    """How to walk along a segment: by columns, or by rows if it is steep, from one pixel to the next.

    Returns:
        The number of steps; at the first one and from step to step: the lowest pixel across that is within
        reach, and the position along the axis and beside it, from the segment's start; the direction; the
        number of pixels across; the index of the first pixel, and its growth with a step, and across.
    """
    x, y, ux, uy, length, _, _ = segment
    along, across, size, width = 1, breadth, breadth, height
    if abs(uy) > abs(ux):
        x, y, ux, uy, along, across, size, width = y, x, uy, ux, breadth, 1, height, breadth
    first = max(math.floor(min(x, x + ux * length) - reach), 0)
    last = min(math.ceil(max(x, x + ux * length) + reach), size)
    start, slope = first + 0.5 - x, uy / ux
    lowest = y - reach / abs(ux) + start * slope
    return max(last - first, 0), lowest, slope, start, 0.5 - y, ux, uy, width, first * along, along, across


def _near(walks: Floats, reach: float) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """The pixels whose centres are near to segments, or to where these would go on.

    Args:
        walks: (n, 11), as `_walk` has them.
        reach: the largest distance, px.

    Returns:
        Of each pixel its index, the segment's number, how far along it the pixel is (px), how far off (px).
    """
    count = walks[:, 0].astype(np.int64)
    owner = np.repeat(np.arange(len(walks)), count)
    step = np.arange(len(owner)) - (np.cumsum(count) - count)[owner]
    _, lowest, slope, start, aside, ux, uy, width, first, down, right = walks.T[:, owner]
    dx, lowest = start + step, np.floor(lowest + slope * step)
    dy = lowest + aside
    across = np.arange(int(2 * reach / np.abs(walks[:, 5]).min()) + 2)
    off = np.abs((dy * ux - dx * uy)[:, None] + ux[:, None] * across)
    row, more = np.nonzero(off < reach)
    beside = lowest[row] + more
    inside = (beside >= 0) & (beside < width[row])
    row, more, beside = row[inside], more[inside], beside[inside]
    index = ((first + step * down)[row] + beside * right[row]).astype(np.int64)
    return index, owner[row], (dx * ux + dy * uy)[row] + uy[row] * more, off[row, more]


@lru_cache(maxsize=16)
def _blank(width: int, height: int, color: Color) -> NDArray[np.uint8]:
    row = np.tile(np.array(color, np.uint8), width).reshape(width, 3)
    return np.repeat(row[None], height, axis=0)


def _centres(pixels: range, origin: float) -> NDArray[np.float32]:
    """How far the pixels' centres are from a point on their axis."""
    centres: NDArray[np.float32] = np.arange(pixels.start, pixels.stop, dtype=np.float32)
    centres += np.float32(0.5 - origin)
    return centres


def _overlap(pixels: range, low: float, high: float) -> NDArray[np.float32]:
    """How much of each pixel lies between two points of its axis."""
    edges = np.arange(pixels.start, pixels.stop + 1, dtype=np.float64)
    shares: NDArray[np.float64] = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    return np.maximum(shares, 0).astype(np.float32)


def _filled(pixels: range, low: float, high: float) -> NDArray[np.float32]:
    """As `_overlap`, for pixels of which all but the first and the last are covered whole; much faster."""
    covered = np.ones(len(pixels), np.float32)
    if pixels:
        covered[0] = max(0.0, min(pixels.start + 1, high) - max(pixels.start, low))
        covered[-1] = max(0.0, min(pixels.stop, high) - max(pixels.stop - 1, low))
    return covered


def _whole(overlap: NDArray[np.float32]) -> tuple[int, int]:
    """From which pixel to which all are covered whole; from the last one on if none is."""
    whole = np.flatnonzero(overlap == 1)
    return (int(whole[0]), int(whole[-1]) + 1) if len(whole) else (len(overlap), len(overlap))


def _coverage(distance: NDArray[np.float32], line_width: float | None) -> NDArray[np.float32]:
    """Coverage by the signed distance to an outline: of what lies inside it, or of a line along it."""
    half, most = 0.5, 1.0
    if line_width is not None:  # a line thinner than a pixel never covers one
        distance, half, most = np.abs(distance), (line_width + 1) / 2, min(1.0, line_width)
    coverage: NDArray[np.float32] = np.minimum(np.maximum(np.float32(half) - distance, 0), np.float32(most))
    return coverage


def _blend(pixels: NDArray[np.uint8], index: Any, coverage: NDArray[np.float32], color: Color) -> None:
    """Lay a colour over the pixels of an index; channel by channel, which is several times as fast."""
    for channel, value in enumerate(color):
        plane = pixels[..., channel]
        old = plane[index]
        plane[index] = old + coverage * (np.float32(value) - old) + np.float32(0.5)


def _segments(points: Sequence[Point], half: float, cap: Cap) -> list[Segment]:
    """The segments of a polyline; those without length are left out.

    Returns:
        Of each segment x and y of its start, x and y of its direction, its length, and 1 for its start and
        its end if they are half circles, or else 0: they are cut off.
    """
    found = []
    for (x0, y0), (x1, y1) in pairwise(points):
        length = math.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2)
        if length > 1e-6:
            found.append([x0, y0, (x1 - x0) / length, (y1 - y0) / length, length, 1.0, 1.0])
    if found and cap != "round":
        first, last, more = found[0], found[-1], half if cap == "projecting" else 0.0
        first[0] -= more * first[2]
        first[1] -= more * first[3]
        first[4] += more
        last[4] += more
        first[5] = last[6] = 0.0
    return found


def _half_planes(points: Sequence[Point]) -> list[tuple[float, float, float]]:
    """The sides of a convex polygon as (nx, ny, offset): nx x + ny y - offset is the distance outwards."""
    sides = []
    corners = list(pairwise((*points, points[0])))
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in corners)
    for (x0, y0), (x1, y1) in corners:
        length = math.copysign(math.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2), area)
        nx, ny = (y1 - y0) / length, (x0 - x1) / length
        offset = nx * x0 + ny * y0
        if max([nx * x + ny * y for x, y in points]) > offset + 1e-6:
            raise ValueError(f"not a convex polygon: {points}")
        sides.append((nx, ny, offset))
    return sides
