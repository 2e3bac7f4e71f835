"""What holds for every scene and every drawing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from letters import sample_scene
from unblind.errors import SceneError
from unblind.tasks.circled_letter.draw import draw, letter_boxes
from unblind.tasks.circled_letter.notebook import grid_scenes
from unblind.tasks.circled_letter.scene import Scene, SceneOptions, lay_out
from unblind.tasks.circled_letter.task import TASK
from unblind.tasks.fonts import FontLibrary
from unblind.tasks.glyphs import draw_letters, measure_word
from unblind.tasks.splits import SPLITS, Split
from unblind.tasks.words import WordSource, load_words, split_of

OPTIONS = [
    SceneOptions(),
    SceneOptions(image_size=512, case="random"),
    SceneOptions(image_size=96, case="upper", padding=(25, 50)),
    SceneOptions(text_color="random", background="random", ellipse_color="random", jitter=0.1),
]
scenes = st.tuples(
    st.integers(0, 2**32), st.sampled_from(SPLITS), st.integers(0, 10**6), st.sampled_from(OPTIONS)
)
Choice = tuple[int, Split, int, SceneOptions]
relaxed = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def sample(choice: Choice, words: WordSource, fonts: FontLibrary) -> Scene:
    seed, split, index, options = choice
    return sample_scene(seed, split, index, words, fonts, options)


@given(scenes)
@relaxed
def test_the_ellipse_holds_the_circled_ink_centre_and_no_other(
    words: WordSource, fonts: FontLibrary, choice: Choice
) -> None:
    scene = sample(choice, words, fonts)
    boxes = letter_boxes(scene, fonts.get(scene.font.digest)).astype(float)
    inside = scene.ellipse.contains((boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
    assert np.flatnonzero(inside).tolist() == [scene.index]
    assert not scene.ambiguous


@given(scenes)
@relaxed
def test_nothing_touches_the_border(words: WordSource, fonts: FontLibrary, choice: Choice) -> None:
    scene = sample(choice, words, fonts)
    image = draw(scene, fonts.get(scene.font.digest))
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert (border == scene.background).all()


@given(scenes)
@relaxed
def test_the_same_scene_gives_the_same_bytes(words: WordSource, fonts: FontLibrary, choice: Choice) -> None:
    scene = sample(choice, words, fonts)
    again = TASK.from_json(TASK.to_json(scene))
    assert again == scene == sample(choice, words, fonts)
    font = fonts.get(scene.font.digest)
    assert draw(scene, font).tobytes() == draw(again, font).tobytes()


@given(scenes)
@relaxed
def test_word_and_font_are_of_the_split(words: WordSource, fonts: FontLibrary, choice: Choice) -> None:
    scene = sample(choice, words, fonts)
    assert split_of(scene.word) == choice[1]
    assert scene.font.family in {font.family for font in fonts.of_split(choice[1])}


@given(scenes)
@relaxed
def test_the_boxes_hold_each_letters_pixels(words: WordSource, fonts: FontLibrary, choice: Choice) -> None:
    scene = sample(choice, words, fonts)
    font = fonts.get(scene.font.digest)
    place = measure_word(font.path, scene.word)
    for letter, pen, (x0, y0, x1, y1) in zip(scene.word, place.pens, letter_boxes(scene, font), strict=True):
        mask = np.zeros((scene.image_size, scene.image_size), np.uint8)
        pens = np.array([pen * scene.font_size + scene.x])
        draw_letters(mask, font.path, scene.font_size, letter, pens, scene.baseline)
        rows, columns = np.nonzero(mask > 8)
        # 1/64 px of rounding of pen and size, and a pixel counts from its near edge to its far one
        assert x0 - 1.1 <= columns.min() <= x0 + 1.1 and x1 - 1.1 <= columns.max() + 1 <= x1 + 1.1
        assert y0 - 1.1 <= rows.min() <= y0 + 1.1 and y1 - 1.1 <= rows.max() + 1 <= y1 + 1.1


def test_a_sample_does_not_depend_on_its_neighbours(words: WordSource, fonts: FontLibrary) -> None:
    drawn = [sample_scene(7, "train", i, words, fonts) for i in range(20)]
    assert [sample_scene(7, "train", i, words, fonts) for i in (13, 2)] == [drawn[13], drawn[2]]
    assert len({TASK.to_json(scene) for scene in drawn}) == 20


def test_edges_are_antialiased(words: WordSource, fonts: FontLibrary) -> None:
    scene = sample_scene(0, "test", 0, words, fonts)
    image = draw(scene, fonts.get(scene.font.digest))
    levels = {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()}
    greys = {red for red, green, blue in levels if red == green == blue}
    pinks = {green for red, green, blue in levels if red == 255 and green == blue}
    assert len(greys) > 50 and len(pinks) > 30


def test_the_ellipse_agrees_with_a_supersampled_one(fonts: FontLibrary) -> None:
    font = fonts.of_split("train")[0]
    scene = lay_out("w", 0, font, image_size=224, padding=200, ellipse_scale=1.4, line_width=6)
    assert scene is not None
    blank = replace(scene, text_color=(255, 255, 255))
    ours = 255 - draw(blank, font)[..., 1].astype(float)
    factor, e = 8, scene.ellipse
    y, x = np.mgrid[: 224 * factor, : 224 * factor] / factor + 0.5 / factor
    outer = ((x - e.x) * 2 / (e.width + e.line_width)) ** 2 + (
        (y - e.y) * 2 / (e.height + e.line_width)
    ) ** 2 < 1
    inner = ((x - e.x) * 2 / (e.width - e.line_width)) ** 2 + (
        (y - e.y) * 2 / (e.height - e.line_width)
    ) ** 2 < 1
    exact = (outer & ~inner).reshape(224, factor, 224, factor).mean(axis=(1, 3)) * 255
    assert np.abs(ours - exact).mean() < 0.05
    assert np.abs(ours - exact).max() < 40  # of 255, at single edge pixels
    assert abs(ours.sum() / exact.sum() - 1) < 0.03  # offset axes are not quite the stroke's edge


def test_the_notebooks_grid(fonts: FontLibrary) -> None:
    chosen = fonts.of_split("test")[:2]
    grid = list(grid_scenes(["Hello", "zip"], chosen))
    assert len(grid) == (5 + 3) * 2 * 4 * 3
    assert {scene.image_size for scene in grid} == {512}
    assert {(scene.padding, scene.line_width) for scene in grid} == {
        (p, w) for p in (25, 50, 100, 200) for w in (4, 5, 6)
    }
    assert {scene.letter for scene in grid} == set("Helozip")
    first = grid[0]
    measures = measure_word(chosen[0].path, "Hello")
    assert first.ellipse.width == pytest.approx(1.4 * measures.advances[0] * first.font_size)
    assert first.ellipse.line_width == pytest.approx(4 * 512 / 720)


def test_a_grid_scene_whose_ellipse_holds_two_centres_is_flagged(fonts: FontLibrary) -> None:
    grid = grid_scenes(["wiliwil"], fonts.of_split("train"))
    assert any(scene.ambiguous for scene in grid)


@pytest.mark.parametrize(
    ("knobs", "flag"),
    [
        ({"image_size": 5}, "--image-size"),
        ({"padding": (50.0, 20.0)}, "--padding"),
        ({"ellipse_scale": (0.1, 0.2)}, "--ellipse-scale"),
        ({"line_width": (-1.0, 2.0)}, "--line-width"),
        ({"jitter": 0.9}, "--jitter"),
        ({"text_color": "blurple"}, "--text-color"),
        ({"case": "camel"}, "--case"),
    ],
)
def test_an_impossible_knob_is_named(knobs: dict[str, object], flag: str) -> None:
    with pytest.raises(SceneError, match=flag):
        SceneOptions(**knobs)  # type: ignore[arg-type]


def test_a_scene_that_cannot_fit_is_refused(fonts: FontLibrary) -> None:
    words = load_words("random", min_length=4, max_length=4)
    options = SceneOptions(padding=(0, 0), ellipse_scale=(4, 4))
    with pytest.raises(SceneError, match="--padding"):
        sample_scene(0, "train", 0, words, fonts, options)


def test_text_that_is_no_scene_is_refused() -> None:
    for text in ("", "{}", "[1]", '{"word": "x"}', "null"):
        with pytest.raises(SceneError, match="not a scene"):
            TASK.from_json(text)


def test_a_golden_image(fonts: FontLibrary, words: WordSource) -> None:
    """A coarse picture of one sample: if it changes, so do all datasets and the base's training data."""
    scene = sample_scene(0, "test", 5, words, fonts)
    image = (
        Image.fromarray(draw(scene, fonts.get(scene.font.digest)))
        .convert("L")
        .resize((8, 8), Image.Resampling.BOX)
    )
    assert (scene.word, scene.letter, scene.font.family) == GOLDEN_SCENE
    assert np.abs(np.asarray(image).astype(int) - np.array(GOLDEN_PIXELS)).max() <= 2


GOLDEN_SCENE = ("smithereens", "s", "Red Hat Display")
GOLDEN_PIXELS = [
    [255, 255, 255, 255, 255, 255, 255, 255],
    [255, 255, 255, 255, 255, 255, 255, 255],
    [255, 255, 255, 255, 255, 255, 255, 255],
    [255, 246, 246, 246, 251, 253, 251, 255],
    [255, 211, 210, 214, 213, 209, 221, 255],
    [255, 255, 255, 255, 255, 255, 255, 255],
    [255, 255, 255, 255, 255, 255, 255, 255],
    [255, 255, 255, 255, 255, 255, 255, 255],
]
