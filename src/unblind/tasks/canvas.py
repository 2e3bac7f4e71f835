"""A white sheet on which tasks draw: lines, circles, polygons, text; antialiased, the same bytes everywhere.

Coordinates are in px, y pointing down; pixel i covers [i, i + 1). A pixel's coverage comes from the distance
of its centre to the shape. Only the neighbourhood of a shape is touched, so that drawing is fast. Angles are
given to `math.sin` by whoever needs them: NumPy's sine differs from processor to processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unblind.tasks.glyphs import draw_letters, measure_text

Color = tuple[int, int, int]  # RGB, 0-255
Point = tuple[float, float]
Cap = Literal["butt", "projecting", "round"]
Join = Literal["round", "miter"]
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

    def polyline(
        self,
        points: Sequence[Point],
        width: float,
        color: Color,
        closed: bool = False,
        join: Join = "round",
        cap: Cap = "butt",
    ) -> None:
        """Straight lines from point to point, painted as one shape.

        Args:
            points: two or more.
            width: px.
            color: RGB.
            closed: also from the last point to the first.
            join: what corners look like; those sharper than a right angle are always round.
            cap: what the two ends look like, if there are any.
        """
        corners = np.array(points, np.float64)
        start = corners if closed else corners[:-1]
        end = np.roll(corners, -1, axis=0) if closed else corners[1:]
        step = end - start
        long = (step**2).sum(1) > 1e-12
        start, end, step = start[long], end[long], step[long]
        if not len(step):
            if cap == "round":
                self.circle(*points[0], width / 2, color)
            return
        unit = step / np.sqrt((step**2).sum(1))[:, None]
        before, after, rounded = _joins(unit, width / 2, closed, join, cap)
        start, end = start - unit * before[:, None], end + unit * after[:, None]
        self._stroke(start, end, unit, width, color, rounded)

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
        """A polygon: filled (by the even-odd rule), or outlined with mitered corners if `width` is given."""
        if width is not None:
            self.polyline(points, width, color, closed=True, join="miter")
            return
        corners = np.array(points, np.float64)
        (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
        columns, rows = self._window(x0 - 1, y0 - 1, x1 + 1, y1 + 1)
        across, down = _centres(columns, 0.0), _centres(rows, 0.0)[:, None]
        nearest = np.full((len(rows), len(columns)), np.float32(np.inf))
        inside = np.zeros(nearest.shape, np.bool_)
        for (ax, ay), (bx, by) in zip(corners.tolist(), np.roll(corners, -1, axis=0).tolist(), strict=True):
            dx, dy = bx - ax, by - ay
            along = ((across - ax) * dx + (down - ay) * dy) / ((dx * dx + dy * dy) or 1.0)
            along = np.minimum(np.maximum(along, 0), 1)
            square = (across - ax - along * dx) ** 2 + (down - ay - along * dy) ** 2
            nearest = np.minimum(nearest, square)
            if dy:
                crosses = (down >= ay) != (down >= by)
                inside ^= crosses & (across < ax + (down - ay) * dx / dy)
        distance = np.sqrt(nearest)
        distance[inside] *= -1
        self._paint(columns.start, rows.start, _coverage(distance, None), color)

    def rectangle(
        self, x0: float, y0: float, x1: float, y1: float, color: Color, width: float | None = None
    ) -> None:
        """A rectangle from corner to corner: filled, or outlined (the line's middle) if `width` is given."""
        if width is not None:
            self.polygon(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), color, width)
            return
        columns, rows = self._window(x0, y0, x1, y1)
        across, down = _overlap(columns, x0, x1), _overlap(rows, y0, y1)
        self._paint(columns.start, rows.start, across * down[:, None], color)

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
        part = self.pixels[y0 : y0 + height, x0 : x0 + width]
        touched = coverage > 0
        part[touched] = _blend(part[touched], coverage[touched], color)

    def _stroke(
        self, start: Floats, end: Floats, unit: Floats, width: float, color: Color, rounded: NDArray[np.bool_]
    ) -> None:
        """Paint segments as one shape, all of them at once.

        A segment is walked along the axis that it is nearer to; at each step the few pixels across it are
        looked at. What two segments cover is covered as the better of them does.

        Args:
            start: (n, 2) points.
            end: (n, 2) points.
            unit: (n, 2) directions from one to the other.
            width: px.
            color: RGB.
            rounded: (n, 2) whether the start and the end are half circles, or else cut off.
        """
        half = width / 2
        steep = np.abs(unit[:, 1]) > np.abs(unit[:, 0])
        start, end, unit = (np.where(steep[:, None], v[:, ::-1], v) for v in (start, end, unit))
        height, breadth = self.pixels.shape[:2]
        ends = np.where(steep, height, breadth)
        low = np.minimum(start[:, 0], end[:, 0]) - half - 1
        high = np.maximum(start[:, 0], end[:, 0]) + half + 1
        first = np.maximum(np.floor(low), 0).astype(np.int64)
        steps = np.maximum(np.minimum(np.ceil(high), ends).astype(np.int64) - first, 0)
        owner = np.repeat(np.arange(len(steps)), steps)
        at = np.arange(len(owner)) - np.repeat(np.cumsum(steps) - steps, steps) + first[owner]

        from_start = at + 0.5 - start[owner, 0]
        slope, reach = unit[:, 1] / unit[:, 0], (half + 0.5) / np.abs(unit[:, 0])
        middle = start[owner, 1] + from_start * slope[owner]
        lowest = np.floor(middle - reach[owner]).astype(np.int64)
        across = lowest[:, None] + np.arange(int(2 * reach.max(initial=0)) + 2)
        aside = across + 0.5 - start[owner, 1][:, None]
        ux, uy = unit[owner, 0][:, None], unit[owner, 1][:, None]
        along = from_start[:, None] * ux + aside * uy
        off = np.abs(aside * ux - from_start[:, None] * uy)

        length = np.sqrt(((end - start) ** 2).sum(1))[owner][:, None]
        beyond = np.maximum(-along, along - length)
        round_here = np.where(along > length / 2, rounded[owner, 1][:, None], rounded[owner, 0][:, None])
        reached = np.maximum(beyond, 0)
        off = np.where(round_here, np.sqrt(off * off + reached * reached), off)
        coverage = np.minimum(np.maximum(half + 0.5 - off, 0), min(1.0, width))
        coverage *= np.where(round_here, 1, np.minimum(np.maximum(0.5 - beyond, 0), 1))

        wide = np.where(steep, breadth, height)[owner][:, None]
        touched = (coverage > 0) & (across >= 0) & (across < wide)
        turned = steep[owner][:, None]
        at = np.broadcast_to(at[:, None], across.shape)
        index = (np.where(turned, at, across) * breadth + np.where(turned, across, at))[touched]
        cover = coverage[touched].astype(np.float32)
        if len(steps) > 1:
            best = np.zeros(height * breadth, np.float32)
            np.maximum.at(best, index, cover)
            cover = best[index]
        flat = self.pixels.reshape(-1, 3)
        flat[index] = _blend(flat[index], cover, color)


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


def _coverage(distance: NDArray[np.float32], line_width: float | None) -> NDArray[np.float32]:
    """Coverage by the signed distance to an outline: of what lies inside it, or of a line along it."""
    if line_width is None:
        return np.minimum(np.maximum(np.float32(0.5) - distance, 0), np.float32(1))
    most = np.float32(min(1.0, line_width))  # a line thinner than a pixel never covers one
    return np.minimum(np.maximum(np.float32((line_width + 1) / 2) - np.abs(distance), 0), most)


def _blend(old: NDArray[np.uint8], coverage: NDArray[np.float32], color: Color) -> NDArray[np.float32]:
    """Pixels (n, 3) with a colour over them, to be cut to integers."""
    return old + coverage[:, None] * (np.array(color, np.float32) - old) + np.float32(0.5)


def _joins(
    unit: Floats, half: float, closed: bool, join: Join, cap: Cap
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """How much longer the segments of a polyline are drawn, and which of their ends are round.

    A mitered corner is where two segments overlap that are longer by tan(turn / 2) of half a width; where
    they hardly turn, half a pixel more keeps the seam shut.

    Returns:
        (n,) px before the start, (n,) px after the end, (n, 2) bool.
    """
    following = np.roll(unit, -1, axis=0)
    cosine = (unit * following).sum(1)  # of the turn at each segment's end
    mitered = (cosine > -1e-6) if join == "miter" else np.zeros(len(unit), np.bool_)
    tangent = np.sqrt(np.maximum(1 - cosine, 0) / np.maximum(1 + cosine, 1e-12))
    after = np.where(mitered, half * tangent + 0.5 * np.maximum(cosine, 0), 0.0)
    rounded = ~mitered
    if not closed:
        after[-1] = half if cap == "projecting" else 0.0
        rounded[-1] = cap == "round"
    before = np.roll(after, 1)
    return before, after, np.stack([np.roll(rounded, 1), rounded], axis=1)
