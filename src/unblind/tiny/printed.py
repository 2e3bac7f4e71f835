"""Printed strings, some with an ellipse, and which letter stands where in them.

Only words and font families of the training split occur, and the question which letter is circled never does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unblind.tasks.circled_letter.draw import draw, letter_boxes
from unblind.tasks.circled_letter.scene import Scene, SceneOptions, sample_with_font
from unblind.tasks.circled_letter.task import READ
from unblind.tasks.fonts import Font
from unblind.tasks.words import LETTERS, RandomStrings, load_words
from unblind.tiny.build import GRID, IMAGE_SIZE, PATCH
from unblind.tiny.patches import IGNORE, Labels, no_labels

SLOTS = 2  # halves of a patch: narrow letters share one
BLANK, MAX_LENGTH = 0, 20
HEADS = {"letter": (SLOTS, 1 + len(LETTERS)), "circled": (SLOTS, 2), "place": (SLOTS, MAX_LENGTH)}
_READ_PROMPTS = (READ, READ, "Spell the word.")

# Strings fit into the middle rows of patches: (rows, share of the pictures, most letters). Taller ones are
# shorter, or else large letters would be too rare to be learnt.
_WINDOWS = ((5, 0.30, MAX_LENGTH), (8, 0.30, MAX_LENGTH), (10, 0.22, 12), (GRID, 0.18, 7))
_LINE_WIDTH = (3.0, 10.0)  # thicker ones too than datasets have as a rule
_LARGER = (360, 660)  # px
THIN = re.compile("thin|hairline|light", re.IGNORECASE)
_THIN_SHARE = 0.2  # of the images; few families have such styles, and they are the hardest to read
_NEIGHBOURS_SHARE = 0.2  # of the others


class Printer:
    """Draws strings in the fonts given."""

    def __init__(self, fonts: Sequence[Font], larger: float, neighbours: Sequence[str]) -> None:
        """Keep what the pictures depend on.

        Args:
            fonts: to draw with.
            larger: share of the pictures that are drawn larger than the model's size, and shrunk.
            neighbours: families among the fonts that are drawn more often.
        """
        self.larger = larger
        self._families = _by_family(fonts)
        self._thin = _by_family([font for font in fonts if THIN.search(f"{font.family} {font.style}")])
        self._neighbours = _by_family([font for font in fonts if font.family in neighbours])
        self._words = load_words("webster", min_length=3, max_length=MAX_LENGTH)

    def print(
        self, rng: np.random.Generator, longest: int
    ) -> tuple[Scene, NDArray[np.uint8], dict[str, Labels]]:
        """A string of at most `longest` letters: its scene, the picture, and the labels of its patches."""
        rows, _, most = _WINDOWS[int(rng.choice(len(_WINDOWS), p=[share for _, share, _ in _WINDOWS]))]
        top, bottom = ((GRID + sign * rows) / 2 * PATCH for sign in (-1, 1))
        while True:
            scene, font = self._scene(rng, min(longest, most))
            if scene is None:
                continue
            scale = IMAGE_SIZE / scene.image_size
            boxes = letter_boxes(scene, font) * np.float32(scale)
            reach = (scene.ellipse.height + scene.ellipse.line_width) / 2
            upper = min(float(boxes[:, 1].min()), (scene.ellipse.y - reach) * scale)
            lower = max(float(boxes[:, 3].max()), (scene.ellipse.y + reach) * scale)
            if top <= upper and lower <= bottom:
                return scene, draw(scene, font), labels_of(scene, boxes)

    def _scene(self, rng: np.random.Generator, longest: int) -> tuple[Scene | None, Font]:
        colors = ("random", "random", "random") if rng.random() < 0.2 else ("black", "white", "red")
        options = SceneOptions(
            image_size=int(rng.integers(*_LARGER)) if rng.random() < self.larger else IMAGE_SIZE,
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


def question(rng: np.random.Generator, word: str) -> tuple[str, str]:
    """What is asked about a string, and the answer."""
    if rng.random() < 0.15:
        number = int(rng.integers(len(word)))
        return f"What is letter {number + 1}?", word[number]
    return _READ_PROMPTS[int(rng.integers(len(_READ_PROMPTS)))], word


def waist_row(scene: Scene) -> int:
    """The row of patches 0.25 em above the baseline, in which all letters have something."""
    return int((scene.baseline - 0.25 * scene.font_size) * IMAGE_SIZE / scene.image_size // PATCH)


def labels_of(scene: Scene, boxes: NDArray[np.float32]) -> dict[str, Labels]:
    """Which letter's middle lies in which half patch of the row of their waists.

    Returns:
        letter: 0 blank, 1-52 the letter, ignored where two are; circled: 1 for the circled one; place: the
        letter's index in the string; the latter two are ignored where no letter is.
    """
    labels = {name: no_labels(SLOTS) for name in HEADS}
    labels["letter"][:] = BLANK
    row = waist_row(scene) * GRID
    halves = ((boxes[:, 0] + boxes[:, 2]) / 2 // (PATCH / SLOTS)).astype(int)
    for place, (letter, half) in enumerate(zip(scene.word, halves.tolist(), strict=True)):
        at = row + half // SLOTS, half % SLOTS
        taken = labels["letter"][at] != BLANK
        circled = place == scene.index and scene.ellipse.line_width > 0
        for name, label in (
            ("letter", 1 + LETTERS.index(letter)),
            ("circled", int(circled)),
            ("place", place),
        ):
            labels[name][at] = IGNORE if taken else label
    return labels
