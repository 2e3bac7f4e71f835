"""Shapes on a canvas, held against their areas and against a picture drawn 16 times as large."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from unblind.errors import FontsError
from unblind.tasks.canvas import BLACK, WHITE, Canvas
from unblind.tasks.fonts import FontLibrary

Draw = Callable[[Canvas, float], None]


def ink(canvas: Canvas) -> NDArray[np.float64]:
    """How much of each pixel is covered by black on white."""
    return 1 - canvas.pixels[..., 0] / 255


def square(canvas: Canvas, scale: float) -> None:
    canvas.rectangle(*(v * scale for v in (10.3, 12.6, 40.7, 33.2)), BLACK)


def frame(canvas: Canvas, scale: float) -> None:
    canvas.rectangle(*(v * scale for v in (10.3, 12.6, 40.7, 33.2)), BLACK, 3.4 * scale)


def cross(canvas: Canvas, scale: float) -> None:
    boxes = (10.3, 12.6, 15.7, 50.2), (4.1, 20.5, 44.9, 23.25)
    canvas.boxes([(scale * x0, scale * y0, scale * x1, scale * y1) for x0, y0, x1, y1 in boxes], BLACK)


def disc(canvas: Canvas, scale: float) -> None:
    canvas.circle(30.2 * scale, 29.1 * scale, 17.3 * scale, BLACK)


def ring(canvas: Canvas, scale: float) -> None:
    canvas.circle(30.2 * scale, 29.1 * scale, 17.3 * scale, BLACK, 2.5 * scale)


def oval(canvas: Canvas, scale: float) -> None:
    canvas.ellipse(*(v * scale for v in (30.2, 29.1, 40.5, 24.5)), BLACK)


def oval_line(canvas: Canvas, scale: float) -> None:
    canvas.ellipse(*(v * scale for v in (30.5, 29.5, 40.5, 24.5)), BLACK, 2 * scale)


def butt(canvas: Canvas, scale: float) -> None:
    canvas.line(*(v * scale for v in (8.2, 11.7, 50.3, 29.9, 5.0)), BLACK)


def projecting(canvas: Canvas, scale: float) -> None:
    canvas.line(*(v * scale for v in (30.3, 50.3, 8.2, 11.7, 5.0)), BLACK, cap="projecting")


def bent(canvas: Canvas, scale: float) -> None:
    points = [(x * scale, y * scale) for x, y in ((8, 8), (30, 50), (35, 12), (52, 40.5))]
    canvas.polyline(points, 4.0 * scale, BLACK, cap="round")


def pentagon(canvas: Canvas, scale: float) -> None:
    canvas.polygon(corners(scale), BLACK)


def pentagon_line(canvas: Canvas, scale: float) -> None:
    canvas.polygon(corners(scale)[::-1], BLACK, 3 * scale)


def corners(scale: float) -> list[tuple[float, float]]:
    turns = [0.3 + k * 2 * math.pi / 5 for k in range(5)]
    return [(scale * (30 + 20 * math.sin(t)), scale * (31 - 20 * math.cos(t))) for t in turns]


SHAPES: tuple[Draw, ...] = (square, frame, cross, disc, ring, oval, oval_line)
SHAPES += (butt, projecting, bent, pentagon, pentagon_line)


@pytest.mark.parametrize("draw", SHAPES, ids=lambda draw: draw.__name__)
def test_a_shape_is_itself_drawn_large_and_averaged(draw: Draw) -> None:
    """No pixel is off by more than a fifth of its ink, and all of them together by less than 2 %."""
    small, large = Canvas(64, 60), Canvas(64 * 16, 60 * 16)
    draw(small, 1.0)
    draw(large, 16.0)
    exact = ink(large).reshape(60, 16, 64, 16).mean((1, 3))
    assert exact.sum() > 50
    assert np.abs(ink(small) - exact).max() < 0.2
    assert abs(ink(small).sum() - exact.sum()) < 0.02 * exact.sum()


@pytest.mark.parametrize("width", [0.3, 1.0, 2.4])
def test_a_line_has_the_ink_of_its_area_however_it_lies(width: float) -> None:
    """Thin ones too, which pale instead of vanishing; to 12 %, as coverage is a distance, not an area."""
    for turn in np.linspace(0.1, 3.0, 13).tolist():
        canvas = Canvas(64, 64)
        dx, dy = 25 * math.cos(turn), 25 * math.sin(turn)
        canvas.line(32 - dx, 32 - dy, 32 + dx, 32 + dy, width, BLACK)
        assert ink(canvas).sum() == pytest.approx(50 * width, rel=0.12)


def test_corners_have_no_seam() -> None:
    """Where a polyline goes straight on, it is as if it were one line; it returns upon itself likewise."""
    one, two, back = Canvas(64, 64), Canvas(64, 64), Canvas(64, 64)
    one.line(5, 7, 55, 32, 3, BLACK)
    two.polyline([(5, 7), (25, 17), (25, 17), (55, 32)], 3, BLACK)
    back.polyline([(5, 7), (55, 32), (5, 7)], 3, BLACK)
    assert np.abs(ink(one) - ink(two)).max() < 0.01
    assert np.abs(ink(one) - ink(back))[:, :50].max() < 0.01


def test_colours_cover_by_their_share() -> None:
    canvas = Canvas(8, 8, (10, 20, 30))
    canvas.rectangle(1, 1, 3, 3.5, (210, 120, 130))
    assert canvas.pixels[1, 1].tolist() == [210, 120, 130]
    assert canvas.pixels[3, 1].tolist() == [110, 70, 80]
    assert canvas.pixels[4, 4].tolist() == [10, 20, 30]


def test_text_has_the_font_s_ink_and_spaces_have_none(fonts: FontLibrary) -> None:
    path = next(font.path for font in fonts.fonts if font.style == "Regular")
    canvas, empty = Canvas(120, 40), Canvas(120, 40)
    canvas.text(4.25, 30, "a 7.", path, 28, BLACK)
    empty.text(4, 30, "  ", path, 28, BLACK)
    assert ink(canvas).sum() > 50
    assert (ink(canvas)[:, 40:] > 0).any()
    assert (empty.pixels == 255).all()
    with pytest.raises(FontsError, match="lacks '\\\\ue000'"):
        canvas.text(4, 30, "\ue000", path, 28, BLACK)


def test_a_dent_is_refused() -> None:
    with pytest.raises(ValueError, match="not a convex polygon"):
        Canvas(9, 9).polygon(((0, 0), (8, 0), (2, 2), (0, 8)), BLACK)


spots = st.floats(-300, 300)


@given(spots, spots, spots, spots, st.floats(0.1, 60))
@settings(deadline=None, max_examples=150)
def test_what_reaches_beyond_the_edge_is_cut_off(x: float, y: float, u: float, v: float, size: float) -> None:
    """A shape on a small canvas is a cut-out of the shape on a large one."""
    small, large = Canvas(40, 30), Canvas(1240, 1230)
    for canvas, shift in ((small, 0.0), (large, 600.0)):
        ax, ay, bx, by = x + shift, y + shift, u + shift, v + shift
        canvas.polyline([(ax, ay), (bx, by), (bx + size, by)], size, (200, 0, 0), cap="projecting")
        canvas.circle(ax, ay, size, (0, 200, 0))
        canvas.ellipse(bx, by, size, 2 * size, (0, 0, 200), 2)
        canvas.rectangle(min(ax, bx), min(ay, by), max(ax, bx) + 1, max(ay, by) + 1, BLACK, size / 9)
        canvas.boxes([(ax, ay, ax + size, ay + 9.5), (bx, by, bx + 0.5, by + size)], (90, 0, 90))
        canvas.polygon(((ax, ay), (ax + size, ay), (ax, ay + size)), (9, 99, 9), 1.5)
    cut = large.pixels[600:630, 600:640]
    assert np.abs(small.pixels.astype(int) - cut).max() <= 2  # float32 is coarser far from the origin


def test_a_blank_sheet_is_the_background() -> None:
    """Each canvas has pixels of its own."""
    Canvas(5, 4).circle(2, 2, 3, BLACK)
    assert Canvas(5, 4).pixels.shape == (4, 5, 3)
    assert (Canvas(5, 4).pixels == np.array(WHITE)).all()
