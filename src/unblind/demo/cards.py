"""What the page shows, as HTML: the picture to click on, the answers, and where the models look."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from unblind.data.images import encode_png
from unblind.demo.paint import Box, Picture
from unblind.evaluation.answers import Answer

LEAST = 0.05  # a fall of the probability that is worth naming
_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["percent"] = lambda share: f"{share:.0%}".replace("%", "\u202f%")
_cards: Any = _environment.get_template("demo.html.j2").module  # the macros of the template


def head(model: str, adapter: str | None) -> str:
    """The page's title and what it is about."""
    return str(_cards.head(model, adapter))


def canvas(pixels: NDArray[np.uint8], boxes: Sequence[Box], word: str, index: int) -> str:
    """The drawn word, a button on each letter."""
    return str(_cards.canvas(_uri(encode_png(pixels), "png"), boxes, word, index, *_band(boxes, 0.7)))


def notice(text: str) -> str:
    """Something that a person should know, or nothing."""
    return str(_cards.notice(text)) if text else ""


def answers(
    names: Sequence[str], found: Sequence[Answer], truth: str | None, seconds: float, size: int
) -> str:
    """The models' answers side by side; `truth` is the circled letter where it is known."""
    return str(_cards.answers(list(zip(names, found, strict=True)), truth, seconds, size))


def limits() -> str:
    """What can be uploaded."""
    return str(_cards.limits())


def nothing(names: Sequence[str]) -> str:
    """The place of the answers while there is nothing to ask."""
    return str(_cards.nothing(names))


def looks(names: Sequence[str], picture: Picture, falls: Sequence[Sequence[float]]) -> str:
    """Where each model looks: the picture, tinted where hiding takes away of the answer's probability."""
    thumbnail = picture.image.copy()
    thumbnail.thumbnail((448, 448))
    out = BytesIO()
    thumbnail.save(out, "PNG")
    views = [
        {
            "name": name,
            "parts": list(zip(picture.boxes, known, strict=False)),
            "said": _said(picture, known) if len(known) == len(picture.boxes) else "",
        }
        for name, known in zip(names, falls, strict=True)
    ]
    top, height = _band(picture.boxes, 0.4) if picture.ring else (0.0, 1.0)
    return str(_cards.looks(views, _uri(out.getvalue(), "png"), picture, thumbnail.size, top, height))


def _band(boxes: Sequence[Box], least: float) -> tuple[float, float]:
    """Top and height, as shares, of what is worth showing of a picture: the word and its ring."""
    reach = max(max(0.5 - y, y + height - 0.5) for _, y, _, height in boxes)
    height = min(1.0, max(least, 3 * reach))
    return (1 - height) / 2, height


def _said(picture: Picture, falls: Sequence[float]) -> str:
    """In words: what hiding the ring does, and the letters that matter most."""
    named = [(label, fall) for label, fall in zip(picture.labels, falls, strict=True) if label]
    if not named:
        return ""
    (ring, of_ring), *letters = named
    most = sorted((pair for pair in letters if pair[1] >= LEAST), key=lambda pair: -pair[1])[:2]
    facts = [f"Without {label}: {_points(fall)}" for label, fall in ((ring, of_ring), *most)]
    return "; ".join([facts[0], *(fact.replace("W", "w", 1) for fact in facts[1:])]) + "."


def _points(fall: float) -> str:
    points = round(100 * fall)
    return "no change" if points == 0 else f"{-points:+d} points".replace("-", "\u2212")


def _uri(data: bytes, kind: str) -> Markup:
    return Markup(f"data:image/{kind};base64,{base64.b64encode(data).decode()}")  # noqa: S704
