"""Where wrong answers went: beside the circle, elsewhere in the word, to a look-alike, to the other case."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from unblind.scoring.intervals import proportion
from unblind.scoring.predictions import integers, restricted_hits, texts

# Small letters of a similar shape, after Bouma 1971 (Vision Research 11:459-474); capitals count as their
# small letters do.
LOOK_ALIKES = ("aszx", "eoc", "nmu", "rvw", "dhkb", "tilf", "gpjyq")


def look_alike(one: str, other: str) -> bool:
    """Whether two different letters, case aside, have a similar shape."""
    one, other = one.lower(), other.lower()
    return one != other and any(one in group and other in group for group in LOOK_ALIKES)


def neighbours(word: str, index: int) -> set[str]:
    """The letters directly before and after ``word[index]``."""
    return {word[i] for i in (index - 1, index + 1) if 0 <= i < len(word)}


def confusions(predictions: pa.Table) -> dict[tuple[str, str], int]:
    """How often each ``(answer, restricted)`` pair of different letters occurs, most frequent first."""
    pairs = zip(texts(predictions, "answer"), texts(predictions, "restricted"), strict=True)
    wrong = Counter((a, r) for a, r in pairs if a is not None and r is not None and a != r)
    return dict(sorted(wrong.items(), key=lambda item: (-item[1], item[0])))


def mistakes(predictions: pa.Table) -> dict[str, Any]:
    """Shares of the wrong restricted answers.

    Returns ``{"n", "adjacent", "in_word", "look_alike", "case"}``; each share is None without errors, or
    ``{"n", "value", "low", "high"}`` with Wilson's 95 % interval. `adjacent`: a direct neighbour of the
    circled letter (case counts; `chance` is the share if each error were another letter of its word at
    random); `in_word`: any other letter of the word; both of the errors whose word and index are known.
    `look_alike`: a letter of a similar shape; `case`: the right letter in the other case.
    """
    columns = (
        texts(predictions, "answer"),
        texts(predictions, "restricted"),
        texts(predictions, "word"),
        integers(predictions, "index"),
        restricted_hits(predictions),
    )
    wrong = [(a or "", r or "", w, i) for a, r, w, i, hit in zip(*columns, strict=True) if not hit]
    pairs = [(a, r) for a, r, _, _ in wrong]
    placed = [(r, w, i) for _, r, w, i in wrong if w and i is not None and 0 <= i < len(w)]
    adjacent = _share(placed, lambda e: e[0] in neighbours(e[1], e[2]))
    if adjacent:
        chances = [
            (len(w) > 1) * (1 if i in (0, len(w) - 1) else 2) / max(1, len(w) - 1) for _, w, i in placed
        ]
        adjacent["chance"] = math.fsum(chances) / len(chances)
    return {
        "n": len(wrong),
        "adjacent": adjacent,
        "in_word": _share(placed, lambda e: e[0] in e[1][: e[2]] + e[1][e[2] + 1 :]),
        "look_alike": _share(pairs, lambda e: look_alike(*e)),
        "case": _share(pairs, lambda e: e[0].lower() == e[1].lower()),
    }


def _share(errors: list[Any], applies: Callable[[Any], bool]) -> dict[str, float] | None:
    if not errors:
        return None
    return {"n": len(errors), **proportion(sum(map(applies, errors)), len(errors))}
