"""What the tiny base learns from: printed strings, some with an ellipse, and what stands where in them.

A lesson depends on (seed, number) alone. Only words and font families of the training split occur, and the
question which letter is circled never does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import IterableDataset

from unblind.tasks.circled_letter.draw import draw, letter_boxes
from unblind.tasks.circled_letter.scene import Scene, SceneOptions, sample_with_font
from unblind.tasks.circled_letter.task import READ
from unblind.tasks.fonts import Font
from unblind.tasks.words import LETTERS, RandomStrings, load_words
from unblind.tiny.build import GRID, IMAGE_SIZE, PATCH, VOCABULARY

SLOTS = 2 * GRID  # a row of patches is read in half patches: narrow letters share a patch
BLANK, MAX_LENGTH = 0, 20
IGNORE = -100
_READ_PROMPTS = (READ, READ, "Spell the word.")

# Lessons keep only the middle rows of patches that hold the text: (rows, share of the lessons, most letters).
# The taller ones get shorter strings, or else large letters would be too rare to be learnt.
_WINDOWS = ((4, 0.30, MAX_LENGTH), (6, 0.30, MAX_LENGTH), (8, 0.22, 12), (GRID, 0.18, 7))
_LINE_WIDTH = (3.0, 10.0)  # thicker ones too than datasets have as a rule
THIN = re.compile("thin|hairline|light", re.IGNORECASE)
_THIN_SHARE = 0.2  # of the images; few families have such styles, and they are the hardest to read
_NEIGHBOURS_SHARE = 0.2  # of the others


@dataclass(frozen=True)
class Lesson:
    """A batch: the pixels of the middle rows of patches, and what is in them.

    Attributes:
        pixels: (batch, 3, rows * 14, 224) uint8.
        letters: (batch, rows, 32) int64: 0 blank, 1-52 the letter whose middle lies in the half patch,
            -100 where two do.
        circled: (batch, rows, 32) float32: 1 for the circled letter, NaN where no letter is.
        places: (batch, rows, 32) int64: the letter's index in the word, -100 where no letter is.
        ids: (batch, length) int64: <image>... <bos> question newline answer <eos> <pad>...
        answer: (batch, length) bool: which ids belong to the answer.
    """

    pixels: torch.Tensor
    letters: torch.Tensor
    circled: torch.Tensor
    places: torch.Tensor
    ids: torch.Tensor
    answer: torch.Tensor

    @property
    def rows(self) -> int:
        """Rows of patches kept, of 16."""
        return self.letters.shape[1]

    def to(self, device: torch.device) -> Lesson:
        """The same on another device."""
        return Lesson(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class Lessons(IterableDataset[Lesson]):
    """Lessons number `first`, `first` + 1, ... of a stage."""

    def __init__(
        self,
        *,
        fonts: Sequence[Font],
        seed: int,
        first: int,
        last: int,
        tokens: int,
        growth: int,
        larger: float = 0.25,
        neighbours: Sequence[str] = (),
    ) -> None:
        """Keep what the lessons depend on.

        Args:
            fonts: to draw with.
            seed: of all lessons of the stage.
            first: number of the first lesson.
            last: number after the last one.
            tokens: image tokens a lesson; the fewer rows it keeps, the more images it has.
            growth: the lesson from which on strings have their full length; before, they grow from 3 letters.
            larger: share of the images that are drawn larger than 224 px, and shrunk.
            neighbours: families among the fonts that are drawn more often.
        """
        self.seed, self.first, self.last = seed, first, last
        self.tokens, self.growth, self.larger = tokens, growth, larger
        self._families = _by_family(fonts)
        self._thin = _by_family([font for font in fonts if THIN.search(f"{font.family} {font.style}")])
        self._neighbours = _by_family([font for font in fonts if font.family in neighbours])
        self._words = load_words("webster", min_length=3, max_length=MAX_LENGTH)

    def __iter__(self) -> Iterator[Lesson]:
        """Draw the lessons one by one; meant for one background worker."""
        return (self.lesson(number) for number in range(self.first, self.last))

    def lesson(self, number: int) -> Lesson:
        """Lesson `number`."""
        rng = np.random.default_rng((self.seed, number))
        rows, _, longest = _WINDOWS[int(rng.choice(len(_WINDOWS), p=[share for _, share, _ in _WINDOWS]))]
        if number < self.growth:
            longest = min(longest, 3 + int((MAX_LENGTH - 3) * number / self.growth))
        drawn = [self._draw(rng, rows, longest) for _ in range(self.tokens // (rows * GRID))]
        texts = [_question(rng, scene.word) for scene, _, _ in drawn]
        ids, answer = encode_texts(texts, rows * GRID)
        targets = [_targets(scene, boxes, rows) for scene, _, boxes in drawn]
        letters, circled, places = (torch.from_numpy(np.stack(part)) for part in zip(*targets, strict=True))
        pixels = torch.from_numpy(np.stack([image for _, image, _ in drawn])).permute(0, 3, 1, 2).contiguous()
        return Lesson(pixels, letters, circled, places, ids, answer)

    def _draw(
        self, rng: np.random.Generator, rows: int, longest: int
    ) -> tuple[Scene, NDArray[np.uint8], NDArray[np.float32]]:
        """A scene that fits into the window, its pixels there, and its letter boxes at 224 px."""
        top, bottom = (GRID - rows) // 2 * PATCH, (GRID + rows) // 2 * PATCH
        while True:
            scene, font = self._scene(rng, longest)
            if scene is None:
                continue
            scale = IMAGE_SIZE / scene.image_size
            boxes = letter_boxes(scene, font) * np.float32(scale)
            reach = (scene.ellipse.height + scene.ellipse.line_width) / 2
            upper = min(float(boxes[:, 1].min()), (scene.ellipse.y - reach) * scale)
            lower = max(float(boxes[:, 3].max()), (scene.ellipse.y + reach) * scale)
            if top <= upper and lower <= bottom:
                return scene, _pixels(rng, scene, font, top, bottom), boxes

    def _scene(self, rng: np.random.Generator, longest: int) -> tuple[Scene | None, Font]:
        colors = ("random", "random", "random") if rng.random() < 0.2 else ("black", "white", "red")
        options = SceneOptions(
            image_size=int(rng.integers(256, 513)) if rng.random() < self.larger else IMAGE_SIZE,
            case="mixed",
            text_color=colors[0],
            background=colors[1],
            ellipse_color=colors[2],
            line_width=_LINE_WIDTH,
        )
        font = self.pick_font(rng)
        scene = sample_with_font(rng, self._word(rng, longest), font, options)
        if scene is not None and rng.random() < 0.35:  # without a line there is no ellipse
            scene = replace(scene, ellipse=replace(scene.ellipse, line_width=0.0))
        return scene, font

    def pick_font(self, rng: np.random.Generator) -> Font:
        """A family, then one of its styles, each as likely as any other; shares are thin, or neighbours."""
        families = self._families
        if self._thin and rng.random() < _THIN_SHARE:
            families = self._thin
        elif self._neighbours and rng.random() < _NEIGHBOURS_SHARE:
            families = self._neighbours
        family = families[int(rng.integers(len(families)))]
        return family[int(rng.integers(len(family)))]

    def _word(self, rng: np.random.Generator, longest: int) -> str:
        if rng.random() < 0.45:
            for _ in range(50):
                word = self._words.sample(rng, "train")
                if len(word) <= longest:
                    return word
        length = int(rng.integers(1, longest + 1))
        if longest == MAX_LENGTH:  # long ones are harder, and taller windows have the shorter
            length = max(length, int(rng.integers(1, longest + 1)))
        if length < 3:  # too short to be anybody's held-out word
            return "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=length))
        return RandomStrings(length, length).sample(rng, "train")


def _by_family(fonts: Sequence[Font]) -> list[list[Font]]:
    families: defaultdict[str, list[Font]] = defaultdict(list)
    for font in fonts:
        families[font.family].append(font)
    return list(families.values())


def encode(text: str) -> list[int]:
    """The ids of a text, one a character, as the tokenizer gives them."""
    return [VOCABULARY[character] for character in text.replace(" ", "▁")]


def encode_texts(texts: list[tuple[str, str]], image_tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(question, answer) pairs as ids, padded on the right, and which of them are the answer's."""
    heads = [
        [VOCABULARY["<image>"]] * image_tokens + [VOCABULARY["<bos>"], *encode(q + "\n")] for q, _ in texts
    ]
    tails = [[*encode(a), VOCABULARY["<eos>"]] for _, a in texts]
    length = max(len(head) + len(tail) for head, tail in zip(heads, tails, strict=True))
    ids = torch.full((len(texts), length), VOCABULARY["<pad>"])
    answer = torch.zeros(ids.shape, dtype=torch.bool)
    for i, (head, tail) in enumerate(zip(heads, tails, strict=True)):
        ids[i, : len(head) + len(tail)] = torch.tensor(head + tail)
        answer[i, len(head) : len(head) + len(tail)] = True
    return ids, answer


def _question(rng: np.random.Generator, word: str) -> tuple[str, str]:
    if rng.random() < 0.15:
        number = int(rng.integers(len(word)))
        return f"What is letter {number + 1}?", word[number]
    return _READ_PROMPTS[int(rng.integers(len(_READ_PROMPTS)))], word


def _pixels(rng: np.random.Generator, scene: Scene, font: Font, top: int, bottom: int) -> NDArray[np.uint8]:
    """The window at 224 px to the image; larger images are shrunk as an image processor would."""
    image = draw(scene, font)
    size = scene.image_size
    if size == IMAGE_SIZE:
        return image[top:bottom]
    method = Image.Resampling.BICUBIC if rng.random() < 0.7 else Image.Resampling.BILINEAR
    box = (0, top * size / IMAGE_SIZE, size, bottom * size / IMAGE_SIZE)
    return np.asarray(Image.fromarray(image).resize((IMAGE_SIZE, bottom - top), method, box))


def _targets(
    scene: Scene, boxes: NDArray[np.float32], rows: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Which letter stands in which half patch, in the row 0.25 em above the baseline."""
    letters = np.full((rows, SLOTS), BLANK)
    circled = np.full((rows, SLOTS), np.nan, np.float32)
    places = np.full((rows, SLOTS), IGNORE)
    waist = (scene.baseline - 0.25 * scene.font_size) * IMAGE_SIZE / scene.image_size
    row = int(waist // PATCH) - (GRID - rows) // 2
    columns = ((boxes[:, 0] + boxes[:, 2]) / 2 // (PATCH / 2)).astype(int)
    for place, (letter, column) in enumerate(zip(scene.word, columns.tolist(), strict=True)):
        taken = letters[row, column] != BLANK
        letters[row, column] = IGNORE if taken else 1 + LETTERS.index(letter)
        places[row, column] = IGNORE if taken else place
        circled[row, column] = np.nan if taken else place == scene.index and scene.ellipse.line_width > 0
    return letters, circled, places
