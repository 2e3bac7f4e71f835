"""Covering parts of an image, and what a model that sees (or not) makes of it."""

from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

import small_model
from letters import sample_scene
from unblind.errors import DatasetError
from unblind.evaluation.occlusion import VIEWS, cover, occlusion_check
from unblind.evaluation.run import occlusion
from unblind.tasks.circled_letter.draw import draw, letter_boxes
from unblind.tasks.circled_letter.task import TASK
from unblind.tasks.fonts import FontLibrary
from unblind.tasks.words import LETTERS, WordSource


@pytest.fixture(scope="module")
def rows(words: WordSource, fonts: FontLibrary) -> datasets.Dataset:
    made = []
    for i in range(6):
        scene = sample_scene(0, "test", i, words, fonts)
        image = Image.fromarray(draw(scene, fonts.get(scene.font.digest)))
        row = {"id": str(i), "image": image, "prompt": "Dark?", "answer": scene.letter}
        made.append(row | {"scene": TASK.to_json(scene)})
    return datasets.Dataset.from_list(made).cast_column("image", datasets.Image())


def test_what_is_covered(rows: datasets.Dataset, fonts: FontLibrary) -> None:
    from unblind.tasks.redraw import scene_of

    for row in rows:
        scene, font = scene_of(row, fonts)
        views = cover(row, fonts)
        assert (views["whole"] == np.asarray(row["image"])).all()
        red = {name: _red(image) for name, image in views.items()}
        assert red["whole"] == red["letter"] > 0
        assert red["ellipse"] == 0
        x0, y0, x1, y1 = letter_boxes(scene, font)[scene.index].round().astype(int)
        assert (views["whole"][y0:y1, x0:x1] < 128).all(-1).any()
        assert not (views["letter"][y0:y1, x0:x1] < 128).all(-1).any()
        assert (views["other"] != views["whole"]).any()


def _red(image: np.ndarray) -> int:
    return int(((image[..., 0] > 250) & (image[..., 1] < 5)).sum())


def test_a_model_that_sees_needs_the_ellipse_and_its_letter(
    rows: datasets.Dataset, fonts: FontLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in that answers right if there is red, with black inside its bounding box."""

    def seeing(loaded: object, batch: list[dict], prompt: str | None) -> torch.Tensor:
        shares = torch.full((len(batch), len(LETTERS)), 0.01)
        for share, row in zip(shares, batch, strict=True):
            image = np.asarray(row["image"])
            ys, xs = np.nonzero((image[..., 0] > 250) & (image[..., 1] < 5))
            inside = image[ys.min() : ys.max(), xs.min() : xs.max()] if len(ys) else image[:0]
            seen = (inside < 64).all(-1).sum() > 0.02 * inside[..., 0].size if inside.size else False
            share[LETTERS.index(row["answer"]) if seen else LETTERS.index("Q")] = 0.49
        return shares

    monkeypatch.setattr(occlusion, "letter_probabilities", seeing)
    found = occlusion_check(None, rows, library=fonts)
    assert found["n"] == 6
    assert found["whole"]["accuracy"]["value"] == 1
    assert found["ellipse"]["accuracy"]["value"] == 0
    assert found["ellipse"]["drop"] == pytest.approx(0.48)
    assert found["ellipse"]["changed"] == 1
    assert found["letter"]["drop"] > 0.2
    assert found["other"]["drop"] == pytest.approx(0)


def test_a_real_model(rows: datasets.Dataset, fonts: FontLibrary) -> None:
    few, many = (
        occlusion_check(small_model.loaded(), rows, batch_size=size, library=fonts) for size in (1, 32)
    )
    assert list(few) == ["n", *VIEWS]
    assert few["whole"]["drop"] == few["whole"]["changed"] == 0
    for name in VIEWS:
        assert few[name]["probability"] == pytest.approx(many[name]["probability"], abs=1e-5)


def test_without_scenes(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="needs the column 'scene'"):
        occlusion_check(small_model.loaded(), small_model.samples(2))


def test_answers_that_are_no_letters(rows: datasets.Dataset, fonts: FontLibrary) -> None:
    with pytest.raises(DatasetError, match="row 0: the answer 'word' is no letter"):
        occlusion_check(small_model.loaded(), rows.map(lambda _: {"answer": "word"}), library=fonts)
