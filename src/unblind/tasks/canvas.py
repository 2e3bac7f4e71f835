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

from unblind.tasks.glyphs import draw_letters, measure_text

Color = tuple[int, int, int]  # RGB, 0-255
Point = tuple[float, float]
Cap = Literal["butt", "projecting", "round"]
Floats = NDArray[np.float64]

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)


class Canvas:
    """An image to draw on; shapes may reach beyond it.

    Attributes:
        pixels: (height, width, 3) uint8 RGB, C-contiguous.
    """

    def __init__(self, width: int, height: int, background: Color = WHITE) -> None:
        self.pixels: NDArray[np.uint8] = _blank(width, height, background).copy()

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
            self._stroke(np.array(segments, np.float64), width, color)
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
        """A convex polygon: filled, or a line with sharp corners along it if `width` is given.

        The distance is that to the farthest of the sides' half planes: negative inside.

        Raises:
            ValueError: the polygon is not convex.
        """
        sides = _half_planes(points)
        reach = 1 + 2 * (width or 0)
        xs, ys = zip(*points, strict=True)
        columns, rows = self._window(min(xs) - reach, min(ys) - reach, max(xs) + reach, max(ys) + reach)
        across, down = _centres(columns, 0.0), _centres(rows, 0.0)[:, None]
        distance = np.full((len(rows), len(columns)), -np.inf, np.float32)
        for nx, ny, offset in sides:
            side = across * np.float32(nx) + (down * np.float32(ny) - np.float32(offset))
            np.maximum(distance, side, out=distance)
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
        self._paint(max(0, left), max(0, top), mask / np.float32(255), color)

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
            rows, columns = np.divmod(touched, width)
            index = (rows + y0) * self.pixels.shape[1] + columns + x0
            _blend(self.pixels.reshape(-1, 3), index, coverage.ravel()[touched], color)
        else:  # most of the window: no need to gather
            part = self.pixels[y0 : y0 + height, x0 : x0 + width]
            _blend(part, ..., coverage, color)

    def _stroke(self, segments: Floats, width: float, color: Color) -> None:
        """Paint segments as one shape, all of them at once.

        A segment is walked along the axis that it is nearer to; at each step the few pixels across it are
        looked at. What two segments cover is covered as the better of them does.

        Args:
            segments: (n, 7): x and y of the start, the direction's two, the length, and 1 for the start and
                the end if they are half circles, or else 0 for ends that are cut off.
            width: px.
            color: RGB.
        """
        height, breadth = self.pixels.shape[:2]
        half = width / 2
        steep = np.abs(segments[:, 3]) > np.abs(segments[:, 2])
        table = np.where(steep[:, None], segments[:, [1, 0, 3, 2, 4, 5, 6]], segments)
        ends = table[:, 0] + table[:, 2] * table[:, 4]
        first = np.maximum(np.floor(np.minimum(table[:, 0], ends) - half - 1), 0)
        last = np.minimum(np.ceil(np.maximum(table[:, 0], ends) + half + 1), np.where(steep, height, breadth))
        steps = np.maximum(last - first, 0).astype(np.int64)
        owner = np.repeat(np.arange(len(steps)), steps)
        at = np.arange(len(owner)) + (first - np.cumsum(steps) + steps)[owner]
        start, aside, ux, uy, length, round_start, round_end = table[owner].T

        dx = at + 0.5 - start
        reach = (half + 0.5) / np.abs(ux)  # px across, on either side
        lowest = np.floor(aside + dx * uy / ux - reach)
        across = lowest[:, None] + np.arange(int(2 * reach.max(initial=0)) + 2)
        dy = across + (0.5 - aside)[:, None]
        along = dy * uy[:, None] + (dx * ux)[:, None]
        off = np.abs(dy * ux[:, None] - (dx * uy)[:, None])
        beyond = np.maximum(-along, along - length[:, None])
        round_here = np.where(along > length[:, None] / 2, round_end[:, None], round_start[:, None])
        reached = np.maximum(beyond, 0) * round_here
        off = np.sqrt(off * off + reached * reached)
        coverage = np.minimum(np.maximum(half + 0.5 - off, 0), min(1.0, width))
        coverage *= np.minimum(np.maximum(0.5 - beyond, round_here), 1)

        wide = np.where(steep, breadth, height)[owner]
        touched = (coverage > 0) & (across >= 0) & (across < wide[:, None])
        down, right = np.where(steep, ((breadth,), (1,)), ((1,), (breadth,)))[:, owner]
        index = (across * right[:, None] + (at * down)[:, None])[touched].astype(np.int64)
        cover = coverage[touched].astype(np.float32)
        if len(steps) > 1:
            best = np.zeros(height * breadth, np.float32)
            np.maximum.at(best, index, cover)
            cover = best[index]
        _blend(self.pixels.reshape(-1, 3), index, cover, color)


@lru_cache(maxsize=16)
def _blank(width: int, height: int, color: Color) -> NDArray[np.uint8]:
    return np.full((height, width, 3), color, np.uint8)


def _centres(pixels: range, origin: float) -> NDArray[np.float32]:
    """How far the pixels' centres are from a point on their axis."""
    return np.arange(pixels.start, pixels.stop, dtype=np.float32) + np.float32(0.5 - origin)


def _overlap(pixels: range, low: float, high: float) -> NDArray[np.float32]:
    """How much of each pixel lies between two points of its axis."""
    edges = np.arange(pixels.start, pixels.stop + 1, dtype=np.float64)
    return np.maximum(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0).astype(np.float32)


def _whole(overlap: NDArray[np.float32]) -> tuple[int, int]:
    """From which pixel to which all are covered whole; from the last one on if none is."""
    whole = np.flatnonzero(overlap == 1)
    return (int(whole[0]), int(whole[-1]) + 1) if len(whole) else (len(overlap), len(overlap))


def _coverage(distance: NDArray[np.float32], line_width: float | None) -> NDArray[np.float32]:
    """Coverage by the signed distance to an outline: of what lies inside it, or of a line along it."""
    if line_width is None:
        return np.minimum(np.maximum(np.float32(0.5) - distance, 0), np.float32(1))
    most = np.float32(min(1.0, line_width))  # a line thinner than a pixel never covers one
    return np.minimum(np.maximum(np.float32((line_width + 1) / 2) - np.abs(distance), 0), most)


def _blend(pixels: NDArray[np.uint8], index: Any, coverage: NDArray[np.float32], color: Color) -> None:
    """Lay a colour over the pixels of an index; channel by channel, which is several times as fast."""
    for channel, value in enumerate(color):
        plane = pixels[..., channel]
        old = plane[index]
        plane[index] = old + coverage * (np.float32(value) - old) + np.float32(0.5)


def _segments(points: Sequence[Point], half: float, cap: Cap) -> list[list[float]]:
    """The segments of a polyline as `Canvas._stroke` takes them; those without length are left out."""
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
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise((*points, points[0])))
    for (x0, y0), (x1, y1) in pairwise((*points, points[0])):
        length = math.copysign(math.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2), area)
        nx, ny = (y1 - y0) / length, (x0 - x1) / length
        sides.append((nx, ny, nx * x0 + ny * y0))
    if any(nx * x + ny * y - offset > 1e-6 for nx, ny, offset in sides for x, y in points):
        raise ValueError(f"not a convex polygon: {points}")
    return sides
