"""The task: how many squares are there?"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from unblind.tasks.answers import MISCOUNTS, chance, counts
from unblind.tasks.base import Pixels, Prompt, Task, Trait, Wording, braced
from unblind.tasks.nested_squares.scene import (
    BENCHMARK_DEPTHS,
    MOST_SQUARES,
    POINTS,
    Options,
    Scene,
    benchmark_scenes,
    draw,
    sample,
    twin,
)
from unblind.tasks.replies import COUNT_RULES
from unblind.tasks.splits import Split, split_by_hash

IMAGES = 10  # of each depth, in the benchmark; each is drawn in three line widths


class NestedSquares(Task[Scene]):
    """The outlines of squares, each inside the one before."""

    name = "nested-squares"
    title = "How many squares lie in one another?"
    pictures = "Squares in one another"
    held_out = (
        "The outermost square decides which split a scene belongs to; no scene is nearer than 2 px of 224 to"
        " one of the benchmark's."
    )
    benchmark = ("Nested Squares",)
    benchmark_count = len(BENCHMARK_DEPTHS) * IMAGES * 3
    prompts = {
        "total": Prompt(
            "Count total number of squares in the image. Answer with only the number in numerical format in"
            " curly brackets e.g. {3}.",
            braced,
        ),
        "how-many": Prompt(
            "How many squares are in the image? Please answer with a number in curly brackets e.g., {10}.",
            braced,
        ),
        "short": Prompt("How many squares are there?"),
    }
    answers = counts(1, MOST_SQUARES)
    options_class = Options
    scene_class = Scene
    own_columns = {
        "figure": "string",
        "thickness": "float64",
        "gap": "float64",
        "smallest": "float64",
        "resolution": "int64",
    }
    meanings = {
        "figure": "the same for the same squares, whatever their lines",
        "thickness": "line width, in 1/720 of the image",
        "gap": "the least background between two squares, in % of the image",
        "smallest": "the innermost square's side, in % of the image",
        "resolution": "image width, px",
    }
    traits = {
        "squares": Trait("squares", lambda row: int(row["answer"]), curve=True),
        "thickness": Trait(
            "line width, in 1/720 of the image", lambda row: row.get("thickness"), (0.0, 2.5, 3.5, 5.0, 8.0)
        ),
        "gap": Trait(
            "the least background between two squares, in % of the image",
            lambda row: row.get("gap"),
            (0.0, 0.5, 1.0, 2.0, 4.0, 8.0),
        ),
        "smallest": Trait(
            "the innermost square's side, in % of the image",
            lambda row: row.get("smallest"),
            (0.0, 2.0, 4.0, 8.0, 16.0, 32.0),
        ),
    }
    mistakes = MISCOUNTS
    base_rates = {"chance": chance(answers, tuple(map(str, BENCHMARK_DEPTHS)))}
    rules = COUNT_RULES
    cluster = "figure"
    wording = Wording(success="counted the squares", truth="drawn")
    demo = "unblind.tasks.nested_squares.demo"

    def sample(self, rng: np.random.Generator, split: Split, options: Options, resources: None) -> Scene:
        """Squares in one another; each number of them is as likely as the others."""
        return sample(rng, options)

    def draw(self, scene: Scene, resources: None, without: str | None = None) -> Pixels:
        """The squares."""
        return draw(scene).pixels

    def split_of(self, scene: Scene) -> Split:
        """By a hash of the outermost square, so that a scene and its twins are in one split."""
        return split_by_hash(self.name, repr(scene.squares[0]), 0.8, 0.9)

    def remarks(self, options: Options, resources: None, preset: str | None) -> Sequence[str]:
        """That the benchmark's squares are random."""
        return ("Nested squares: a new sample by the benchmark's rules.",) if preset == "blindtest" else ()

    def truth(self, scene: Scene, which: str = "") -> str:
        """The number of squares."""
        return str(len(scene.squares))

    def contrast(self, rng: np.random.Generator, scene: Scene, which: str = "") -> Scene | None:
        """The same squares without one, or with one more."""
        return twin(rng, scene)

    def columns(self, scene: Scene) -> Mapping[str, Any]:
        """What was drawn."""
        percent = 100 / scene.image_size
        return {
            "figure": f"{zlib.crc32(repr(scene.squares).encode()):08x}",
            "thickness": round(scene.line_width * POINTS / scene.image_size, 3),
            "gap": round(min(scene.gaps) * percent, 3) if scene.gaps else None,
            "smallest": round(scene.squares[-1][2] * percent, 3),
            "resolution": scene.image_size,
        }

    def benchmark_scenes(self, seed: int, resources: None) -> Iterator[Scene]:
        """A new sample by the benchmark's rules: 40 figures, each in three line widths."""
        return benchmark_scenes(np.random.default_rng((seed, self.benchmark_count)), IMAGES)

    def benchmark_columns(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """The line width, and which images show the same squares."""
        figure = f"{metadata.get('groundtruth')}-{metadata['image']}" if "image" in metadata else None
        return {"figure": figure, "thickness": metadata.get("thickness")}


TASK = NestedSquares()
