"""The pictures of the page: a typed word, drawn; an uploaded file, read; and both with parts hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unblind.data.images import decode_image
from unblind.errors import DemoError
from unblind.tasks.circled_letter.draw import draw, letter_boxes
from unblind.tasks.circled_letter.redraw import without_letter
from unblind.tasks.circled_letter.scene import Scene, lay_out
from unblind.tasks.fonts import Font
from unblind.tasks.glyphs import measure_word
from unblind.tasks.words import LETTERS

EM = 96.0  # the unit of padding, as `lay_out` takes it, is 1/96 em
LONGEST = 20  # letters; the benchmark's longest word
SHOWN = 896  # px, of the picture on the page; the model gets its own size
TILES = 6  # along each side of an uploaded picture
FLAT = 12  # grey levels; a tile with less contrast hides nothing
COLOURS = {
    "red": (255, 0, 0),
    "orange": (240, 120, 0),
    "green": (0, 140, 60),
    "blue": (30, 90, 230),
    "purple": (140, 40, 190),
    "black": (0, 0, 0),
}
_drawing = Lock()  # FreeType's faces serve one thread at a time

Box = tuple[float, float, float, float]  # x, y, width, height, as shares of the picture


@dataclass(frozen=True)
class Picture:
    """What is asked about, and the same with one part hidden each: `boxes` says where."""

    image: Image.Image
    word: str
    hidden: list[Image.Image]
    boxes: list[Box]
    labels: list[str]  # of what is hidden; "" for a tile
    ring: Box | None = None  # where the first hidden part is the ring
    note: str = ""  # what a person should know of it


@dataclass(frozen=True)
class Drawing:
    """A word as it was asked for."""

    word: str
    index: int  # of the circled letter
    font: Font
    share: float  # of the picture's width, that the word takes
    line_width: float  # points, as `Scene` has it
    colour: str  # one of COLOURS

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn. Raises DemoError, in words for the page."""
        if not self.word:
            raise DemoError("Type a word.")
        odd = sorted(set(self.word) - set(LETTERS), key=self.word.index)
        if odd:
            found = ", ".join("a space" if c.isspace() else f"“{c}”" for c in odd[:5])
            raise DemoError(f"Only the letters A–Z and a–z can be drawn and read; take out {found}.")
        if len(self.word) > LONGEST:
            raise DemoError(f"{len(self.word)} letters would be too small to read; {LONGEST} are the most.")

    def scene(self, image_size: int) -> Scene:
        """The word as large as wanted, or as fits with its ring."""
        for share in np.arange(self.share, 0.02, -0.02).tolist():
            found = self._scene(image_size, share)
            if found is not None:
                return replace(found, ellipse_color=COLOURS[self.colour])
        raise DemoError(f"“{self.word}” does not fit into the picture; choose a thinner line.")

    def _scene(self, image_size: int, share: float) -> Scene | None:
        width = EM * measure_word(self.font.path, self.word).width
        return lay_out(
            self.word,
            self.index,
            self.font,
            image_size=image_size,
            padding=width * (1 / share - 1) / 2,
            ellipse_scale=1.4,
            line_width=self.line_width,
        )

    def shown(self) -> tuple[NDArray[np.uint8], list[Box]]:
        """The picture for the page, (SHOWN, SHOWN, 3) uint8, and the letters' boxes in it."""
        with _drawing:
            scene = self.scene(SHOWN)
            return draw(scene, self.font), _boxes(scene, self.font)

    def asked(self, image_size: int) -> Picture:
        """The picture for the model, and what can be hidden in it: the ring, and each letter."""
        with _drawing:
            scene = self.scene(image_size)
            letters = [without_letter(scene, self.font, i) for i in range(len(self.word))]
            bare = draw(scene, self.font, circled=False)
            whole, boxes = draw(scene, self.font), _boxes(scene, self.font)
        e, n = scene.ellipse, image_size
        ring = ((e.x - e.width / 2) / n, (e.y - e.height / 2) / n, e.width / n, e.height / n)
        hidden = [Image.fromarray(image) for image in (bare, *letters)]
        note = "The ring holds the middle of another letter too: hard to tell for anyone." * scene.ambiguous
        labels = ["the ring", *(f"“{letter}”" for letter in self.word)]
        return Picture(Image.fromarray(whole), self.word, hidden, [ring, *boxes], labels, ring, note)


def _boxes(scene: Scene, font: Font) -> list[Box]:
    shares = letter_boxes(scene, font) / scene.image_size
    return [(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in shares.tolist()]


def uploaded(path: str) -> Picture:
    """A picture from a file, and tiles to hide in it. Raises DatasetError if it cannot be read."""
    image = decode_image(Path(path), "This file")
    image.thumbnail((SHOWN, SHOWN))
    pixels = np.asarray(image)
    cover = np.median(pixels.reshape(-1, 3), axis=0).astype(np.uint8)
    rows, columns = (np.linspace(0, side, TILES + 1).astype(int).tolist() for side in pixels.shape[:2])
    hidden, boxes = [], []
    for y0, y1 in pairwise(rows):
        for x0, x1 in pairwise(columns):
            tile = pixels[y0:y1, x0:x1]
            if tile.size and np.abs(tile.astype(int) - cover).max() > FLAT:
                hidden.append(_covered(pixels, (y0, y1, x0, x1), cover))
                boxes.append(_share((x0, y0, x1, y1), pixels.shape))
    note = "This is an animation: its first picture alone was read." * _moves(path)
    return Picture(image, "", hidden, boxes, [""] * len(boxes), note=note)


def _moves(path: str) -> bool:
    with Image.open(path) as image:
        return bool(getattr(image, "is_animated", False))


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
