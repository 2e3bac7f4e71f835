"""Covering parts of an image, and what a model that sees (or not) makes of it."""

from collections.abc import Sequence

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

import small_model
from letters import sample_scene
from unblind.errors import DatasetError, RecipeError
from unblind.evaluation import occlusion
from unblind.evaluation.occlusion import occlusion_check
from unblind.evaluation.questions import Question
from unblind.evaluation.views import all_views, views_of
from unblind.tasks.circled_letter.draw import letter_boxes
from unblind.tasks.circled_letter.scene import Scene
from unblind.tasks.circled_letter.task import TASK
from unblind.tasks.fonts import FontLibrary
from unblind.tasks.words import LETTERS, WordSource, load_words


@pytest.fixture(scope="module")
def rows(words: WordSource, fonts: FontLibrary) -> datasets.Dataset:
    scenes = [sample_scene(0, "test", i, words, fonts) for i in range(6)]
    return dataset(scenes)


def dataset(scenes: Sequence[Scene]) -> datasets.Dataset:
    resources = TASK.known_resources()
    made = []
    for i, scene in enumerate(scenes):
        row = {"id": str(i), "image": Image.fromarray(TASK.draw(scene, resources)), "prompt": "Dark?"}
        made.append(row | {"answer": scene.letter, "scene": TASK.to_json(scene)})
    return datasets.Dataset.from_list(made).cast_column("image", datasets.Image())


def test_what_is_covered(rows: datasets.Dataset, fonts: FontLibrary) -> None:
    for row in rows:
        scene = TASK.from_json(row["scene"])
        drawn = all_views(row, TASK)
        assert tuple(drawn) == views_of(TASK) == ("whole", "ellipse", "letter", "other")
        views = {name: np.asarray(image) for name, image in drawn.items()}
        assert (views["whole"] == np.asarray(row["image"])).all()
        red = {name: _red(image) for name, image in views.items()}
        assert red["whole"] == pytest.approx(red["letter"], rel=0.1)  # the ring's edge blends with the letter
        assert red["whole"] > 0
        assert red["ellipse"] == 0
        boxes = letter_boxes(scene, fonts.get(scene.font.digest))
        x0, y0, x1, y1 = boxes[scene.index].round().astype(int)
        assert (views["whole"][y0:y1, x0:x1] < 128).all(-1).any()
        assert not (views["letter"][y0:y1, x0:x1] < 128).all(-1).any()
        assert (views["other"] != views["whole"]).any()


def _red(image: np.ndarray) -> int:
    return int(((image[..., 0] > 250) & (image[..., 1] < 5)).sum())


def test_a_model_that_sees_needs_the_ellipse_and_its_letter(
    rows: datasets.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in that answers right if there is red, with black inside its bounding box."""

    def seeing(loaded: object, images: list[np.ndarray], asked: Sequence[Question]) -> list[torch.Tensor]:
        shares = torch.full((len(images), len(LETTERS)), 0.01)
        for share, image, question in zip(shares, images, asked, strict=True):
            ys, xs = np.nonzero((image[..., 0] > 250) & (image[..., 1] < 5))
            inside = image[ys.min() : ys.max(), xs.min() : xs.max()] if len(ys) else image[:0]
            seen = (inside < 64).all(-1).sum() > 0.02 * inside[..., 0].size if inside.size else False
            share[LETTERS.index(question.answer) if seen else LETTERS.index("Q")] = 0.49
        return list(shares)

    images = lambda loaded, rows, asked: [np.asarray(row["image"]) for row in rows]  # noqa: E731
    monkeypatch.setattr(occlusion, "collate", images)
    monkeypatch.setattr(occlusion, "prefill", lambda loaded, images: images)
    monkeypatch.setattr(occlusion, "choice_shares", seeing)
    found = occlusion_check(None, rows)
    assert found["n"] == 6
    assert found["whole"]["accuracy"]["value"] == 1
    assert found["ellipse"]["accuracy"]["value"] == 0
    assert found["ellipse"]["drop"] == pytest.approx(0.48)
    assert found["ellipse"]["changed"] == 1
    assert found["letter"]["drop"] > 0.2
    assert found["other"]["drop"] == pytest.approx(0)


def test_a_real_model(rows: datasets.Dataset) -> None:
    few, many = (occlusion_check(small_model.loaded(), rows, batch_size=size) for size in (1, 32))
    assert list(few) == ["n", *views_of(TASK)]
    assert few["whole"]["drop"] == few["whole"]["changed"] == 0
    for name in views_of(TASK):
        assert few[name]["probability"] == pytest.approx(many[name]["probability"], abs=1e-5)


def test_a_word_of_one_letter_has_no_other_to_cover(fonts: FontLibrary) -> None:
    class OneLetter(WordSource):
        def sample(self, rng: np.random.Generator, split: str) -> str:
            return "k"

    short = sample_scene(0, "test", 0, OneLetter(), fonts)
    long = sample_scene(0, "test", 0, load_words(), fonts)
    assert all_views({"scene": TASK.to_json(short)}, TASK) is None
    assert occlusion_check(small_model.loaded(), dataset([short, long]))["n"] == 1
    with pytest.raises(DatasetError, match="no sample of circled-letter has all of ellipse, letter, other"):
        occlusion_check(small_model.loaded(), dataset([short]))


def test_without_scenes() -> None:
    with pytest.raises(DatasetError, match="needs the column 'scene'"):
        occlusion_check(small_model.loaded(), small_model.samples(2))


def test_a_task_without_parts_is_refused_by_name(rows: datasets.Dataset) -> None:
    with pytest.raises(RecipeError, match="--occlusion: the task my-own has no parts"):
        occlusion_check(small_model.loaded(), rows.map(lambda _: {"task": "my-own"}))


def test_answers_that_are_no_letters(rows: datasets.Dataset) -> None:
    words = rows.map(lambda _: {"answer": "word", "task": "circled-letter"})
    with pytest.raises(DatasetError, match="row 0: the answer 'word' is none of the letters of circled"):
        occlusion_check(small_model.loaded(), words)
