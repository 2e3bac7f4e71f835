"""How often do two lines cross: scenes, answers, twins, and the benchmark's real images."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from real_images import Pixels, assert_alike, ink, real_rows
from unblind.errors import SceneError
from unblind.tasks.base import sample_scene
from unblind.tasks.line_intersections.scene import (
    COLUMNS,
    HEIGHTS,
    UNITS,
    Line,
    Options,
    Scene,
    benchmark_scene,
    crossings,
    is_clear,
)
from unblind.tasks.line_intersections.task import TASK

Floats = NDArray[np.float64]


def scenes(count: int = 300, **knobs: object) -> list[Scene]:
    options = Options(**knobs)  # type: ignore[arg-type]
    return [sample_scene(TASK, 0, "train", i, options, None) for i in range(count)]


def heights(line: Line, at: Floats, turned: bool) -> Floats:
    points = np.array(line)[:, ::-1] if turned else np.array(line)
    return np.interp(at, points[:, 0], points[:, 1])


def test_the_answer_is_how_often_the_upper_line_changes() -> None:
    """Counted another way: by the signs of the lines' distance at 20,000 places."""
    for scene in scenes(100):
        axis = 1 if scene.turned else 0
        ends = scene.blue[0][axis], scene.blue[-1][axis]
        assert ends == (scene.red[0][axis], scene.red[-1][axis])
        at = np.linspace(*ends, 20_000)
        above = heights(scene.blue, at, scene.turned) > heights(scene.red, at, scene.turned)
        assert TASK.truth(scene) == str(np.count_nonzero(above[1:] != above[:-1]))


def test_all_answers_are_about_as_frequent_and_scenes_wider_than_the_benchmark() -> None:
    found = scenes(600)
    counts = Counter(map(crossings, found))
    assert set(counts) == {0, 1, 2, 3, 4}
    assert max(counts.values()) < 150
    assert {len(scene.blue) - 2 for scene in found} == {1, 2, 3, 4}
    thickness = [TASK.columns(scene)["thickness"] for scene in found]
    assert min(thickness) < 2 < 4 < max(thickness)
    near = [TASK.columns(scene)["clearance"] < 3 for scene in found]
    assert 0.3 < np.mean(near) < 0.9


def test_no_scene_is_near_the_benchmark() -> None:
    """Every bend and end keeps 2 px of 224 from all the places where the benchmark has one.

    Its 300 plots are random, but each has its bends and ends on the same 39 places.
    """
    lattice = np.array([(x, y) for x in COLUMNS for y in HEIGHTS]) * 224 / UNITS
    for scene in scenes(500):
        points = np.array(scene.blue + scene.red) * 224 / np.array([scene.width, scene.height])
        assert np.abs(points[:, None] - lattice).max(-1).min() >= 2
    for scene in list(TASK.benchmark_scenes(5, None))[::97]:
        points = np.array(scene.blue + scene.red) * 224 / scene.width
        assert np.abs(points[:, None] - lattice).max(-1).min(-1).max() < 1e-9


def test_a_twin_has_another_answer_and_one_point_moved() -> None:
    rng = np.random.default_rng(0)
    for scene in scenes(60) + list(TASK.benchmark_scenes(1, None))[::60]:
        twin = TASK.contrast(rng, scene)
        assert twin is not None
        assert TASK.truth(twin) != TASK.truth(scene)
        assert is_clear(twin)
        moved = [a != b for a, b in zip(scene.blue + scene.red, twin.blue + twin.red, strict=True)]
        assert sum(moved) == 1 and not moved[0]
        assert TASK.split_of(twin) == TASK.split_of(scene)
        assert replace(twin, blue=scene.blue, red=scene.red) == scene


def test_the_benchmark_has_its_rules() -> None:
    """300 plots of three points a line, 100 of each count, at three resolutions and two line widths."""
    found = list(TASK.benchmark_scenes(0, None))
    assert Counter(map(TASK.truth, found)) == {"0": 600, "1": 600, "2": 600}
    about = [TASK.columns(scene) for scene in found]
    kinds = Counter((a["resolution"], a["thickness"]) for a in about)
    assert kinds == {(r, t): 300 for r in (384, 768, 1152) for t in (2, 4)}
    assert found == list(TASK.benchmark_scenes(0, None)) != list(TASK.benchmark_scenes(1, None))
    lowest, highest = HEIGHTS[0] * 384 / UNITS, HEIGHTS[-1] * 384 / UNITS
    for scene in found:
        if scene.width == 384:
            rows = [[y for _, y in line] for line in (scene.blue, scene.red)]
            assert all(a != b for a, b in zip(*rows, strict=True))
            assert not any(a == b and a in (lowest, highest) for line in rows for a, b in pairwise(line))


def test_prompts_are_the_benchmark_s_and_get_their_format() -> None:
    scene = scenes(1)[0]
    assert TASK.ask(scene, "touch").reply == f"{{{crossings(scene)}}}"
    assert TASK.ask(scene, "short").reply == str(crossings(scene))
    published = {row["prompt"] for row, _, _ in real_rows("lines")}
    assert published <= {prompt.text for prompt in TASK.prompts.values()}


def test_variants_of_one_plot_are_one_figure() -> None:
    figures = [TASK.columns(scene)["figure"] for scene in TASK.benchmark_scenes(0, None)]
    assert len(set(figures)) == 300
    assert set(Counter(figures).values()) == {6}


def test_a_line_can_be_left_out() -> None:
    scene = replace(scenes(1)[0], background=(255, 255, 255), blue_color=(0, 0, 255), red_color=(255, 0, 0))
    blue_alone, red_alone = TASK.draw(scene, None, "red line"), TASK.draw(scene, None, "blue line")
    assert (blue_alone[..., 2] == 255).all() and (red_alone[..., 0] == 255).all()
    assert (TASK.draw(scene, None) < 255).any(-1).sum() > (blue_alone < 255).any(-1).sum()


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"image_size": 5}, "--image-size 5: need 28 to 4096 px"),
        ({"crossings": (3, 1)}, "--crossings 3 1: need two numbers from 0 to 4, the smaller first"),
        ({"bends": (0, 2)}, "--bends 0 2"),
        ({"bends": (1, 1)}, "--crossings 0 4: lines with 1 bends cross at most 2 times; raise --bends"),
        ({"line_width": (0.0, 2.0)}, "--line-width"),
        ({"hard": 1.5}, "--hard 1.5: need a share from 0 to 1"),
    ],
)
def test_an_impossible_knob_is_named(knobs: dict[str, object], message: str) -> None:
    with pytest.raises(SceneError) as error:
        Options(**knobs)  # type: ignore[arg-type]
    assert message in str(error.value) and "\n" not in str(error.value)


def test_lines_that_cannot_be_told_apart_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblind.tasks.base.TRIES", 20)
    with pytest.raises(SceneError, match="use a larger --image-size"):
        sample_scene(TASK, 0, "train", 0, Options(image_size=28, line_width=(20, 20), bends=(6, 6)), None)


def recover(image: Pixels) -> tuple[Line, Line]:
    """The benchmark's lines, in its units, from the pixels.

    Blue on white and red on white or blue leave one channel to each line: red lowers blue, blue lowers red.
    """
    size = image.shape[0]
    blue, red = (1 - image[..., channel] / 255 for channel in (0, 2))
    at = (np.arange(size) + 0.5)[:, None]
    hidden = np.zeros(size, np.bool_)
    lines: list[Line] = []
    for cover, other in ((red, None), (blue, red)):
        found = cover.sum(0) > 0.5
        middle = (cover * at).sum(0) / np.maximum(cover.sum(0), 1e-9)
        if other is not None:  # the red line hides parts of the blue one
            hidden = ((other > 0.02) & (np.abs(at - middle) < 8)).any(0)
        x = (np.arange(size) + 0.5) * UNITS / size
        values = []
        for low, high in pairwise(COLUMNS):
            use = found & ~hidden & (x > low + 0.15) & (x < high - 0.15)
            slope, rest = np.polyfit(x[use], UNITS - middle[use] * UNITS / size, 1)
            values.append((rest + slope * low, rest + slope * high))
        (left, one), (two, right) = values
        assert abs(one - two) < 0.04
        lines.append(tuple(zip(COLUMNS, (left, (one + two) / 2, right), strict=True)))
    return lines[1], lines[0]


def on_lattice(line: Line) -> Line:
    snapped = [(x, min(HEIGHTS, key=lambda height: abs(height - y))) for x, y in line]
    assert all(abs(y - height) < 0.04 for (_, y), (_, height) in zip(line, snapped, strict=True))
    return tuple(snapped)


@pytest.mark.slow
def test_every_real_image_is_recovered_drawn_again_and_counted() -> None:
    """The lines are measured in the pixels; drawn again they are the image, and the label is their count."""
    pairs: dict[int, tuple[Line, Line]] = {}
    answers: dict[tuple[int, int], str] = {}
    for row, about, image in real_rows("lines"):
        kind = about["image"], about["thickness"]
        if kind not in answers:
            blue, red = recover(image)
            pair = on_lattice(blue), on_lattice(red)
            assert pairs.setdefault(about["image"], pair) == pair  # the same plot, thin and thick
            scene = benchmark_scene(pair, about["resolution"], about["thickness"])
            told, columns = TASK.benchmark_columns(about), TASK.columns(scene)
            assert all(columns[name] == value for name, value in told.items() if name != "figure")
            assert_alike(TASK.draw(scene, None), image, ink(image))
            answers[kind] = TASK.truth(scene)
        assert answers[kind] == row["groundtruth"]
    assert len(answers) == 200
