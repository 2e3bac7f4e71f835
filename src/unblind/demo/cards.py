"""What the page shows, as HTML: the picture to click on, the answers, and where the models look."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from unblind.data.images import encode_png
from unblind.evaluation.answers import Answer
from unblind.tasks.base import Task
from unblind.tasks.controls import Controls, Large, Picture
from unblind.tasks.registry import DEFAULT_TASK

LEAST = 0.05  # a fall of the probability that is worth naming
_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["percent"] = lambda share: f"{share:.0%}".replace("%", "\u202f%")
_environment.globals["default_task"] = DEFAULT_TASK
_cards: Any = _environment.get_template("demo.html.j2").module  # the macros of the template


def head(controls: Controls, model: str, adapter: str | None) -> str:
    """The page's title and what it is about."""
    lead = controls.lead if adapter else controls.lead_blind
    return str(_cards.head(controls.heading, lead, model, adapter))


def canvas(picture: Large) -> str:
    """The drawn picture, a button on each of its spots."""
    return str(_cards.canvas(_png_uri(encode_png(picture.pixels)), picture, *picture.band))


def notice(text: str) -> str:
    """Something that a person should know, or nothing."""
    return str(_cards.notice(text)) if text else ""


def answers(
    task: Task[Any],
    names: Sequence[str],
    given: Sequence[Answer],
    truth: str | None,
    seconds: float,
    size: int,
) -> str:
    """The models' answers side by side.

    Args:
        task: whose answers they are.
        names: of the models.
        given: what each answers.
        truth: the right answer, where it is known.
        seconds: that it took.
        size: px, of the picture that the models saw.
    """
    shown = []
    for name, answer in zip(names, given, strict=True):
        reply = (answer.free or "") if answer.restricted is None else answer.restricted
        right = None if truth is None else task.answers.same(reply, truth)
        shown.append({"name": name, "reply": reply[:40], "right": right, "answer": answer})
    return str(_cards.answers(shown, truth, task, seconds, size))


def limits(uploads: str) -> str:
    """What can be uploaded."""
    return str(_cards.limits(uploads))


def nothing(task: Task[Any], names: Sequence[str]) -> str:
    """The place of the answers while there is nothing to ask."""
    return str(_cards.nothing(names, task))


def looks(names: Sequence[str], picture: Picture, falls: Sequence[Sequence[float]]) -> str:
    """Where each model looks: the picture, tinted where hiding takes away of the answer's probability."""
    thumbnail = picture.image.copy()
    thumbnail.thumbnail((448, 448))
    out = BytesIO()
    thumbnail.save(out, "PNG")
    views = [
        {
            "name": name,
            "parts": list(zip(picture.parts, known, strict=False)),
            "caption": _caption(picture, known) if len(known) == len(picture.parts) else "",
        }
        for name, known in zip(names, falls, strict=True)
    ]
    return str(_cards.looks(views, _png_uri(out.getvalue()), picture, thumbnail.size, *picture.band))


def _caption(picture: Picture, falls: Sequence[float]) -> str:
    """In words: what hiding the first part does, and the others that matter most."""
    named = [(part.label, fall) for part, fall in zip(picture.parts, falls, strict=True) if part.label]
    if not named:
        return ""
    first, *others = named
    most = sorted((pair for pair in others if pair[1] >= LEAST), key=lambda pair: -pair[1])[:2]
    facts = [f"ithout {label}: {_points(fall)}" for label, fall in (first, *most)]
    return "W" + "; w".join(facts) + "."


def _points(fall: float) -> str:
    points = round(100 * fall)
    return "no change" if points == 0 else f"{-points:+d} points".replace("-", "\u2212")


def _png_uri(png: bytes) -> Markup:
    return Markup(f"data:image/png;base64,{base64.b64encode(png).decode()}")  # noqa: S704
