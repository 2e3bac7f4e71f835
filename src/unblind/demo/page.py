"""The page itself: what is on it, what happens when it is touched, and serving it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import numpy as np

from unblind.demo import cards
from unblind.demo.ask import Models
from unblind.demo.paint import COLOURS, Drawing, Picture, uploaded
from unblind.errors import DemoError, UnblindError
from unblind.tasks.fonts import Font, FontLibrary, split_of_family
from unblind.tasks.words import load_words

WORD, INDEX, FONT = "Acknowledgement", 3, "Source Serif Pro"  # the benchmark's word, in a held-out family
CLICK = """
element.addEventListener("click", (event) => {
  const letter = event.target.closest("[data-index]");
  if (letter) trigger("click", {letter: Number(letter.dataset.index)});
});
"""


Shown = tuple[Any, str, int, str, str]  # the picture, a notice, the circled index, answers, looks


@dataclass(frozen=True)
class Demo:
    """What the page's events do, with the models and fonts they need."""

    models: Models
    fonts: dict[str, Font]  # by family
    turns: dict[str | None, int] = field(default_factory=dict)  # by page: how often it has asked

    def circle(self, event: gr.EventData, request: gr.Request, *wishes: Any) -> Shown:
        """Circle the letter that was clicked on, as `draw` does."""
        return self.draw(request, event.letter, *wishes)

    def draw(self, request: gr.Request, index: int, *wishes: Any) -> Shown:
        """Draw the word and ask about it: the picture, a notice, the circled index, answers and looks."""
        self._new_turn(request)
        try:
            drawing = self._drawing(index, *wishes)
            pixels, boxes = drawing.shown()
            picture = drawing.asked(self.models.image_size)
            said, looks = self._ask(picture, drawing.word[drawing.index], request)
        except UnblindError as error:
            return gr.skip(), cards.notice(str(error)), index, cards.nothing(self.models.names), ""
        shown = cards.canvas(pixels, boxes, drawing.word, drawing.index)
        return shown, cards.notice(picture.note), drawing.index, said, looks

    def look_at_drawing(self, request: gr.Request, *inputs: Any) -> Iterator[str]:
        """Where the models look in the drawn word, part by part."""
        try:
            picture = self._drawing(*inputs).asked(self.models.image_size)
        except DemoError:
            return
        yield from self._look(picture, request)

    def read(self, request: gr.Request, file: dict[str, Any] | None) -> tuple[str, str, str]:
        """Ask about an uploaded picture: a notice, answers, looks."""
        self._new_turn(request)
        if not file:
            return "", cards.nothing(self.models.names), ""
        try:
            picture = uploaded(str(file["path"]))
            said, _ = self._ask(picture, None, request)
        except UnblindError as error:
            return cards.notice(str(error)), cards.nothing(self.models.names), ""
        return cards.notice(picture.note), said, ""

    def look_at_file(self, request: gr.Request, file: dict[str, Any] | None) -> Iterator[str]:
        """Where the models look in an uploaded picture, tile by tile."""
        if file:
            try:
                picture = uploaded(str(file["path"]))
            except UnblindError:
                return
            yield from self._look(picture, request)

    def another(self) -> tuple[str, int, str]:
        """A held-out word, one of its letters, and a held-out family."""
        word = load_words(max_length=12).sample(np.random.default_rng(), "test")
        held_out = [family for family in self.fonts if split_of_family(family) == "test"]
        return word, random.randrange(len(word)), random.choice(held_out or list(self.fonts))

    def _drawing(
        self, index: int, word: str, family: str, share: float, line_width: float, colour: str
    ) -> Drawing:
        word = (word or "").strip()
        index = min(max(0, int(index)), max(0, len(word) - 1))
        return Drawing(word, index, self.fonts[family], share / 100, line_width, colour)

    def _ask(self, picture: Picture, truth: str | None, request: gr.Request) -> tuple[str, str]:
        began = time.perf_counter()
        found = self.models.ask(picture.image, picture.word)
        seconds = time.perf_counter() - began
        self._new_turn(request)  # a look that began meanwhile was for what was there before
        names = self.models.names
        said = cards.answers(names, found, truth, seconds, self.models.image_size)
        return said, cards.looks(names, picture, [[] for _ in names])

    def _look(self, picture: Picture, request: gr.Request) -> Iterator[str]:
        """Part by part, until the page asks for something newer."""
        turn = self.turns.get(request.session_hash)
        for falls in self.models.hide(picture.image, picture.hidden, picture.word):
            if self.turns.get(request.session_hash) != turn:
                return
            yield cards.looks(self.models.names, picture, falls)

    def _new_turn(self, request: gr.Request) -> None:
        self.turns[request.session_hash] = self.turns.get(request.session_hash, 0) + 1

    def close(self, request: gr.Request) -> None:
        """Forget a page that was closed."""
        self.turns.pop(request.session_hash, None)


def one_a_family(library: FontLibrary) -> dict[str, Font]:
    """The plainest font of each family."""

    def plainness(font: Font) -> tuple[bool, bool, bool]:
        return font.style != "Regular", font.italic, font.bold

    chosen: dict[str, Font] = {}
    for font in sorted(library.fonts, key=plainness):
        chosen.setdefault(font.family, font)
    return dict(sorted(chosen.items()))


def _labels(families: Sequence[str]) -> list[tuple[str, str]]:
    seen = {"train": "seen in training", "validation": "watched in training", "test": "held out"}
    return [(f"{family} · {seen[split_of_family(family)]}", family) for family in families]


def build(demo: Demo) -> gr.Blocks:
    """The page."""
    loaded = demo.models.loaded
    with gr.Blocks(title="Unblind demo", analytics_enabled=False, delete_cache=(600, 3000)) as page:
        gr.HTML(cards.head(loaded.name, loaded.adapter))
        index = gr.State(INDEX)
        with gr.Row(elem_classes="bench"):
            with gr.Column(scale=5, min_width=280):
                with gr.Tab("Draw a word") as drawing:
                    canvas = gr.HTML(js_on_load=CLICK)
                    with gr.Row(elem_classes="typing"):
                        word = gr.Textbox(WORD, label="Word", max_length=60, scale=1, min_width=150)
                        other = gr.Button("Another", scale=0, min_width=100)
                    notice = gr.HTML()
                with gr.Tab("Your own picture", elem_id="own") as own:
                    file = gr.Image(
                        type="filepath",
                        sources=["upload", "clipboard"],
                        show_label=False,
                        elem_id="file",
                        height=320,
                    )
                    file_notice = gr.HTML()
                    look = gr.Button("Where do they look?")
                    gr.HTML(cards.limits())
            with gr.Column(scale=6, min_width=280):
                answers = gr.HTML(cards.nothing(demo.models.names))
                looks = gr.HTML()
            with gr.Column(elem_classes="wishes", min_width=280):
                family = gr.Dropdown(
                    _labels(list(demo.fonts)),
                    value=FONT if FONT in demo.fonts else next(iter(demo.fonts)),
                    label="Font",
                )
                with gr.Row():
                    share = gr.Slider(
                        30,
                        95,
                        80,
                        step=5,
                        label="Size, % of the width",
                        min_width=130,
                        elem_id="size",
                        buttons=[],
                    )
                    line_width = gr.Slider(
                        2,
                        10,
                        5,
                        step=0.5,
                        label="Line width, points",
                        min_width=130,
                        elem_id="line",
                        buttons=[],
                    )
                colour = gr.Radio(list(COLOURS), value="red", label="Ring")

        wishes = [word, family, share, line_width, colour]
        shown = [canvas, notice, index, answers, looks]
        touched = [
            word.change,  # `input` would miss what is pasted or dictated
            family.change,
            share.change,
            line_width.change,
            colour.change,
            drawing.select,  # which happens as the page opens, too
        ]
        newest: dict[str, Any] = {
            "show_progress": "hidden",
            "trigger_mode": "always_last",
            "api_visibility": "private",
        }
        asked = gr.on(touched, demo.draw, [index, *wishes], shown, **newest)
        asked.then(demo.look_at_drawing, [index, *wishes], looks, **newest)
        asked = canvas.click(demo.circle, wishes, shown, **newest | {"trigger_mode": "multiple"})
        asked.then(demo.look_at_drawing, [index, *wishes], looks, **newest)
        other.click(demo.another, None, [word, index, family], **newest)  # and these have changed
        raw: dict[str, Any] = newest | {"preprocess": False}  # Gradio's own reading fails without a word
        gr.on([file.change, own.select], demo.read, file, [file_notice, answers, looks], **raw)
        look.click(demo.look_at_file, file, looks, **raw)
        page.unload(demo.close)
    return page
