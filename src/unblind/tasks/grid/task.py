"""The task: how many rows and columns are there?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from unblind.tasks.answers import chance
from unblind.tasks.base import AnswerSpace, Mistake, Pixels, Prompt, Row, Task, Trait, Wording
from unblind.tasks.fonts import FontLibrary, find_fonts
from unblind.tasks.grid.benchmark import COUNT, benchmark_font, benchmark_scenes, known_fonts
from unblind.tasks.grid.scene import (
    BENCHMARK_DRAWN,
    BENCHMARK_SHAPES,
    FEWEST,
    MOST,
    Options,
    Scene,
    draw,
    fill,
    sample,
    twin,
)
from unblind.tasks.knobs import likely, whole
from unblind.tasks.replies import PAIR_RULES
from unblind.tasks.splits import SPLITS, Split, split_by_hash
from unblind.tasks.words import WordList, WordSource, load_words, odd_lines_left_out

_GAP = r"[\s{}()\[\]\"'`“”‘’.:*=,]*"
_PAIR = re.compile(
    rf"{_GAP}(?:rows?)?{_GAP}(\d{{1,3}})(?!\d){_GAP}(?:rows?)?{_GAP}(?:x|×|by|and)?{_GAP}"
    rf"(?:col(?:umn)?s?)?{_GAP}(\d{{1,3}}){_GAP}(?:col(?:umn)?s?)?{_GAP}",
    re.IGNORECASE,
)


def parse_pair(reply: str) -> str | None:
    """The two whole numbers that a reply is: `5,6` for `(5,6)`, `rows={5} columns={6}`, `5 x 6`."""
    match = _PAIR.fullmatch(reply)
    return ",".join(str(int(number)) for number in match.groups()) if match else None


def in_parentheses(answer: str) -> str:
    """`(5,6)`."""
    return f"({answer})"


def in_words(answer: str) -> str:
    """`rows={5} columns={6}`."""
    return "rows={{{}}} columns={{{}}}".format(*answer.split(","))


@dataclass(frozen=True)
class Resources:
    """Words to choose from, and fonts to draw with."""

    words: WordSource
    fonts: FontLibrary


_NO_WORDS = WordList("nothing", dict.fromkeys(SPLITS, ()))  # for scenes that are only drawn again


def _numbers(answer: str) -> tuple[int, int]:
    rows, columns = map(int, answer.split(","))
    return rows, columns


def _number(row: Row, which: int) -> int:
    return _numbers(row["answer"])[which]


def _mistaken(row: Row, reply: str, rows: Sequence[int], columns: Sequence[int]) -> bool | None:
    """Whether a reply is off by one of these numbers in each; None for a reply that is no pair."""
    told, right = parse_pair(reply), _numbers(row["answer"])
    if told is None:
        return None
    off = tuple(a - b for a, b in zip(_numbers(told), right, strict=True))
    return off != (0, 0) and off[0] in rows and off[1] in columns


def _swapped(row: Row, reply: str) -> bool | None:
    told, right = parse_pair(reply), _numbers(row["answer"])
    return None if told is None else _numbers(told) == right[::-1] != right


_ANY = range(-1000, 1000)


class Grid(Task[Scene]):
    """Tables, blank or with words in their cells."""

    name = "grid"
    title = "How many rows and columns does a table have?"
    pictures = "Tables, blank and with words"
    held_out = (
        "Where a table begins decides which split it belongs to; its words and its font are of that split."
        " No table is nearer than 2 px of 224 to one of the benchmark's."
    )
    benchmark = ("Counting Grid - Blank Grids", "Counting Grid - Word Grids")
    benchmark_count = COUNT
    prompts = {
        "pair": Prompt(
            "How many rows and columns are in the table? Answer with only the numbers in a pair (row,"
            " column), e.g., (5,6)",
            in_parentheses,
        ),
        "braces": Prompt(
            "Count the number of rows and columns and answer with numbers in curly brackets. For example,"
            " rows={5} columns={6}",
            in_words,
        ),
        "short": Prompt("How many rows and columns are there?"),
    }
    answers = AnswerSpace(
        tuple(f"{rows},{columns}" for rows, columns in product(range(FEWEST, MOST + 1), repeat=2)), parse_pair
    )
    options_class = Options
    scene_class = Scene
    own_columns = {
        "kind": "string",
        "thickness": "float64",
        "cell": "float64",
        "resolution": "int64",
    }
    meanings = {
        "kind": "`blank`, or `text` for tables with words",
        "thickness": "line width, in 1/2000 of the image",
        "cell": "the least side of a cell, in % of the image",
        "resolution": "image width, px",
    }
    traits = {
        "kind": Trait(
            "the cells", lambda row: row.get("kind"), groups={"blank": "blank", "text": "with words"}
        ),
        "rows": Trait("rows", lambda row: _number(row, 0), curve=True),
        "columns": Trait("columns", lambda row: _number(row, 1), curve=True),
        "square": Trait(
            "rows and columns",
            lambda row: "same" if _number(row, 0) == _number(row, 1) else "different",
            groups={"same": "as many rows as columns", "different": "different numbers"},
        ),
        "cells": Trait("cells", lambda row: _number(row, 0) * _number(row, 1), (4, 10, 20, 40, 80, 145)),
        "thickness": Trait(
            "line width, in 1/2000 of the image",
            lambda row: row.get("thickness"),
            (0.0, 7.0, 13.0, 20.0, 30.0),
        ),
        "cell": Trait(
            "the least side of a cell, in % of the image",
            lambda row: row.get("cell"),
            (0.0, 4.0, 6.0, 10.0, 16.0, 32.0),
        ),
    }
    mistakes = {
        "one_off": Mistake(
            "numbers that are off by one at most", partial(_mistaken, rows=(-1, 0, 1), columns=(-1, 0, 1))
        ),
        "lines": Mistake(
            "the lines instead of what is between them", partial(_mistaken, rows=(1,), columns=(1,))
        ),
        "swapped": Mistake("rows and columns swapped", _swapped),
        "rows_only": Mistake(
            "the rows right, the columns wrong", partial(_mistaken, rows=(0,), columns=_ANY)
        ),
        "columns_only": Mistake(
            "the columns right, the rows wrong", partial(_mistaken, rows=_ANY, columns=(0,))
        ),
    }
    base_rates = {"chance": chance(answers, [f"{rows},{columns}" for rows, columns in BENCHMARK_SHAPES])}

    rules = PAIR_RULES
    wording = Wording(success="counted the rows and the columns", truth="drawn")
    demo = "unblind.tasks.grid.demo"

    def resources(self, options: Options) -> Resources:
        """The words and fonts that the options name. Raises WordsError and FontsError."""
        words = load_words(
            options.words,
            min_length=options.min_length,
            max_length=options.max_length,
            skip_odd=options.skip_odd_words,
        )
        return Resources(words, find_fonts(*options.fonts))

    def known_resources(self) -> Resources:
        """The fonts of a plain install, and the benchmark's where the system has it."""
        return Resources(_NO_WORDS, known_fonts())

    def benchmark_resources(self, options: Options) -> Resources:
        """Liberation Sans. Raises FontsError."""
        named = () if options.fonts == Options.fonts else options.fonts
        return Resources(_NO_WORDS, FontLibrary((benchmark_font(*named),)))

    def sample(
        self, rng: np.random.Generator, split: Split, options: Options, resources: Resources
    ) -> Scene | None:
        """A table; with words and a font of the split, if any. Raises WordsError and FontsError."""
        lettered = likely(rng, options.lettered)
        scene = sample(rng, options, 0.6 if lettered else 0.3)
        if not lettered or self.split_of(scene) != split:
            return scene
        fonts = resources.fonts.of_split(split)
        return fill(rng, scene, resources.words, fonts[whole(rng, 0, len(fonts) - 1)], split)

    def draw(self, scene: Scene, resources: Resources, without: str | None = None) -> Pixels:
        """The table."""
        return draw(scene, resources.fonts.get(scene.font) if scene.words else None).pixels

    def split_of(self, scene: Scene) -> Split:
        """By a hash of where the table begins, so that a scene and its twins are in one split."""
        return split_by_hash(self.name, repr((scene.xs[0], scene.ys[0], scene.line_width)), 0.8, 0.9)

    def hashes(self, resources: Resources) -> Mapping[str, str]:
        """Of the words, and of the font files."""
        fonts = "".join(font.digest for font in resources.fonts.fonts)
        texts = {"words_sha256": repr(resources.words), "fonts_sha256": fonts}
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}

    def remarks(self, options: Options, resources: Resources, preset: str | None) -> Sequence[str]:
        """How the benchmark's tables differ from the real ones; how many lines of words were left out."""
        if preset != "blindtest":
            return odd_lines_left_out(resources.words)
        family = resources.fonts.fonts[0].family
        return (f"The benchmark's tables; those with words have common words of ours, in {family}.",)

    def truth(self, scene: Scene, which: str = "") -> str:
        """The number of rows, a comma, the number of columns."""
        return f"{scene.rows},{scene.columns}"

    def contrast(self, rng: np.random.Generator, scene: Scene, which: str = "") -> Scene | None:
        """The same table without its last row, or its last column."""
        return twin(rng, scene)

    def columns(self, scene: Scene) -> Mapping[str, Any]:
        """What was drawn."""
        return {
            "kind": "text" if scene.words else "blank",
            "thickness": round(scene.line_width * BENCHMARK_DRAWN / scene.image_size, 3),
            "cell": round(100 * scene.smallest / scene.image_size, 3),
            "resolution": scene.image_size,
        }

    def benchmark_scenes(self, seed: int, resources: Resources) -> Iterator[Scene]:
        """The benchmark's 264 tables; the words in half of them are not the benchmark's."""
        return benchmark_scenes(resources.fonts.fonts[0])

    def benchmark_columns(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is in the cells, line width and resolution."""
        found = {name: metadata[name] for name in ("kind", "resolution") if name in metadata}
        if "line_width" in metadata:
            found["thickness"] = metadata["line_width"]
        return found


TASK = Grid()
