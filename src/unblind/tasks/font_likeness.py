"""Which font families look alike, so that a held-out one has no twin in training.

Likeness is the mean overlap (intersection over union) of the 52 letters' ink, drawn at one x-height, each
with its ink's left edge at the same place on the baseline. Clones and close relatives lie above `THRESHOLD`
(Open Sans and Noto Sans 0.91, Liberation Sans and Arimo 1.00), other text fonts below (Open Sans and DejaVu
Sans 0.78). Of the 22,366 pairs among 212 families only three lie between 0.84 and 0.86, so the threshold cuts
where little is, and it joins no chain of sans-serifs.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unblind.tasks.glyphs import draw_letters, measure_letters
from unblind.tasks.splits import Split
from unblind.tasks.words import LETTERS

THRESHOLD = 0.84
X_HEIGHT = 24.0  # px
_BOX = (72, 96)  # px, of a letter's picture; what lies outside does not count
_BASELINE, _LEFT = 48.0, 8.0
_WIDTHS = re.compile(r" (mono|condensed|narrow|display|text|caption)\b")

Outlines = NDArray[np.bool_]  # (52, height, width): the letters' ink


def plain_name(family: str) -> str:
    """A family's name in small letters, without its width: DejaVu Sans Mono goes with DejaVu Sans."""
    return _WIDTHS.sub("", family.lower())


def outlines(path: Path) -> Outlines:
    """The ink of the 52 `LETTERS` of a font file that can draw them, (52, 72, 96) bool."""
    measures = measure_letters(path)
    size = X_HEIGHT / float(measures.ink[ord("x")][3])
    found = np.zeros((len(LETTERS), *_BOX), np.uint8)
    for mask, letter in zip(found, LETTERS, strict=True):
        left = float(measures.ink[ord(letter)][0]) * size
        draw_letters(mask, path, size, letter, np.array([_LEFT - left]), _BASELINE)
    return found > 127


def likeness(one: Outlines, other: Outlines) -> float:
    """The mean overlap of two fonts' letters, in [0, 1]."""
    both, either = (one & other).sum((1, 2)), (one | other).sum((1, 2))
    return float((both / np.maximum(1, either)).mean())


@lru_cache(maxsize=1)
def table() -> dict[str, Split | None]:
    """The split of each family that the table places, by plain name; None: a hash of its name decides.

    font_clusters.json holds the clusters that `dev/font_clusters.py` measured, so that what happens to be
    installed decides nothing.
    """
    stored = json.loads((files("unblind.tasks") / "font_clusters.json").read_text("utf-8"))
    placed: dict[str, Split | None] = dict.fromkeys(stored["alone"])
    for cluster in stored["clusters"]:
        placed |= dict.fromkeys(cluster["families"], cluster["split"])
    return placed


@lru_cache(maxsize=1)
def references() -> dict[str, Outlines]:
    """The outlines of the families that the table holds out, by plain name."""
    with (files("unblind.tasks") / "font_references.npz").open("rb") as file, np.load(file) as stored:
        return {name: np.unpackbits(stored[name], axis=-1).astype(bool) for name in stored.files}


@lru_cache(maxsize=1024)
def resembled(path: Path) -> str | None:
    """The held-out family that a font would be taken for, by plain name; None if it resembles none."""
    own = outlines(path)
    scores = {name: likeness(own, reference) for name, reference in references().items()}
    nearest = max(scores, key=lambda name: scores[name])
    return nearest if scores[nearest] >= THRESHOLD else None
