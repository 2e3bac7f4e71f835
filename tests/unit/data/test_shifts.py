"""Shifted pictures: they look otherwise, and show the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unblind.data.dataset_options import DatasetOptions
from unblind.data.generation import generate
from unblind.data.mixture import mixture_of
from unblind.data.reading import read
from unblind.data.shifts import SHIFTS, shifted
from unblind.errors import RecipeError

SQUARE = np.full((64, 64, 3), 255, np.uint8)
SQUARE[20:44, 20:44] = (200, 0, 0)


@pytest.mark.parametrize("kind", SHIFTS)
def test_a_shift_changes_the_picture_and_leaves_what_it_shows(kind: str) -> None:
    for seed in range(10):
        image = shifted(np.random.default_rng(seed), SQUARE, [kind])
        assert image.dtype == np.uint8 and image.shape == SQUARE.shape
        assert not np.array_equal(image, SQUARE)
        red = image[..., 0].astype(int) - image[..., 1]
        assert red[26:38, 26:38].min() > 80 > np.abs(red[:10]).max()  # still there, still nothing outside
        assert np.array_equal(image, shifted(np.random.default_rng(seed), SQUARE, [kind]))


def test_nothing_is_cut_off_by_turning() -> None:
    frame = np.full((100, 100, 3), 255, np.uint8)
    frame[[2, 97], 2:98] = frame[2:98, [2, 97]] = 0
    for seed in range(20):
        dark = shifted(np.random.default_rng(seed), frame, ["rotation"]).min(axis=2) < 200
        assert not dark[[0, -1]].any() and not dark[:, [0, -1]].any()


def test_a_dataset_is_shifted_whole_and_keeps_its_answers(tmp_path: Path) -> None:
    told = {
        "task": ("two-circles", "grid"),
        "train": 4,
        "validation": 0,
        "test": 0,
        "knobs": ("image_size=64",),
    }
    plain = list(mixture_of(DatasetOptions(**told)).samples("train", 0, 4))
    options = DatasetOptions(**told, shift=("noise", "jpeg"))
    generate(tmp_path, options, workers=1)
    rows = read(tmp_path, "train")
    assert rows["answer"][:] == [row["answer"] for row in plain]
    assert rows["scene"][:] == [None] * 4
    for row, other in zip(rows, plain, strict=True):
        assert not np.array_equal(np.asarray(row["image"]), other["image"])
    again = list(mixture_of(options).samples("train", 2, 4))
    assert [
        np.array_equal(np.asarray(rows[2 + i]["image"]), row["image"]) for i, row in enumerate(again)
    ] == [True] * 2


def test_an_unknown_shift_is_refused() -> None:
    with pytest.raises(RecipeError, match="--shift nois: no such change; did you mean `noise`"):
        DatasetOptions(shift=("nois",))
