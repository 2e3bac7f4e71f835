"""What is known of a circled letter: traits, mistakes and base rates, for breakdowns and the report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from unblind.tasks.base import MOST_FREQUENT, BaseRate, Caption, Mistake, Row, Trait, Wording
from unblind.tasks.words import LETTERS

# Small letters of a similar shape, after Bouma 1971 (Vision Research 11:459-474); capitals count as their
# small letters do.
LOOK_ALIKES = ("aszx", "eoc", "nmu", "rvw", "dhkb", "tilf", "gpjyq")
WHICH = "Which letter it is"


def look_alike(one: str, other: str) -> bool:
    """Whether two different letters, case aside, have a similar shape."""
    one, other = one.lower(), other.lower()
    return one != other and any(one in group and other in group for group in LOOK_ALIKES)


def neighbours(word: str, index: int) -> set[str]:
    """The letters directly before and after ``word[index]``."""
    return {word[i] for i in (index - 1, index + 1) if 0 <= i < len(word)}


# -- what a row tells; it may be of anyone's dataset, so a column may be absent, or hold anything ---------


def _text(row: Row, column: str) -> str | None:
    value = row.get(column)
    return value if isinstance(value, str) and value else None


def _index(row: Row) -> int | None:
    value = row.get("index")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _place(row: Row) -> tuple[str, int] | None:
    """The word, and the place of the circled letter in it."""
    word, index = _text(row, "word"), _index(row)
    return (word, index) if word and index is not None and 0 <= index < len(word) else None


def _of_place(describe: Callable[[str, int], str]) -> Callable[[Row], str | None]:
    """A trait that word and place tell."""

    def group(row: Row) -> str | None:
        place = _place(row)
        return describe(*place) if place else None

    return group


def _drawn(name: str, *columns: str) -> Callable[[Row], Any]:
    """A number of the drawing: from the first of the columns that has one, or else from the scene."""

    def group(row: Row) -> Any:
        column = next((column for column in columns if row.get(column) is not None), None)
        return row[column] if column else _scene(row).get(name)

    return group


def _scene(row: Row) -> dict[str, Any]:
    try:
        scene = json.loads(_text(row, "scene") or "{}")
    except (ValueError, RecursionError):
        return {}
    return scene if isinstance(scene, dict) else {}


# -- traits -----------------------------------------------------------------------------------------------


def _length(row: Row) -> int | None:
    word = _text(row, "word")
    return len(word) if word else None


def _case(row: Row) -> str | None:
    answer = _text(row, "answer")
    if not answer or len(answer) > 1 or not answer.isalpha():
        return None
    return "upper" if answer.isupper() else "lower"


def _repeated(word: str, index: int) -> str:
    return "repeated" if word.count(word[index]) > 1 else "once"


def _look_alikes(word: str, index: int) -> str:
    if any(look_alike(word[index], letter) for letter in neighbours(word, index)):
        return "beside"
    return "elsewhere" if any(look_alike(word[index], letter) for letter in word) else "nowhere"


def _percent(group: str) -> str:
    """`0.1–0.2` as per cent."""
    ends, *more = group.split(" ", 1)
    return " ".join(["–".join(f"{float(end) * 100:.0f}" for end in ends.split("–")) + "\u202f%", *more])


TRAITS = {
    "length": Trait("letters in the word", _length, curve=True),
    "position": Trait(
        "place of the circled letter (1 = first)",
        _index,
        show=lambda place: str(int(place) + 1),
        curve=True,
    ),
    "font": Trait("font", lambda row: _text(row, "font"), section=""),
    "letter": Trait("letter", lambda row: _text(row, "answer"), section=""),
    "overlap": Trait(
        "The ring covers of a neighbour's width",
        lambda row: row["overlap"],
        bins=(0, 0.1, 0.2, 0.3, 0.4, 0.5),
        show=_percent,
    ),
    "padding": Trait(
        "Padding, 1/96 em on either side", _drawn("padding", "padding"), bins=(0, 25, 50, 100, 150, 200)
    ),
    "line_width": Trait(
        "Width of the line, points", _drawn("line_width", "thickness", "line_width"), bins=(0, 3, 4, 5, 6, 7)
    ),
    "case": Trait(
        "The circled letter is",
        _case,
        groups={"lower": "a small letter", "upper": "a capital"},
        section=WHICH,
    ),
    "repeated": Trait(
        "It is in the word",
        _of_place(_repeated),
        groups={"once": "once", "repeated": "more than once"},
        section=WHICH,
    ),
    "look_alike": Trait(
        "A letter of similar shape is",
        _of_place(_look_alikes),
        groups={"beside": "beside it", "elsewhere": "elsewhere in the word", "nowhere": "not in the word"},
        section=WHICH,
    ),
}


# -- mistakes ---------------------------------------------------------------------------------------------


def _adjacent(row: Row, reply: str) -> bool | None:
    place = _place(row)
    return reply in neighbours(*place) if place else None


def _chance_of_neighbour(row: Row) -> float:
    """The share of the word's other letters that stand beside the circled one."""
    place = _place(row)
    if place is None or len(place[0]) == 1:
        return 0.0
    word, index = place
    beside = 1 if index in (0, len(word) - 1) else 2
    return beside / (len(word) - 1)


def _in_word(row: Row, reply: str) -> bool | None:
    place = _place(row)
    if place is None:
        return None
    word, index = place
    return reply in word[:index] + word[index + 1 :]


MISTAKES = {
    "adjacent": Mistake(
        "a direct neighbour of the circled letter",
        _adjacent,
        _chance_of_neighbour,
        at_random="Another letter of the word at random would be a neighbour",
        meaning="it looked beside the circle",
    ),
    "in_word": Mistake("a letter of the word, next to it or not", _in_word),
    "look_alike": Mistake("a letter of similar shape", lambda row, reply: look_alike(row["answer"], reply)),
    "case": Mistake(
        "the right letter in the other case", lambda row, reply: row["answer"].lower() == reply.lower()
    ),
}


# -- base rates -------------------------------------------------------------------------------------------


def _chance(rows: Sequence[Row]) -> float:
    words = (_text(row, "word") for row in rows)
    return math.fsum(1 / (len(word) if word else len(LETTERS)) for word in words) / len(rows)


def _first_letter(rows: Sequence[Row]) -> float | None:
    firsts = [word[0] == row["answer"] for row in rows if (word := _text(row, "word"))]
    return firsts.count(True) / len(firsts) if firsts else None


BASE_RATES = {
    "chance": BaseRate(
        "Chance",
        _chance,
        "One letter of the word at random, averaged over the images; 1 in 52 where the word is not known.",
    ),
    "first_letter": BaseRate("Always the word's first letter", _first_letter),
    "most_frequent_letter": MOST_FREQUENT,  # its name when this was the only task
}


# -- the report -------------------------------------------------------------------------------------------


def caption(row: Row) -> Caption:
    """The word with the circled letter ringed, and its font."""
    font, place = _text(row, "font") or "", _place(row)
    if place is None:
        return Caption(note=font)
    word, index = place
    return Caption(word[:index], word[index], word[index + 1 :], font)


WORDING = Wording(
    success="named the circled letter",
    truth="circled",
    why_blind=(
        "The base has learnt to read printed words, but it was never asked about circles: shown a word with"
        " one letter ringed, it cannot tell which one is meant."
    ),
    parts={
        "ellipse": "the circle",
        "letter": "the letter in the circle",
        "other": "a letter half the word away",
    },
    covering=(
        "A model that sees the circle falls back to its habits without it, and hardly minds the absence of"
        " another letter."
    ),
    without="shown the word without its circle",
)
