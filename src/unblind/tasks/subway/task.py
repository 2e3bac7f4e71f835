"""The task: how many routes join two stations?"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from unblind.tasks.answers import MISCOUNTS, chance, counts
from unblind.tasks.base import Pixels, Prompt, Task, Trait, Wording, braced
from unblind.tasks.fonts import FontLibrary, find_fonts
from unblind.tasks.knobs import whole
from unblind.tasks.replies import COUNT_RULES
from unblind.tasks.splits import Split, split_by_hash
from unblind.tasks.subway.benchmark import COUNT, benchmark_font, benchmark_scenes
from unblind.tasks.subway.sample import MOST_CONNECTIONS, Options, sample, sample_lattice, twin
from unblind.tasks.subway.scene import POINTS, Scene, draw

_BETWEEN = re.compile(r"\b(?:from|between)\s+([A-D])\s+(?:to|and)\s+([A-D])\b")


class Subway(Task[Scene]):
    """Coloured routes on a lattice, between stations at its border."""

    name = "subway"
    title = "How many routes join two stations?"
    pictures = "Subway maps"
    held_out = (
        "The lattice on which a map's routes run decides which split it belongs to, so that all that is asked"
        " of one map is in one split; its letters' font is of that split. The benchmark's maps have another"
        " lattice, other stations and letters; their font, DejaVu Sans, is not held out."
    )
    benchmark = ("Subway Connections",)
    benchmark_count = COUNT
    prompts = {
        "paths": Prompt(
            "How many single-colored paths go from {start} to {end}? Answer with a number in curly brackets,"
            " e.g., {3}",
            braced,
        ),
        "routes": Prompt(
            "Count the one-colored routes that go from {start} to {end}. Answer with a number in curly"
            " brackets, e.g., {3}",
            braced,
        ),
        "short": Prompt("How many lines join {start} and {end}?"),
    }
    answers = counts(0, MOST_CONNECTIONS)
    options_class = Options
    scene_class = Scene
    own_columns = {
        "start": "string",
        "end": "string",
        "map": "string",
        "stations": "int64",
        "routes": "int64",
        "crossings": "int64",
        "thickness": "float64",
        "resolution": "int64",
    }
    meanings = {
        "start": "the station from which the routes are counted",
        "end": "the station to which they lead",
        "map": "the same for the same routes, whatever is asked and however they are drawn",
        "stations": "stations of the map",
        "routes": "routes of the map",
        "crossings": "places that several routes share",
        "thickness": "line width, in 1/1296 of the image",
        "resolution": "image width, px",
    }
    traits = {
        "connections": Trait("routes from one to the other", lambda row: int(row["answer"]), curve=True),
        "routes": Trait("routes of the map", lambda row: row.get("routes"), curve=True),
        "stations": Trait("stations of the map", lambda row: row.get("stations")),
        "crossings": Trait(
            "places that several routes share", lambda row: row.get("crossings"), (0, 1, 5, 10, 20, 40)
        ),
        "thickness": Trait(
            "line width, in 1/1296 of the image", lambda row: row.get("thickness"), (0.0, 9.0, 15.0, 21.0)
        ),
    }
    mistakes = MISCOUNTS
    base_rates = {"chance": chance(answers, "123")}
    rules = COUNT_RULES
    cluster = "map"
    wording = Wording(success="counted the routes between the two stations", truth="drawn")
    too_tight = "use a larger --image-size, fewer --stations or --connections, or more --nodes"
    demo = "unblind.tasks.subway.demo"

    def resources(self, options: Options) -> FontLibrary:
        """The fonts that the options name. Raises FontsError."""
        return find_fonts(*options.fonts)

    def known_resources(self) -> FontLibrary:
        """The fonts of a plain install; the benchmark's is one of them."""
        return find_fonts()

    def benchmark_resources(self, options: Options) -> FontLibrary:
        """DejaVu Sans Bold. Raises FontsError."""
        return FontLibrary((benchmark_font(),))

    def sample(
        self, rng: np.random.Generator, split: Split, options: Options, resources: FontLibrary
    ) -> Scene | None:
        """A map of the split; each number of routes between the two stations is as likely as the others."""
        lattice = sample_lattice(rng, options)
        if self.split_of(lattice) != split:
            return None
        fonts = resources.of_split(split)
        return sample(rng, lattice, fonts[whole(rng, 0, len(fonts) - 1)], options)

    def draw(self, scene: Scene, resources: FontLibrary, without: str | None = None) -> Pixels:
        """The map."""
        return draw(scene, resources.get(scene.font)).pixels

    def split_of(self, scene: Scene) -> Split:
        """By a hash of the lattice, so that all questions of a map, and its twins, are in one split."""
        return split_by_hash(self.name, repr((scene.origin, scene.pitch)), 0.8, 0.9)

    def hashes(self, resources: FontLibrary) -> Mapping[str, str]:
        """Of the font files."""
        fonts = "".join(font.digest for font in resources.fonts)
        return {"fonts_sha256": hashlib.sha256(fonts.encode()).hexdigest()}

    def remarks(self, options: Options, resources: FontLibrary, preset: str | None) -> Sequence[str]:
        """That the benchmark's maps are random."""
        return ("Subway maps: a new sample by the benchmark's rules.",) if preset == "blindtest" else ()

    def truth(self, scene: Scene, which: str = "") -> str:
        """The number of routes between the two stations."""
        return str(scene.connections)

    def contrast(self, rng: np.random.Generator, scene: Scene, which: str = "") -> Scene | None:
        """The same map with one route more, or one less, between the two stations."""
        return twin(rng, scene)

    def columns(self, scene: Scene) -> Mapping[str, Any]:
        """What was drawn, and asked."""
        start, end = scene.asked
        return {
            "start": scene.stations[start][0],
            "end": scene.stations[end][0],
            "map": f"{zlib.crc32(repr((scene.nodes, scene.routes)).encode()):08x}",
            "stations": len(scene.stations),
            "routes": len(scene.routes),
            "crossings": scene.crossings,
            "thickness": round(scene.line_width * POINTS / scene.image_size, 3),
            "resolution": scene.image_size,
        }

    def benchmark_scenes(self, seed: int, resources: FontLibrary) -> Iterator[Scene]:
        """A new sample by the benchmark's rules: 180 maps, 536 questions."""
        return benchmark_scenes(np.random.default_rng((seed, COUNT)), resources.fonts[0])

    def benchmark_columns(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """Between which stations, on which map, and how many routes it has."""
        asked = _BETWEEN.search(str(metadata.get("prompt")))
        pair = str(metadata.get("stations") or "".join(asked.groups() if asked else ()))
        start, end = list(pair) if len(pair) == 2 else (None, None)
        return {
            "start": start,
            "end": end,
            "map": metadata.get("image"),
            "stations": 4,
            "routes": metadata.get("routes"),
        }


TASK = Subway()
