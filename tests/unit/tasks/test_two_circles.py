"""Two circles: scenes, both truths, twins, and the benchmark's real images."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from real_images import assert_alike, edges, real_rows
from unblind.errors import SceneError
from unblind.tasks.base import sample_scene
from unblind.tasks.two_circles.scene import SIZES, VISIBLE, Options, Scene, benchmark_scene, is_whole
from unblind.tasks.two_circles.task import TASK

WHITE = (255, 255, 255)


def scenes(count: int = 300, **knobs: object) -> list[Scene]:
    options = Options(**knobs)  # type: ignore[arg-type]
    return [sample_scene(TASK, 0, "train", i, options, None) for i in range(count)]


def is_joined(scene: Scene) -> tuple[bool, bool]:
    """Counted in pixels of an image 8 times as large: do the discs share one, or lie beside each other?"""
    y, x = (np.mgrid[: 8 * scene.height, : 8 * scene.width] + 0.5) / 8
    one, two = ((x - cx) ** 2 + (y - cy) ** 2 <= r * r for cx, cy, r in (scene.first, scene.second))
    wide = one.copy()
    for axis in (0, 1):
        for by in (-1, 1):
            wide |= np.roll(one, by, axis)
    return bool((wide & two).any()), bool((one & two).any())


def test_answers_are_what_pixels_say() -> None:
    """Of pairs that do not just touch; those have both answers, whatever rounding does to their pixels."""
    for scene in scenes(40, image_size=96):
        if scene.gap:
            assert is_joined(scene) == (TASK.truth(scene) == "Yes", TASK.truth(scene, "overlapping") == "Yes")
        else:
            assert (TASK.truth(scene), TASK.truth(scene, "overlapping")) == ("Yes", "No")


def test_answers_are_balanced_and_scenes_wider_than_the_benchmark() -> None:
    found = scenes(1000)
    for which in ("touching", "overlapping"):
        assert 0.4 < np.mean([TASK.truth(scene, which) == "Yes" for scene in found]) < 0.6
    about = [TASK.columns(scene) for scene in found]
    assert min(a["diameter"] for a in about) < 0.14 and max(a["diameter"] for a in about) > 0.3
    assert min(a["ratio"] for a in about) == 1 and max(a["ratio"] for a in about) > 2
    assert 0.05 < np.mean([a["gap"] == 0 for a in about]) < 0.15
    assert min(a["gap"] for a in about) < -0.4 and max(a["gap"] for a in about) > 0.5
    assert 0.3 < np.mean([0 < abs(scene.gap) < 0.03 * 224 for scene in found]) < 0.7
    assert all(scene.gap == 0 or abs(scene.gap) >= VISIBLE - 1e-9 for scene in found)
    assert all(map(is_whole, found))


def test_no_scene_is_near_the_benchmark() -> None:
    """Of all 672, whichever circle is the first: some centre or radius differs by 2 px of 224 or more."""
    pairs = [pair for s in TASK.benchmark_scenes(0, None) for pair in (s, swapped(s))]
    known = np.array([numbers(pair) for pair in pairs])
    # as the sampler could: pairs in the middle, of one size, along an axis or a diagonal
    like_it = scenes(300, radius=(0.0714, 0.125), ratio=1.0, gap=0.5, hard=0.0)
    nearest = [np.abs(known - numbers(scene)).max(-1).min() for scene in scenes(700) + like_it]
    assert min(nearest) >= 2
    assert min(nearest) < 3  # the bound is reached


def numbers(scene: Scene) -> np.ndarray:
    """Centres and radii at 224 px."""
    sizes = np.array([scene.width, scene.height, scene.width])
    return (np.array([scene.first, scene.second]) * 224 / sizes).ravel()


def swapped(scene: Scene) -> Scene:
    return replace(scene, first=scene.second, second=scene.first)


def test_a_twin_has_another_answer_and_one_circle_moved() -> None:
    rng = np.random.default_rng(0)
    found = 0
    for scene in scenes(200) + list(TASK.benchmark_scenes(0, None))[::7]:
        for which in ("touching", "overlapping"):
            twin = TASK.contrast(rng, scene, which)
            if twin is None:
                continue
            found += 1
            assert TASK.truth(twin, which) != TASK.truth(scene, which)
            assert twin.second != scene.second and twin.second[2] == scene.second[2]
            assert replace(twin, second=scene.second) == scene
            assert TASK.split_of(twin) == TASK.split_of(scene)
            assert abs(twin.gap) >= VISIBLE
    assert found > 0.95 * 2 * (200 + 96)


def test_prompts_ask_for_two_truths() -> None:
    touching = next(scene for scene in scenes() if scene.gap == 0)
    assert TASK.ask(touching, "touching").reply == "Yes"
    assert TASK.ask(touching, "overlapping").reply == "No"
    row = {"prompt": TASK.prompts["touching"].text, "answer": "Yes", "scene": TASK.to_json(touching)}
    assert TASK.ask_again(row, "overlapping").answer == "No"
    published = {row["prompt"] for row, _, _ in real_rows("touching")}
    assert published <= {prompt.text for prompt in TASK.prompts.values()}


def test_mistakes_know_the_gap() -> None:
    apart, touching, over = ({"gap": gap, "answer": "-"} for gap in (0.1, 0.0, -0.1))

    def found(row: dict[str, object], reply: str) -> set[str]:
        return {name for name, mistake in TASK.mistakes.items() if mistake.applies(row, reply)}

    assert found(apart, "Yes.") == {"unseen_gap"}
    assert found(over, "{no}") == {"unseen_overlap"}
    assert found(touching, "Yes") == found(touching, "No") == {"touching_taken"}
    assert found({"gap": None, "answer": "-"}, "Yes") == set()


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"image_size": 5000}, "--image-size 5000: need 28 to 4096 px"),
        ({"radius": (0.3, 0.1)}, "--radius 0.3 0.1: need two numbers"),
        ({"ratio": 0.5}, "--ratio 0.5: need a number from 1 to 4"),
        ({"gap": 9.0}, "--gap 9.0: need a number from 0.1 to 4"),
        ({"touching": -0.1}, "--touching"),
        ({"hard": 1.5}, "--hard"),
    ],
)
def test_an_impossible_knob_is_named(knobs: dict[str, object], message: str) -> None:
    with pytest.raises(SceneError) as error:
        Options(**knobs)  # type: ignore[arg-type]
    assert message in str(error.value) and "\n" not in str(error.value)


def test_circles_that_cannot_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblind.tasks.base.TRIES", 20)
    with pytest.raises(SceneError, match="a smaller --radius"):
        sample_scene(TASK, 0, "train", 0, Options(radius=(0.4, 0.4), ratio=1.0, touching=1.0), None)


def test_the_benchmark_has_its_grid() -> None:
    found = list(TASK.benchmark_scenes(0, None))
    assert len(found) == len({TASK.to_json(scene) for scene in found}) == 672
    assert Counter((s.width, s.height) for s in found) == {size[:2]: 224 for size in SIZES}
    assert Counter(map(TASK.truth, found)) == {"Yes": 192, "No": 480}
    assert Counter(TASK.truth(scene, "overlapping") for scene in found) == {"Yes": 144, "No": 528}


@pytest.mark.slow
def test_every_real_image_is_drawn_again_and_answered() -> None:
    """Within 3 px of the circles' edges; each image is one of our benchmark scenes."""
    drawn = set()
    known = set(TASK.benchmark_scenes(0, None))
    for row, about, image in real_rows("touching"):
        fraction = {0.14: 7, 0.17: 6, 0.2: 5, 0.25: 4}[about["diameter"]]
        scene = benchmark_scene(SIZES[0], fraction, about["rotation"], about["distance"])
        assert scene in known
        assert TASK.ask(scene, row["prompt"]).answer == row["groundtruth"]
        columns, told = TASK.columns(scene), TASK.benchmark_columns(about)
        assert all(columns[name] == pytest.approx(value, abs=0.005) for name, value in told.items())
        if scene not in drawn:
            assert_alike(TASK.draw(scene, None), image, edges(image))
            drawn.add(scene)
    assert len(drawn) == 224
