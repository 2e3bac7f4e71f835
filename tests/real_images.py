"""The benchmark's real images beside the repository, and how drawings are held to them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

FOLDER = Path(__file__).parents[2] / "shared" / "blindtest"
Pixels = NDArray[np.float64]


def real_rows(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], Pixels]]:
    """The rows of a file, each with its metadata and its image as (height, width, 3) floats.

    Skips the test if the folder is not there.
    """
    path = FOLDER / f"{name}.parquet"
    if not path.is_file():
        pytest.skip("the benchmark's images are not beside the repository (../shared/blindtest)")
    for row in pq.read_table(path).to_pylist():
        yield row, json.loads(row["metadata"]), decoded(row["image"]["bytes"])


@lru_cache(maxsize=2)  # rows that ask about the same image follow each other
def decoded(data: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64)


def around(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask widened by 3 px."""
    image = Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.MaxFilter(7))
    return np.asarray(image) > 0


def ink(image: Pixels) -> NDArray[np.bool_]:
    """The ink on white paper, widened by 3 px."""
    return around(image.min(-1) < 200)


def edges(image: Pixels) -> NDArray[np.bool_]:
    """What lies within 3 px of where colours meet: filled shapes are compared there alone."""
    sides = np.zeros(image.shape[:2], np.bool_)
    sides[:, 1:] |= np.abs(np.diff(image, axis=1)).max(-1) > 60
    sides[1:] |= np.abs(np.diff(image, axis=0)).max(-1) > 60
    return around(sides)


def difference(drawn: NDArray[np.uint8], real: Pixels, where: NDArray[np.bool_]) -> float:
    """The share of a blank image's difference."""
    there = real[where]
    return float(np.abs(drawn[where] - there).sum() / (255 - there).sum())


def assert_alike(drawn: NDArray[np.uint8], real: Pixels, where: NDArray[np.bool_]) -> float:
    """Ours differs by a fifth of a blank image's difference at most; ours shifted by 3 px does not pass."""
    assert drawn.shape == real.shape
    found = difference(drawn, real, where)
    assert found <= 0.2
    assert difference(np.full_like(drawn, 255), real, where) > 0.2
    assert all(difference(np.roll(drawn, by, axis), real, where) > 0.2 for by in (-3, 3) for axis in (0, 1))
    return found
