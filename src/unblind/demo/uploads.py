"""Uploaded pictures, and the same with one tile hidden each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unblind.data.images import decode_image
from unblind.tasks.controls import Box, Part, Picture

LARGEST = 896  # px; larger pictures are made smaller first
TILES = 6  # along each side
FLAT = 12  # grey levels; a tile with less contrast hides nothing


def uploaded(path: str, question: str) -> Picture:
    """A picture from a file, and tiles to hide in it. Raises DatasetError if it cannot be read."""
    image = decode_image(Path(path), "This file")
    image.thumbnail((LARGEST, LARGEST))
    pixels = np.asarray(image)
    cover = np.median(pixels.reshape(-1, 3), axis=0).astype(np.uint8)
    rows, columns = (np.linspace(0, side, TILES + 1).astype(int).tolist() for side in pixels.shape[:2])
    parts = []
    for y0, y1 in pairwise(rows):
        for x0, x1 in pairwise(columns):
            tile = pixels[y0:y1, x0:x1]
            if tile.size and np.abs(tile.astype(int) - cover).max() > FLAT:
                hidden = _covered(pixels, (y0, y1, x0, x1), cover)
                parts.append(Part(hidden, _share((x0, y0, x1, y1), pixels.shape)))
    note = "This is an animation: its first picture alone was read." if _moves(path) else ""
    return Picture(image, {"prompt": question}, parts=parts, each="tile", note=note)


def _moves(path: str) -> bool:
    with Image.open(path) as image:
        several = bool(getattr(image, "is_animated", False))
        return several and image.format not in ("MPO", "TIFF")  # views of a photo, pages


def _covered(
    pixels: NDArray[np.uint8], tile: tuple[int, int, int, int], cover: NDArray[np.uint8]
) -> Image.Image:
    y0, y1, x0, x1 = tile
    copy = pixels.copy()
    copy[y0:y1, x0:x1] = cover
    return Image.fromarray(copy)


def _share(box: tuple[int, int, int, int], shape: Sequence[int]) -> Box:
    (x0, y0, x1, y1), (height, width) = box, shape[:2]
    return x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height
