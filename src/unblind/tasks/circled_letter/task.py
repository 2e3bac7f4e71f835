"""The task: which letter of a word is circled?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unblind.tasks.base import AnswerSpace, Caption, Pixels, Prompt, Row, Task, braced
from unblind.tasks.circled_letter.blindtest import benchmark_fonts, benchmark_scenes, known_fonts
from unblind.tasks.circled_letter.draw import draw
from unblind.tasks.circled_letter.redraw import without_letter
from unblind.tasks.circled_letter.scene import Scene, SceneOptions, sample_with_font
from unblind.tasks.circled_letter.traits import BASE_RATES, MISTAKES, TRAITS, WORDING, caption
from unblind.tasks.fonts import FontLibrary, find_fonts
from unblind.tasks.replies import LETTER_RULES
from unblind.tasks.splits import SPLITS, Split
from unblind.tasks.words import LETTERS, WordList, WordSource, load_words, some_random

_ONE_LETTER = re.compile(r"[\s{}()\[\]\"'`“”‘’.:*]*([A-Za-z])[\s{}()\[\]\"'`“”‘’.:*]*")
_CIRCLED = "Which letter is being circled?"
_HIGHLIGHTED = "Which character is being highlighted with a red oval?"
_BRACES = " Please provide your answer in curly brackets, e.g. {a}"


@dataclass(frozen=True)
class Options:
    """The sampler's knobs: which words and fonts, and how they are drawn."""

    words: str = "webster"
    min_length: int = 5
    max_length: int = 15
    random_strings: float = 0.0
    fonts: tuple[str, ...] = ("bundled",)
    bold: bool = True
    italic: bool = True
    scene: SceneOptions = field(default_factory=SceneOptions)

    @property
    def image_size(self) -> int:
        """px; images are square."""
        return self.scene.image_size


@dataclass(frozen=True)
class Resources:
    """Words to choose from, and fonts to draw with."""

    words: WordSource
    fonts: FontLibrary


NO_WORDS = WordList("nothing", dict.fromkeys(SPLITS, ()))  # for scenes that are only drawn again


class CircledLetter(Task[Scene]):
    """Words in many fonts, one letter of each circled."""

    name = "circled-letter"
    title = "Which letter of a word is circled?"
    benchmark = ("Circled Letter",)
    prompts = {
        # BlindTest's two questions, without and with its request for curly brackets (vlmsareblind.github.io)
        "circled": Prompt(_CIRCLED),
        "highlighted": Prompt(_HIGHLIGHTED),
        "circled-braces": Prompt(_CIRCLED + _BRACES, braced),
        "highlighted-braces": Prompt(_HIGHLIGHTED + _BRACES, braced),
        # what the tiny base was pre-trained with
        "read": Prompt("Read the word.", truth="word"),
        # the original notebook's: the word itself. It leaks the spelling; kept for comparison only
        "word": Prompt("{word}"),
    }
    answers = AnswerSpace(
        tuple(LETTERS),
        lambda reply: parse_letter(reply),
        called="the 52 letters A–Z and a–z, upper and lower case apart",
        reading="it is the circled letter and nothing else but quotes, brackets, dots and spaces",
        noun="letters",
    )
    options_class = Options
    scene_class = Scene
    held_out = "The words and the font families of each split occur in no other split."
    limits = (
        "horizontal printed words of Latin letters on plain backgrounds, with one ellipse each; no"
        " photographs, no handwriting, no other scripts. The words are as their list has them, sifted by"
        " nothing but their letters."
    )
    own_columns = {
        "word": "string",
        "letter": "string",
        "index": "int64",
        "font": "string",
        "ambiguous": "bool",
    }
    parts = ("ellipse", "letter", "other")
    traits = TRAITS
    mistakes = MISTAKES
    base_rates = BASE_RATES
    rules = LETTER_RULES
    cluster = "font"
    wording = WORDING
    demo = "unblind.tasks.circled_letter.demo"
    too_tight = "use a larger --padding, a smaller --jitter or --ellipse-scale, or shorter words"

    def resources(self, options: Options) -> Resources:
        """The words and fonts that the options name. Raises WordsError and FontsError."""
        words = load_words(options.words, min_length=options.min_length, max_length=options.max_length)
        words = some_random(words, options.random_strings, options.min_length)
        return Resources(words, find_fonts(*options.fonts, bold=options.bold, italic=options.italic))

    def known_resources(self) -> Resources:
        """The fonts of a plain install, and the benchmark's where the system has them."""
        return Resources(NO_WORDS, known_fonts())

    def benchmark_resources(self, options: Options) -> Resources:
        """Open Sans, and Helvetica or Liberation Sans. Raises FontsError."""
        named = () if options.fonts == Options.fonts else options.fonts
        return Resources(NO_WORDS, FontLibrary(benchmark_fonts(*named)))

    def sample(
        self, rng: np.random.Generator, split: Split, options: Options, resources: Resources
    ) -> Scene | None:
        """A word and a font of the split, and the rest at random. Raises WordsError and FontsError."""
        fonts = resources.fonts.of_split(split)
        font = fonts[int(rng.integers(len(fonts)))]
        return sample_with_font(rng, resources.words.sample(rng, split), font, options.scene)

    def draw(self, scene: Scene, resources: Resources, without: str | None = None) -> Pixels:
        """The word with its ellipse; without it, the circled letter, or the `other`, half the word away."""
        font = resources.fonts.get(scene.font.digest)
        if without in (None, "ellipse"):
            return draw(scene, font, circled=without is None)
        away = 0 if without == "letter" else len(scene.word) // 2
        return without_letter(scene, font, (scene.index + away) % len(scene.word))

    def split_of(self, scene: Scene) -> None:
        """None: words and font families have splits of their own, which `sample` keeps to."""

    def truth(self, scene: Scene, which: str = "") -> str:
        """The circled letter, or the `word`."""
        return scene.word if which == "word" else scene.letter

    def columns(self, scene: Scene) -> Mapping[str, Any]:
        """What was drawn."""
        return {
            "word": scene.word,
            "letter": scene.letter,
            "index": scene.index,
            "font": scene.font.family,
            "ambiguous": scene.ambiguous,
        }

    def caption(self, row: Row) -> Caption:
        """The word with the circled letter ringed, and its font."""
        return caption(row)

    def drawn_from(self, settings: Mapping[str, Any]) -> str:
        """Which words were drawn, and how the splits are kept apart."""
        share = settings.get("random_strings")
        some = isinstance(share, float) and share > 0
        strings = f", and with random strings instead in {share:.0%} of them" if some else ""
        return (
            f" from the words of `{settings.get('words')}` with {settings.get('min_length')} to"
            f" {settings.get('max_length')} letters{strings}. The words and the font families of its"
            " training, validation and test images do not overlap, and the benchmark's own never occur in"
            " training."
        )

    def benchmark_scenes(self, seed: int, resources: Resources) -> Iterator[Scene]:
        """The benchmark's 1,248 scenes."""
        return benchmark_scenes(resources.fonts.fonts)

    def to_json(self, scene: Scene) -> str:
        """The scene as one line of JSON; floats are exact."""
        return scene.to_json()

    def from_json(self, text: str) -> Scene:
        """The inverse of `to_json`. Raises SceneError for a text that is no scene."""
        return Scene.from_json(text)


def parse_letter(text: str) -> str | None:
    """The letter that a reply names, or None.

    The reply has to be one letter A-Z or a-z; braces, brackets, quotes, dots and spaces around it are
    ignored. A sentence is no answer: rules that search one for a letter read the `t` of "The letter is k.".
    """
    match = _ONE_LETTER.fullmatch(text)
    return match.group(1) if match else None


TASK = CircledLetter()
