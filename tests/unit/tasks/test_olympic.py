"""Rings and pentagons: scenes, answers, twins, and the benchmark's real images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from real_images import Pixels, assert_alike, ink, real_rows
from unblind.errors import SceneError
from unblind.tasks.base import sample_scene
from unblind.tasks.canvas import BLACK
from unblind.tasks.olympic.circles import TASK as CIRCLES
from unblind.tasks.olympic.pentagons import TASK as PENTAGONS
from unblind.tasks.olympic.scene import SIZES, Options, Scene, corners, is_clear
from unblind.tasks.olympic.task import Olympic

FILES = {"olympic-circles": "circles", "olympic-pentagons": "pentagons"}
both = pytest.mark.parametrize("task", [CIRCLES, PENTAGONS], ids=lambda task: task.name)


def scenes(task: Olympic, number: int, **knobs: object) -> list[Scene]:
    options = Options(**knobs)  # type: ignore[arg-type]
    return [sample_scene(task, 0, "train", i, options, None) for i in range(number)]


@both
def test_as_many_are_drawn_as_the_answer_says(task: Olympic) -> None:
    """Lines far apart, each of a colour of its own: the colours in the picture are counted."""
    for scene in scenes(task, 20, image_size=512, line_width=(3.0, 4.0)):
        marks = tuple((20 * i, 255 - 20 * i, 128) for i in range(len(scene.colors)))
        pixels = task.draw(replace(scene, colors=marks, background=(255, 255, 255)), None)
        found = [mark for mark in marks if (pixels == mark).all(-1).sum() > 30]
        assert str(len(found)) == task.truth(scene)


@both
def test_all_answers_are_about_as_frequent_and_scenes_wider_than_the_benchmark(task: Olympic) -> None:
    found = scenes(task, 800)
    counts = Counter(map(task.truth, found))
    assert set(counts) == {str(count) for count in range(3, 13)}
    assert max(counts.values()) < 120
    about = [task.columns(scene) for scene in found]
    known = [task.columns(scene) for scene in task.benchmark_scenes(0, None)]
    for name in ("size", "line_width", "crowding"):
        ours, theirs = [a[name] for a in about], [a[name] for a in known]
        assert min(ours) < min(theirs) <= max(theirs) < max(ours)
    assert all(map(is_clear, found))
    assert set(counts) <= set(task.answers.choices or ())


@both
def test_nothing_is_cut_off(task: Olympic) -> None:
    for scene in scenes(task, 200):
        pixels = task.draw(scene, None)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert (border == scene.background).all()


def far(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """How far the place or the radius is that has no partner as near in the other scene, px of 224."""
    apart = np.abs(one[:, None] - other).max(-1)
    return 224 * max(float(apart.min(0).max()), float(apart.min(1).max()))


def numbers(scene: Scene) -> NDArray[np.float64]:
    return np.array(scene.outlines) / np.array([scene.width, scene.height, scene.width])


@both
def test_no_scene_is_near_the_benchmark(task: Olympic) -> None:
    """Of all its layouts: some outline lies, or measures, 2 px of 224 from all of theirs."""
    known = {scene.outlines: numbers(scene) for scene in task.benchmark_scenes(0, None)}.values()
    for scene in scenes(task, 150) + scenes(task, 150, count=(5, 9), turned=0.0, uneven=0.0):
        ours = numbers(scene)
        assert all(far(ours, theirs) >= 2 for theirs in known)


@both
def test_a_scene_of_the_benchmark_would_be_refused(task: Olympic) -> None:
    """Itself, and shifted by less than 2 px, in whatever order its outlines are drawn."""
    from unblind.tasks.olympic.scene import is_off_benchmark

    for scene in list(task.benchmark_scenes(0, None))[::5]:
        shifts = {by: tuple((x + by, y, r) for x, y, r in scene.outlines[::-1]) for by in (0.0, 1.0, 4.0)}
        refused = {
            by: not is_off_benchmark(
                replace(scene, width=224, height=224, outlines=scaled(o, scene)), task.known
            )
            for by, o in shifts.items()
        }
        unit = 224 / scene.width
        assert refused == {by: by * unit < 2 for by in shifts}


def scaled(outlines: tuple[tuple[float, float, float], ...], scene: Scene) -> tuple[tuple[float, ...], ...]:
    w, h = 224 / scene.width, 224 / scene.height
    return tuple((x * w, y * h, r * w) for x, y, r in outlines)


@both
def test_a_twin_lacks_one(task: Olympic) -> None:
    rng = np.random.default_rng(0)
    for scene in scenes(task, 100) + list(task.benchmark_scenes(0, None))[::9]:
        twin = task.contrast(rng, scene)
        assert twin is not None
        assert int(task.truth(twin)) == int(task.truth(scene)) - 1
        assert set(twin.outlines) < set(scene.outlines)
        assert task.split_of(twin) == task.split_of(scene)
        colors = dict(zip(scene.outlines, scene.colors, strict=True))
        assert all(colors[place] == color for place, color in zip(twin.outlines, twin.colors, strict=True))
        assert replace(twin, outlines=scene.outlines, colors=scene.colors) == scene
    assert task.contrast(rng, scenes(task, 1, count=(1, 1))[0]) is None


@both
def test_prompts_are_the_benchmark_s_and_get_their_format(task: Olympic) -> None:
    scene = scenes(task, 1)[0]
    count = str(len(scene.outlines))
    assert [task.ask(scene, name).reply for name in task.prompts] == [f"{{{count}}}", count, count]
    published = {row["prompt"] for row, _, _ in real_rows(FILES[task.name])}
    assert published <= {prompt.text for prompt in task.prompts.values()}


def test_miscounts_are_told_apart() -> None:
    def found(reply: str) -> list[str]:
        return [name for name, mistake in CIRCLES.mistakes.items() if mistake.applies({"answer": "7"}, reply)]

    assert [found(reply) for reply in ("8", "{6}", "12.", "3", "many")] == [
        ["one_more"],
        ["one_less"],
        ["many_more"],
        ["many_less"],
        [],
    ]


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"image_size": 5}, "--image-size 5: need 28 to 4096 px"),
        ({"count": (3, 40)}, "--count 3 40: need two numbers from 1 to 12, the smaller first"),
        ({"line_width": (0.0, 2.0)}, "--line-width"),
        ({"fill": (0.5, 2.0)}, "--fill"),
        ({"turned": 2.0}, "--turned"),
        ({"uneven": -1.0}, "--uneven"),
    ],
)
def test_an_impossible_knob_is_named(knobs: dict[str, object], message: str) -> None:
    with pytest.raises(SceneError) as error:
        Options(**knobs)  # type: ignore[arg-type]
    assert message in str(error.value) and "\n" not in str(error.value)


def test_rings_that_cannot_be_told_apart_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblind.tasks.base.TRIES", 5)
    options = Options(image_size=28, count=(12, 12), line_width=(10.0, 10.0), fill=(0.3, 0.5))
    with pytest.raises(SceneError, match="a smaller --count"):
        sample_scene(CIRCLES, 0, "train", 0, options, None)


@both
def test_the_benchmark_has_its_grid(task: Olympic) -> None:
    found = list(task.benchmark_scenes(0, None))
    assert len(found) == 240
    assert len(set(found)) == (240 if task is CIRCLES else 216)
    assert Counter(map(task.truth, found)) == {str(count): 48 for count in range(5, 10)}
    assert Counter((s.width, s.height) for s in found) == {size[:2]: 80 for size in SIZES}
    kinds = Counter((a["line_width"], a["colours"]) for a in map(task.columns, found))
    assert kinds == {(width, colours): 60 for width in (0.5, 1.0) for colours in ("black", "colored")}


@both
def test_every_real_image_is_drawn_again_and_counted(task: Olympic) -> None:
    """Each is one of our benchmark scenes of its line width, size and colours: which one, the pixels tell."""
    at_hand: dict[tuple[object, ...], list[tuple[Scene, NDArray[np.int16]]]] = {}
    for scene in set(task.benchmark_scenes(0, None)):
        if scene.width == 384:
            drawn = task.draw(scene, None).astype(np.int16)
            at_hand.setdefault(kind(task.columns(scene)), []).append((scene, drawn))
    answers: dict[bytes, str] = {}
    for row, about, image in real_rows(FILES[task.name]):
        data = row["image"]["bytes"]
        if data not in answers:
            real = image.astype(np.int16)
            candidates = at_hand[kind(task.benchmark_columns(about))]
            scene, drawn = min(candidates, key=lambda pair: int(np.abs(pair[1] - real).sum()))
            assert_alike(drawn.astype(np.uint8), image, ink(image))
            answers[data] = task.truth(scene)
        assert answers[data] == row["groundtruth"]
    assert len(answers) == (80 if task is CIRCLES else 72)


def kind(columns: Mapping[str, Any]) -> tuple[object, ...]:
    return columns["line_width"], round(columns["size"], 4), columns["colours"]


def test_a_pentagon_is_pillow_s() -> None:
    """The outline lies where another library draws it, turned or not."""
    for turn in (0.0, 0.7):
        scene = Scene(100, 100, ((50.0, 52.0, 40.0),), (BLACK,), 3.0, turn)
        other = Image.new("L", (400, 400), 255)
        points = [(4 * x, 4 * y) for x, y in corners(scene.outlines[0], turn)]
        ImageDraw.Draw(other).line([*points, *points[:2]], fill=0, width=12, joint="curve")
        wanted: Pixels = np.asarray(other.resize((100, 100), Image.Resampling.BOX), np.float64)
        assert np.abs(PENTAGONS.draw(scene, None)[..., 0] - wanted).mean() < 0.02 * (255 - wanted).sum() / 100
