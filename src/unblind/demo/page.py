"""The page itself: what is on it, and what happens when it is touched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from unblind.demo import cards
from unblind.demo.ask import Models
from unblind.demo.uploads import uploaded
from unblind.errors import DemoError, UnblindError
from unblind.tasks.controls import Controls, Move, Picture

# Clicks, drags, and arrow keys on the picture's spots. A new picture brings new spots: the one that the keys
# have moved is focused again.
TOUCH = """
let keyed = null;
const tell = (spot, dx, dy) => trigger("click", {spot: Number(spot.dataset.spot), dx: dx, dy: dy});
element.addEventListener("click", (event) => {
  const spot = event.target.closest("[data-spot]:not(.drags)");
  if (spot) tell(spot, 0, 0);
});
element.addEventListener("pointerdown", (down) => {
  const spot = down.target.closest(".drags");
  keyed = null;
  if (!spot) return;
  const area = spot.parentElement.getBoundingClientRect();
  spot.setPointerCapture(down.pointerId);
  spot.classList.add("held");
  spot.onpointermove = (event) => {
    spot.style.translate = `${event.clientX - down.clientX}px ${event.clientY - down.clientY}px`;
  };
  spot.onpointerup = spot.onpointercancel = (event) => {
    spot.onpointermove = spot.onpointerup = spot.onpointercancel = null;
    spot.classList.remove("held");
    const [dx, dy] = [event.clientX - down.clientX, event.clientY - down.clientY];
    if (event.type == "pointercancel" || (!dx && !dy)) spot.style.translate = "";
    else tell(spot, dx / area.width, dy / area.height);
  };
});
element.addEventListener("keydown", (event) => {
  const spot = event.target.closest(".drags");
  const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
  if (!spot || !step) return;
  event.preventDefault();
  keyed = spot.dataset.spot;
  tell(spot, step[0] * (event.shiftKey ? 0.05 : 0.01), step[1] * (event.shiftKey ? 0.05 : 0.01));
});
element.addEventListener("focusin", (event) => {
  if (event.target.dataset.spot != keyed) keyed = null;
});
new MutationObserver(() => {
  if (keyed !== null) element.querySelector(`[data-spot="${keyed}"]`)?.focus({preventScroll: true});
}).observe(element, {childList: true, subtree: true});
"""
# Newest first: while one answer is awaited, only the last of the wishes that come meanwhile is kept.
NEWEST: dict[str, Any] = {
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "api_visibility": "private",
}

Shown = tuple[Any, str, Any, str, str]  # the picture, a notice, what was made in it, answers, looks


@dataclass(frozen=True)
class Demo:
    """What the page's events do, with the models and the task's controls."""

    models: Models
    controls: Controls
    turns: dict[str | None, int] = field(default_factory=dict)  # by page: how often it has asked

    def touch(self, event: gr.EventData, request: gr.Request, *values: Any) -> Shown:
        """Do what a click or a drag in the picture does, and draw as `draw` does."""
        move = Move(int(event.spot), _share(getattr(event, "dx", 0)), _share(getattr(event, "dy", 0)))
        try:
            made = self.controls.moved(values, move)
        except UnblindError as error:
            return self._refused(error, values)
        return self.draw(request, made, *values[1:])

    def draw(self, request: gr.Request, *values: Any) -> Shown:
        """Draw what the controls say and ask about it."""
        self._new_turn(request)
        try:
            large = self.controls.large(values)
            picture = self.controls.picture(values)
            answers, looks = self._ask(picture, request)
        except UnblindError as error:
            return self._refused(error, values)
        return cards.canvas(large), cards.notice(picture.note), values[0], answers, looks

    def _refused(self, error: UnblindError, values: Sequence[Any]) -> Shown:
        return gr.skip(), cards.notice(str(error)), values[0], self.nothing(), ""

    def look_at_drawing(self, request: gr.Request, *values: Any) -> Iterator[Any]:
        """Where the models look in the drawn picture, part by part."""
        yield gr.skip()  # where nothing is yielded at all, Gradio empties the place
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

    def look_at_file(self, request: gr.Request, file: dict[str, Any] | None, question: str) -> Iterator[Any]:
        """Where the models look in an uploaded picture, tile by tile."""
        yield gr.skip()
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


def _share(value: Any) -> float:
    """How far a page says that something was dragged, at most across the picture."""
    return min(1.0, max(-1.0, float(value))) if isinstance(value, (int, float)) else 0.0


def build(demo: Demo) -> gr.Blocks:
    """The page."""
    loaded, controls = demo.models.loaded, demo.controls
    with gr.Blocks(title="Unblind demo", analytics_enabled=False, delete_cache=(600, 3000)) as page:
        gr.HTML(cards.head(controls, loaded.name, loaded.adapter))
        made = gr.State(controls.first)
        with gr.Row(elem_classes="bench"):
            with gr.Column(scale=5, min_width=280):
                with gr.Tab(controls.tab) as drawing:
                    canvas = gr.HTML(js_on_load=TOUCH)
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

        shown = [canvas, notice, made, answers, looks]
        drawn_by = [made, *values]
        # A text's `input` would miss what is pasted or dictated; `select` happens as the page opens, too.
        touched = [*(component.change for component in values), drawing.select]
        asked = gr.on(touched, demo.draw, drawn_by, shown, **NEWEST)
        asked.then(demo.look_at_drawing, drawn_by, looks, **NEWEST)
        asked = canvas.click(demo.touch, drawn_by, shown, **NEWEST | {"trigger_mode": "multiple"})
        asked.then(demo.look_at_drawing, drawn_by, looks, **NEWEST)
        other.click(_another(controls), drawn_by, drawn_by, **NEWEST)  # and these have changed
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


def _another(controls: Controls) -> Callable[..., list[Any]]:
    return lambda *values: controls.another(values)


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
