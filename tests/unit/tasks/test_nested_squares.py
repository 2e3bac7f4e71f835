"""Nested squares: sampled, held out, drawn again, and held against the benchmark's real images."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from real_images import Pixels, assert_alike, ink, real_rows
from unblind.errors import SceneError
from unblind.tasks.base import sample_scene
from unblind.tasks.nested_squares.scene import POINTS, Options, Scene, Square, is_off_benchmark
from unblind.tasks.nested_squares.task import TASK
from unblind.tasks.splits import SPLITS

UNIT = 770 / 30  # px of the benchmark's 1000


@pytest.fixture(scope="module")
def sampled() -> list[Scene]:
    """Scenes of the training split."""
    return [sample_scene(TASK, 3, "train", i, Options(), None) for i in range(2000)]


# -- the real images ---------------------------------------


def recover(image: Pixels, line_width: float) -> tuple[Square, ...]:
    """The squares of a real image: the box of all ink, then of the ink inside that box's line, and so on."""
    dark, squares, reach = 1 - image.min(-1) / 255, [], int(np.ceil(line_width)) + 1
    left, top, inside = 0, 0, dark
    while (inside > 0.5).any():
        rows, columns = np.nonzero(inside > 0.1)
        x0, x1, y0, y1 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        middle = (y0 + y1) // 2
        first, last = (
            centre(line, line_width) for line in (inside[middle, x0:x1], inside[middle, x0:x1][::-1])
        )
        above = centre(inside[y0:y1, (x0 + x1) // 2], line_width)
        squares.append((float(left + x0 + first), float(top + y0 + above), float(x1 - x0 - first - last)))
        inside = inside[y0 + reach : y1 - reach, x0 + reach : x1 - reach]
        left, top = left + x0 + reach, top + y0 + reach
    return tuple(squares)


def centre(profile: Pixels, line_width: float) -> float:
    """The middle of the line with which a profile begins."""
    part = profile[: int(np.ceil(line_width)) + 1]
    return float((part * (np.arange(len(part)) + 0.5)).sum() / part.sum())


def test_the_squares_of_every_real_image_are_recovered_and_drawn_again() -> None:
    """Their number is the recorded answer, they obey the benchmark's rule, and ours look the same."""
    seen = set()
    for row, about, real in real_rows("squares"):
        if row["image"]["path"] in seen:
            continue
        seen.add(row["image"]["path"])
        width = about["thickness"] * 1000 / POINTS
        scene = Scene(1000, recover(real, width), width)
        assert TASK.truth(scene) == row["groundtruth"]
        thickness = TASK.benchmark_columns(about)["thickness"]
        assert TASK.columns(scene)["thickness"] == pytest.approx(thickness, abs=0.001)
        sides = [side / UNIT for _, _, side in scene.squares]
        assert all(abs(b - 0.75 * a + 0.75) < 1.5 / UNIT for a, b in pairwise(sides))
        assert not is_off_benchmark(scene), row["image"]["path"]
        x, y, side = map(int, scene.squares[0])
        part = slice(y - 8, y + side + 9), slice(x - 8, x + side + 9)  # the rest is white
        assert_alike(TASK.draw(scene, None)[part], real[part], ink(real[part]))
    assert len(seen) == 36


def test_the_published_questions_are_ours_to_the_letter() -> None:
    asked = {TASK.prompts[name].text for name in ("total", "how-many")}
    for row, _, _ in real_rows("squares"):
        assert row["prompt"] in asked and row["task"] in TASK.benchmark
        answer = row["groundtruth"]
        assert TASK.ask_again({"prompt": row["prompt"], "answer": answer}).reply == f"{{{answer}}}"


# -- held out ---------------------------------------


def distance_to_benchmark(scene: Scene) -> float:
    """A lower bound, px at 224 px, of how far some edge has to be moved to make it a scene of the benchmark.

    Over all first sides and centres, in steps; a centre that moves by d moves an edge by d, a side that
    changes by d moves one by d / 2.
    """
    if not 2 <= len(scene.squares) <= 5:
        return np.inf
    scale, unit = 224 / scene.image_size, UNIT * 0.224
    sides = np.array([side for _, _, side in scene.squares]) * scale
    first = np.arange(8, 18.001, 0.01) * unit
    wanted = [first]
    for _ in sides[1:]:
        wanted.append(0.75 * wanted[-1] - 0.75 * unit)
    off = np.abs(np.stack(wanted) - sides[:, None]).max(0).min() / 2
    x, y, side = np.array(scene.squares[0]) * scale
    middle = np.array([x + side / 2, y + side / 2]) - np.array([512.5, 505]) * 0.224
    return float(max(off, np.abs(middle).max() - 5 * unit))


def test_no_scene_is_near_one_of_the_benchmarks(sampled: list[Scene]) -> None:
    """By a search of its own, not by the sampler's rule; the benchmark's own scenes are nearest."""
    near = [distance_to_benchmark(scene) for scene in sampled]
    assert min(near) >= 1.99  # the search goes in steps
    assert sum(np.isfinite(near)) > 500
    drawn_again = list(TASK.benchmark_scenes(0, None))
    assert max(distance_to_benchmark(scene) for scene in drawn_again) < 0.05
    assert not any(is_off_benchmark(scene) for scene in drawn_again)


# -- sampled ---------------------------------------


def paper(image: NDArray[np.uint8], background: tuple[int, int, int]) -> int:
    """How many areas of background an image has: from one to the next a square's line is in between."""
    free = (image == background).all(-1)
    found = 0
    while free.any():
        found += 1
        spread = np.zeros_like(free)
        spread[tuple(np.argwhere(free)[0])] = True
        size = 0
        while spread.sum() != size:
            size = spread.sum()
            for axis in (0, 1):
                for step in (1, -1):
                    spread = fill(spread, free, axis, step)
        free &= ~spread
    return found


def fill(spread: NDArray[np.bool_], free: NDArray[np.bool_], axis: int, step: int) -> NDArray[np.bool_]:
    """Spread over free pixels along an axis until something is in the way."""
    spread, free = (np.moveaxis(a, axis, 0)[::step] for a in (spread, free))
    found = spread.copy()
    for i in range(1, len(found)):
        found[i] |= found[i - 1] & free[i]
    return np.moveaxis(found[::step], 0, axis)


def test_a_square_more_is_an_area_more(sampled: list[Scene]) -> None:
    """The answer can be seen: n lines part the image into n + 1 areas, at twice the size."""
    for scene in sampled[:25]:
        large = replace(
            scene,
            image_size=448,
            line_width=2 * scene.line_width,
            squares=tuple((2 * x, 2 * y, 2 * side) for x, y, side in scene.squares),
        )
        assert paper(TASK.draw(large, None), scene.background) == int(TASK.truth(scene)) + 1


def test_squares_lie_in_one_another_within_the_image(sampled: list[Scene]) -> None:
    for scene in sampled:
        x, y, side = scene.squares[0]
        half = scene.line_width / 2
        assert min(x, y) - half >= 1.99 and max(x, y) + side + half <= 222.01
        assert all(gap >= 0.99 for gap in scene.gaps)
        assert scene.squares[-1][2] - scene.line_width >= 1.99


def test_answers_are_balanced_and_reach_beyond_the_benchmark(sampled: list[Scene]) -> None:
    counts = Counter(map(TASK.truth, sampled))
    assert set(counts) == set(TASK.answers.choices or ()) == set("1234567")
    assert max(counts.values()) < 0.2 * len(sampled)
    widths = [TASK.columns(scene)["thickness"] for scene in sampled]
    assert min(widths) < 2 and max(widths) > 4
    tight = [min(scene.gaps) < 1.5 for scene in sampled if scene.gaps]
    assert 0.1 < np.mean(tight) < 0.7  # hard ones have their share


def test_a_scene_is_in_one_split_with_its_twins() -> None:
    rng = np.random.default_rng(0)
    for split in SPLITS:
        for i in range(30):
            scene = sample_scene(TASK, 0, split, i, Options(), None)
            twin = TASK.contrast(rng, scene)
            assert TASK.split_of(scene) == split and (twin is None or TASK.split_of(twin) == split)


def test_a_twin_has_a_square_more_or_less_and_the_rest_stays(sampled: list[Scene]) -> None:
    rng, found = np.random.default_rng(0), Counter[int]()
    for scene in sampled[:300]:
        twin = TASK.contrast(rng, scene)
        if twin is None:  # a single square, too small for another
            assert len(scene.squares) == 1
            continue
        few, many = sorted((scene.squares, twin.squares), key=len)
        assert len(many) == len(few) + 1 and set(few) < set(many)
        assert replace(twin, squares=scene.squares) == scene
        assert TASK.truth(twin) != TASK.truth(scene) and TASK.truth(twin) in (TASK.answers.choices or ())
        assert all(gap >= 0.99 for gap in twin.gaps)
        found[len(twin.squares) - len(scene.squares)] += 1
    assert min(found[1], found[-1]) > 30


def test_the_benchmark_drawn_again() -> None:
    """30 scenes of each depth in three line widths, new ones for another seed."""
    scenes = list(TASK.benchmark_scenes(0, None))
    columns = [TASK.columns(scene) | {"answer": TASK.truth(scene)} for scene in scenes]
    assert len(scenes) == TASK.benchmark_count == 120
    assert Counter((row["answer"], row["thickness"]) for row in columns) == {
        (depth, width): 10 for depth in "2345" for width in (2.0, 3.0, 4.0)
    }
    assert set(Counter(row["figure"] for row in columns).values()) == {3}
    assert scenes == list(TASK.benchmark_scenes(0, None)) != list(TASK.benchmark_scenes(1, None))
    assert TASK.draw(scenes[0], None).shape == (1000, 1000, 3)


def test_scenes_are_kept_to_the_bit(sampled: list[Scene]) -> None:
    for scene in sampled[:100]:
        again = TASK.from_json(TASK.to_json(scene))
        assert again == scene and (TASK.draw(again, None) == TASK.draw(scene, None)).all()
        assert set(TASK.columns(scene)) == set(TASK.own_columns) == set(TASK.meanings)


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"image_size": 5}, "--image-size"),
        ({"squares": (0, 3)}, "--squares"),
        ({"squares": (1, 8)}, "--squares"),
        ({"line_width": (3.0, 2.0)}, "--line-width"),
        ({"line_width": (1.0, 41.0)}, "--line-width"),
        ({"hard": 1.5}, "--hard"),
        ({"colored": -0.1}, "--colored"),
    ],
)
def test_an_impossible_knob_is_named(knobs: dict[str, Any], named: str) -> None:
    with pytest.raises(SceneError, match=named):
        Options(**knobs)


def test_knobs_are_kept_to() -> None:
    options = Options(image_size=96, squares=(3, 3), line_width=(6.0, 6.0), colored=0.0)
    for i in range(20):
        scene = sample_scene(TASK, 0, "train", i, options, None)
        assert len(scene.squares) == 3 and scene.image_size == 96
        assert TASK.columns(scene)["thickness"] == 6.0 and scene.color == (0, 0, 0)


def test_the_widest_lines_fit_in_the_smallest_image() -> None:
    options = Options(image_size=28, squares=(7, 7), line_width=(40.0, 40.0))
    for i in range(20):
        scene = sample_scene(TASK, 0, "train", i, options, None)
        assert min(scene.gaps) > 0.12 and scene.squares[-1][2] - scene.line_width > 0.24


def test_what_a_reply_says() -> None:
    for reply, read in (("{3}", "3"), ("3", "3"), (" 3. ", "3"), ("There are 3.", None), ("", None)):
        assert TASK.answers.parse(reply) == read
    row = {"answer": "3"}
    named = {name: [n for n in "12345" if m.applies(row, f"{{{n}}}")] for name, m in TASK.mistakes.items()}
    assert named == {"one_more": ["4"], "one_less": ["2"], "many_more": ["5"], "many_less": ["1"]}
    assert TASK.base_rates["chance"].rate([row]) == 0.25  # the paper's
    assert TASK.base_rates["chance"].rate([row, {"answer": "7"}]) == pytest.approx(1 / 7)
    assert TASK.traits["squares"].group(row) == 3
