"""The page itself: what is on it, and what happens when it is touched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from unblind.demo import cards
from unblind.demo.ask import Models
from unblind.demo.uploads import uploaded
from unblind.errors import DemoError, UnblindError
from unblind.tasks.controls import Controls, Picture

CLICK = """
element.addEventListener("click", (event) => {
  const spot = event.target.closest("[data-spot]");
  if (spot) trigger("click", {spot: Number(spot.dataset.spot)});
});
"""
# Newest first: while one answer is awaited, only the last of the wishes that come meanwhile is kept.
NEWEST: dict[str, Any] = {
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "api_visibility": "private",
}

Shown = tuple[Any, str, int, str, str]  # the picture, a notice, the chosen spot, answers, looks


@dataclass(frozen=True)
class Demo:
    """What the page's events do, with the models and the task's controls."""

    models: Models
    controls: Controls
    turns: dict[str | None, int] = field(default_factory=dict)  # by page: how often it has asked

    def choose(self, event: gr.EventData, request: gr.Request, *values: Any) -> Shown:
        """Choose the spot that was clicked on, as `draw` does."""
        return self.draw(request, event.spot, *values)

    def draw(self, request: gr.Request, *values: Any) -> Shown:
        """Draw what the controls say and ask about it."""
        self._new_turn(request)
        try:
            large = self.controls.large(values)
            picture = self.controls.picture(values)
            answers, looks = self._ask(picture, request)
        except UnblindError as error:
            return gr.skip(), cards.notice(str(error)), values[0], self.nothing(), ""
        return cards.canvas(large), cards.notice(picture.note), large.spot, answers, looks

    def look_at_drawing(self, request: gr.Request, *values: Any) -> Iterator[str]:
        """Where the models look in the drawn picture, part by part."""
        try:
            picture = self.controls.picture(values)
        except UnblindError:
            return
        yield from self._look(picture, request)

    def read(self, request: gr.Request, file: dict[str, Any] | None, question: str) -> tuple[str, str, str]:
        """Ask about an uploaded picture: a notice, answers, looks."""
        self._new_turn(request)
        if not file:
            return "", self.nothing(), ""
        try:
            picture = self._uploaded(file, question)
            answers, _ = self._ask(picture, request)
        except UnblindError as error:
            return cards.notice(str(error)), self.nothing(), ""
        return cards.notice(picture.note), answers, ""

    def look_at_file(self, request: gr.Request, file: dict[str, Any] | None, question: str) -> Iterator[str]:
        """Where the models look in an uploaded picture, tile by tile."""
        if file:
            try:
                picture = self._uploaded(file, question)
            except UnblindError:
                return
            yield from self._look(picture, request)

    def nothing(self) -> str:
        """The place of the answers while there is nothing to ask."""
        return cards.nothing(self.models.task, self.models.names)

    def close(self, request: gr.Request) -> None:
        """Forget a page that was closed."""
        self.turns.pop(request.session_hash, None)

    def _uploaded(self, file: dict[str, Any], question: str) -> Picture:
        for column in self.models.task.own_columns:
            if f"{{{column}}}" in question:
                raise DemoError(f"The question needs the picture's {column}, which an upload does not tell.")
        return uploaded(str(file["path"]), question)

    def _ask(self, picture: Picture, request: gr.Request) -> tuple[str, str]:
        began = time.perf_counter()
        given = self.models.ask(picture)
        seconds = time.perf_counter() - began
        self._new_turn(request)  # a look that began meanwhile was for what was there before
        names, size = self.models.names, self.models.image_size
        answers = cards.answers(self.models.task, names, given, picture.answer, seconds, size)
        looks = picture.parts and self.models.restricts(picture)
        return answers, cards.looks(names, picture, [[] for _ in names]) if looks else ""

    def _look(self, picture: Picture, request: gr.Request) -> Iterator[str]:
        """Part by part, until the page asks for something newer."""
        turn = self.turns.get(request.session_hash)
        for falls in self.models.hide(picture):
            if self.turns.get(request.session_hash) != turn:
                return
            yield cards.looks(self.models.names, picture, falls)

    def _new_turn(self, request: gr.Request) -> None:
        self.turns[request.session_hash] = self.turns.get(request.session_hash, 0) + 1


def build(demo: Demo) -> gr.Blocks:
    """The page."""
    loaded, controls = demo.models.loaded, demo.controls
    with gr.Blocks(title="Unblind demo", analytics_enabled=False, delete_cache=(600, 3000)) as page:
        gr.HTML(cards.head(controls, loaded.name, loaded.adapter))
        spot = gr.State(controls.first_spot)
        with gr.Row(elem_classes="bench"):
            with gr.Column(scale=5, min_width=280):
                with gr.Tab(controls.tab) as drawing:
                    canvas = gr.HTML(js_on_load=CLICK)
                    with gr.Row(elem_classes="typing"):
                        below = controls.below()
                        other = gr.Button("Another", scale=0, min_width=100)
                    notice = gr.HTML()
                with gr.Tab("Your own picture", elem_id="own") as own:
                    file, question, look, file_notice = _upload(controls)
            with gr.Column(scale=6, min_width=280):
                answers = gr.HTML(demo.nothing())
                looks = gr.HTML()
            with gr.Column(elem_classes="wishes", min_width=280):
                values = [*below, *controls.beside()]

        shown = [canvas, notice, spot, answers, looks]
        # A text's `input` would miss what is pasted or dictated; `select` happens as the page opens, too.
        touched = [*(component.change for component in values), drawing.select]
        asked = gr.on(touched, demo.draw, [spot, *values], shown, **NEWEST)
        asked.then(demo.look_at_drawing, [spot, *values], looks, **NEWEST)
        asked = canvas.click(demo.choose, values, shown, **NEWEST | {"trigger_mode": "multiple"})
        asked.then(demo.look_at_drawing, [spot, *values], looks, **NEWEST)
        other.click(controls.another, None, [spot, *values], **NEWEST)  # and these have changed
        raw: dict[str, Any] = NEWEST | {"preprocess": False}  # Gradio's own reading fails without a word
        upload = [file, question]
        gr.on(
            [file.change, question.submit, own.select],
            demo.read,
            upload,
            [file_notice, answers, looks],
            **raw,
        )
        look.click(demo.look_at_file, upload, looks, **raw)
        page.unload(demo.close)
    return page


def _upload(controls: Controls) -> tuple[gr.Image, gr.Textbox, gr.Button, gr.HTML]:
    """The tab for a picture of one's own: the file, the question, a button to look, a notice."""
    file = gr.Image(
        type="filepath", sources=["upload", "clipboard"], show_label=False, elem_id="file", height=320
    )
    question = gr.Textbox(
        controls.task.question(controls.prompt, {}),
        label="Question",
        max_length=300,
        visible=controls.any_question,
    )
    notice = gr.HTML()
    look = gr.Button("Where do they look?", visible=controls.task.answers.choices is not None)
    gr.HTML(cards.limits(controls.uploads))
    return file, question, look, notice
