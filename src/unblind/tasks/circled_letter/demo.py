"""The circled letter's page in `unblind demo`: type a word, click a letter."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from unblind.errors import DemoError
from unblind.tasks.base import Task
from unblind.tasks.circled_letter.draw import draw, letter_boxes
from unblind.tasks.circled_letter.redraw import without_letter
from unblind.tasks.circled_letter.scene import EM, Scene, lay_out
from unblind.tasks.controls import Band, Box, Controls, Large, Part, Picture, Spot
from unblind.tasks.fonts import Font, FontLibrary, split_of_family
from unblind.tasks.glyphs import measure_word
from unblind.tasks.words import LETTERS

WORD, INDEX, FONT = "Acknowledgement", 3, "Source Serif Pro"  # the benchmark's word, in a held-out family
LONGEST = 20  # letters; the benchmark's longest word
SHOWN = 896  # px, of the picture on the page; the model gets its own size
COLOURS = {
    "red": (255, 0, 0),
    "orange": (240, 120, 0),
    "green": (0, 140, 60),
    "blue": (30, 90, 230),
    "purple": (140, 40, 190),
    "black": (0, 0, 0),
}
_drawing = Lock()  # FreeType's faces serve one thread at a time


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
            named = ", ".join("a space" if c.isspace() else f"“{c}”" for c in odd[:5])
            raise DemoError(f"Only the letters A–Z and a–z can be drawn and read; take out {named}.")
        if len(self.word) > LONGEST:
            raise DemoError(f"{len(self.word)} letters would be too small to read; {LONGEST} are the most.")

    def scene(self, image_size: int) -> Scene:
        """The word as large as wanted, or as fits with its ring."""
        for share in np.arange(self.share, 0.02, -0.02).tolist():
            scene = self._scene(image_size, share)
            if scene is not None:
                return replace(scene, ellipse_color=COLOURS[self.colour])
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

    def large(self) -> Large:
        """The picture for the page, each letter to click on."""
        with _drawing:
            scene = self.scene(SHOWN)
            pixels, boxes = draw(scene, self.font), _boxes(scene, self.font)
        spots = [
            Spot(_clickable(box), f"Circle letter {number}, {letter}", pressed=number == self.index + 1)
            for number, (letter, box) in enumerate(zip(self.word, boxes, strict=True), start=1)
        ]
        alt = f"{self.word}, its letter {self.index + 1}, {self.word[self.index]}, circled"
        return Large(pixels, alt, spots, _band(boxes, 0.7))

    def picture(self, image_size: int, task: Task[Scene], prompt: str) -> Picture:
        """The picture for the model, and what can be hidden in it: the ring, and each letter."""
        with _drawing:
            scene = self.scene(image_size)
            without_ring = draw(scene, self.font, circled=False)
            hidden = [without_ring, *(without_letter(scene, self.font, i) for i in range(len(self.word)))]
            whole, letters = draw(scene, self.font), _boxes(scene, self.font)
        boxes = [_ring(scene), *letters]
        labels = ["the ring", *(f"“{letter}”" for letter in self.word)]
        parts = [
            Part(Image.fromarray(pixels), box, label, outline=number == 0)
            for number, (pixels, box, label) in enumerate(zip(hidden, boxes, labels, strict=True))
        ]
        asked = task.ask(scene, prompt)
        note = "The ring holds the middle of another letter too: hard to tell for anyone."
        return Picture(
            Image.fromarray(whole),
            {"prompt": asked.question, **task.columns(scene)},
            asked.answer,
            parts,
            "letter, and the ring,",
            _band(boxes, 0.4),
            note if scene.ambiguous else "",
        )


@dataclass(frozen=True)
class WordControls(Controls):
    """A word, its font, its size, and the line and colour of the ring. The spots are the letters."""

    tab = "Draw a word"
    heading = "Which letter is circled?"
    lead = (
        "Click a letter to circle it. The blind model reads the word, but does not know what the circle"
        " means. The cured one is the same model with an adapter that learnt it."
    )
    lead_blind = "Click a letter to circle it, and see what the blind model makes of it."
    uploads = "One word with one letter circled"
    any_question = False
    first = INDEX

    @cached_property
    def fonts(self) -> dict[str, Font]:
        """The plainest font of each family."""
        return _one_a_family(self.resources)

    def below(self) -> list[Any]:
        """The word."""
        return [gr.Textbox(WORD, label="Word", max_length=60, scale=1, min_width=150)]

    def beside(self) -> list[Any]:
        """Font, size, line width and colour."""
        family = gr.Dropdown(
            _labels(list(self.fonts)),
            value=FONT if FONT in self.fonts else next(iter(self.fonts)),
            label="Font",
        )
        with gr.Row():
            share = _slider(30, 95, 80, step=5, label="Size, % of the width", elem_id="size")
            line_width = _slider(2, 10, 5, step=0.5, label="Line width, points", elem_id="line")
        return [family, share, line_width, gr.Radio(list(COLOURS), value="red", label="Ring")]

    def another(self, values: Sequence[Any]) -> list[Any]:
        """A held-out word, one of its letters, and a held-out family."""
        word = self.resources.words.sample(np.random.default_rng(), "test")
        held_out = [family for family in self.fonts if split_of_family(family) == "test"]
        family = random.choice(held_out or list(self.fonts))
        return [random.randrange(len(word)), word, family, gr.skip(), gr.skip(), gr.skip()]

    def large(self, values: Sequence[Any]) -> Large:
        """The word, large."""
        return self._drawing(*values).large()

    def picture(self, values: Sequence[Any]) -> Picture:
        """The word, as the model sees it."""
        return self._drawing(*values).picture(self.image_size, self.task, self.prompt)

    def _drawing(
        self, spot: int, word: str, family: str, share: float, line_width: float, colour: str
    ) -> Drawing:
        word = (word or "").strip()
        index = min(max(0, int(spot)), max(0, len(word) - 1))
        return Drawing(word, index, self.fonts[family], share / 100, line_width, colour)


def controls(task: Task[Any], options: Any, prompt: str, image_size: int) -> WordControls:
    """The page's controls. Raises WordsError and FontsError."""
    options = replace(options, max_length=12)  # longer words are small on the page
    return WordControls(task, options, prompt, image_size, task.resources(options))


def _slider(least: float, most: float, value: float, **more: Any) -> Any:
    return gr.Slider(least, most, value, min_width=130, buttons=[], **more)


def _one_a_family(library: FontLibrary) -> dict[str, Font]:
    def plainness(font: Font) -> tuple[bool, bool, bool]:
        return font.style != "Regular", font.italic, font.bold

    chosen: dict[str, Font] = {}
    for font in sorted(library.fonts, key=plainness):
        chosen.setdefault(font.family, font)
    return dict(sorted(chosen.items()))


def _labels(families: Sequence[str]) -> list[tuple[str, str]]:
    seen = {"train": "seen in training", "validation": "watched in training", "test": "held out"}
    return [(f"{family} · {seen[split_of_family(family)]}", family) for family in families]


def _boxes(scene: Scene, font: Font) -> list[Box]:
    shares = letter_boxes(scene, font) / scene.image_size
    return [(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in shares.tolist()]


def _clickable(box: Box) -> Box:
    """A letter's box and some of what is above and below: a dot is hard to hit."""
    x, y, width, height = box
    return x, y - 0.04, width, height + 0.08


def _ring(scene: Scene) -> Box:
    e, n = scene.ellipse, scene.image_size
    return (e.x - e.width / 2) / n, (e.y - e.height / 2) / n, e.width / n, e.height / n


def _band(boxes: Sequence[Box], least: float) -> Band:
    """The word and its ring, and at least a share of the picture."""
    reach = max(max(0.5 - y, y + height - 0.5) for _, y, _, height in boxes)
    height = min(1.0, max(least, 3 * reach))
    return (1 - height) / 2, height
