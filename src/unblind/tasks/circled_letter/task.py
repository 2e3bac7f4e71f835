"""The task: which letter of a word is circled?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from shlex import join
from typing import Any

import numpy as np

from unblind.errors import FontsError, SceneError
from unblind.tasks.base import AnswerSpace, Caption, Pixels, Prompt, Row, Task, braced
from unblind.tasks.circled_letter.blindtest import COUNT, benchmark_fonts, benchmark_scenes, known_fonts
from unblind.tasks.circled_letter.draw import draw, letter_boxes
from unblind.tasks.circled_letter.notebook import notebook_scenes
from unblind.tasks.circled_letter.options import Options, Resources
from unblind.tasks.circled_letter.overlap import benchmark_overlap, overlap
from unblind.tasks.circled_letter.redraw import without_letter
from unblind.tasks.circled_letter.scene import Scene, circle_another, sample_with_font
from unblind.tasks.circled_letter.traits import BASE_RATES, MISTAKES, TRAITS, WORDING, caption
from unblind.tasks.fonts import FontLibrary, find_fonts
from unblind.tasks.replies import LETTER_RULES
from unblind.tasks.splits import Split
from unblind.tasks.words import LETTERS, load_words, odd_lines_left_out, some_random

READ = "Read the word."
_ONE_LETTER = re.compile(r"[\s{}()\[\]\"'`“”‘’.:*]*([A-Za-z])[\s{}()\[\]\"'`“”‘’.:*]*")
_CIRCLED = "Which letter is being circled?"
_HIGHLIGHTED = "Which character is being highlighted with a red oval?"
_BRACES = " Please provide your answer in curly brackets, e.g. {a}"


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
        "read": Prompt(READ, truth="word"),
        # the original notebook's: the word itself. It leaks the spelling; kept for comparison only
        "word": Prompt("{word}"),
    }
    side_prompts = ("read", "word")
    answers = AnswerSpace(
        tuple(LETTERS),
        lambda reply: parse_letter(reply),
        called="the 52 letters A–Z and a–z, upper and lower case apart",
        reading="it is the circled letter and nothing else but quotes, brackets, dots and spaces",
        noun="letters",
    )
    options_class = Options
    scene_class = Scene
    pictures = "Words with one letter circled"
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
        "padding": "float64",
        "line_width": "float64",
        "overlap": "float64",
    }
    meanings = {
        "letter": "the circled letter",
        "index": "which letter of the word is circled, from 0",
        "font": "its family",
        "ambiguous": "whether the ellipse holds another letter's centre too",
        "padding": "free space on either side of the word, in 1/96 em",
        "line_width": "of the ellipse, in points on a figure 10 inches wide",
        "overlap": "how far the ellipse reaches into a neighbour's ink, as a share of that one's width",
    }
    folder_columns = {  # the original notebook's
        "word": "word",
        "circled_letter": "letter",
        "circled_index": "index",
        "image_path": "image_path",
    }
    presets = ("notebook",)
    preset_options = tuple(one.name for one in fields(Options) if one.name != "scene")
    benchmark_count = COUNT
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
        words = load_words(
            options.words,
            min_length=options.min_length,
            max_length=options.max_length,
            skip_odd=options.skip_odd_words,
        )
        words = some_random(words, options.random_strings, options.min_length)
        library = find_fonts(*options.fonts, bold=options.bold, italic=options.italic)
        return Resources(library.fonts, library.skipped, words)

    def known_resources(self) -> Resources:
        """The fonts of a plain install, and the benchmark's where the system has them."""
        return Resources(known_fonts().fonts)

    def benchmark_resources(self, options: Options) -> Resources:
        """Open Sans, and Helvetica or Liberation Sans. Raises FontsError."""
        named = () if options.fonts == Options.fonts else options.fonts
        return Resources(benchmark_fonts(*named))

    def sample(
        self, rng: np.random.Generator, split: Split, options: Options, resources: Resources
    ) -> Scene | None:
        """A word and a font of the split, and the rest at random. Raises WordsError and FontsError."""
        fonts = resources.of_split(split)
        font = fonts[int(rng.integers(len(fonts)))]
        return sample_with_font(rng, resources.words.sample(rng, split), font, options.scene)

    def preset_scenes(
        self, preset: str, seed: int, split: Split, rows: range, options: Options, resources: Resources
    ) -> Iterator[Scene]:
        """The original notebook's grid. Raises WordsError where there are too few words."""
        return notebook_scenes(seed, split, rows, resources)

    def draw(self, scene: Scene, resources: FontLibrary, without: str | None = None) -> Pixels:
        """The word with its ellipse; without it, the circled letter, or the `other`, half the word away.

        Raises FontsError, and SceneError for a word that has no other letter.
        """
        font = resources.get(scene.font.digest)
        if without == "other" and len(scene.word) == 1:
            raise SceneError(f"{scene.word!r} has no other letter that could be left out")
        if without in (None, "ellipse"):
            return draw(scene, font, circled=without is None)
        away = 0 if without == "letter" else len(scene.word) // 2
        return without_letter(scene, font, (scene.index + away) % len(scene.word))

    def split_of(self, scene: Scene) -> None:
        """None: words and font families have splits of their own, which `sample` keeps to."""

    def truth(self, scene: Scene, which: str = "") -> str:
        """The circled letter, or the `word`."""
        return scene.word if which == "word" else scene.letter

    def contrast(self, rng: np.random.Generator, scene: Scene, which: str = "") -> Scene | None:
        """The same word with the letter beside the circled one circled; None if its font is not at hand."""
        if which:
            return None  # the word stays
        try:
            font = self.known_resources().get(scene.font.digest)
        except FontsError:
            return None
        beside = [scene.index - 1, scene.index + 1][:: 1 if rng.random() < 0.5 else -1]
        for index in beside:
            if 0 <= index < len(scene.word) and scene.word[index] != scene.letter:
                twin = circle_another(scene, font, index)
                if twin is not None:
                    return twin
        return None

    def columns(self, scene: Scene) -> Mapping[str, Any]:
        """What was drawn."""
        return {
            "word": scene.word,
            "letter": scene.letter,
            "index": scene.index,
            "font": scene.font.family,
            "ambiguous": scene.ambiguous,
            "padding": float(scene.padding),
            "line_width": float(scene.line_width),
        }

    def measured(self, scene: Scene, resources: FontLibrary) -> Mapping[str, Any]:
        """How far the ring reaches into a neighbour, which the font's outlines tell."""
        boxes = letter_boxes(scene, resources.get(scene.font.digest))
        return {"overlap": overlap(scene, boxes.tolist())}

    def truth_asked(self, options: Options) -> str:
        """What `--answer` says, whatever the prompt asks for."""
        return "word" if options.answer == "word" else ""

    def hashes(self, resources: Resources) -> Mapping[str, str]:
        """Of the words, and of the font files."""
        fonts = "".join(font.digest for font in resources.fonts)
        texts = {"words_sha256": repr(resources.words), "fonts_sha256": fonts}
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}

    def remarks(self, options: Options, resources: Resources, preset: str | None) -> list[str]:
        """Which fonts the benchmark is drawn with; how many lines and font files were left out."""
        if preset == "blindtest":
            fonts = " and ".join(resources.families)
            stand_in = "; Liberation Sans stands in for Helvetica, which is not here"
            return [f"The benchmark's words in {fonts}{stand_in if 'Liberation' in fonts else ''}."]
        odd = odd_lines_left_out(resources.words)
        if not resources.skipped or options.fonts == Options.fonts:
            return odd
        list_them = f"unblind fonts {join(options.fonts)} --left-out"
        return [*odd, f"{len(resources.skipped)} font files were left out: {list_them}"]

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
        return benchmark_scenes(resources.fonts)

    def benchmark_columns(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """What was drawn, and the overlap, which the real images' metadata lacks."""
        drawn = {name: metadata.get(name) for name in ("word", "index", "font", "padding", "thickness")}
        letter = metadata.get("letter") or metadata.get("groundtruth")
        return {**drawn, "letter": letter, "overlap": benchmark_overlap(*drawn.values())}


def parse_letter(text: str) -> str | None:
    """The letter that a reply names, or None.

    The reply has to be one letter A-Z or a-z; braces, brackets, quotes, dots and spaces around it are
    ignored. A sentence is no answer: rules that search one for a letter read the `t` of "The letter is k.".
    """
    match = _ONE_LETTER.fullmatch(text)
    return match.group(1) if match else None


TASK = CircledLetter()
