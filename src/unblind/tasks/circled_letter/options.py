"""The sampler's knobs, and what they stand for: words and fonts."""

# Annotations are evaluated here: those of a class that inherits the fields are looked up in its own module.

from dataclasses import dataclass, field
from typing import Annotated, Literal

from cyclopts import Parameter

from unblind.flags import Drawing, Question
from unblind.options import refuse_unknown
from unblind.tasks.circled_letter.scene import SceneOptions
from unblind.tasks.fonts import FontLibrary
from unblind.tasks.splits import SPLITS
from unblind.tasks.words import WordList, WordSource

NO_WORDS = WordList("nothing", dict.fromkeys(SPLITS, ()))  # for scenes that are only drawn again


@dataclass(frozen=True)
class Options:
    """Which words and fonts, and how they are drawn.

    Attributes:
        words: `webster`, `nltk`, `random`, or a text file with one word a line.
        skip_odd_words: leave out a file's lines with other letters than A-Z a-z, instead of refusing them.
        min_length: letters.
        max_length: letters.
        random_strings: share of the training images that show random strings, of up to 20 letters, instead.
        fonts: `bundled`, `system`, folders, or files.
        bold: keep bold fonts.
        italic: keep italic fonts.
        scene: the drawing's knobs.
        answer: what is asked for: the circled `letter`, or the `word` (with `--prompt read`, a reading test).
    """

    words: str = "webster"
    skip_odd_words: Drawing[Annotated[bool, Parameter(negative=())]] = False
    min_length: int = 5
    max_length: int = 15
    random_strings: Drawing[float] = 0.0
    fonts: tuple[str, ...] = ("bundled",)
    bold: Drawing[bool] = True
    italic: Drawing[bool] = True
    scene: Annotated[SceneOptions, Parameter(name="*")] = field(default_factory=SceneOptions)
    answer: Question[Literal["letter", "word"]] = "letter"

    def __post_init__(self) -> None:
        """Refuse what is no choice. Raises RecipeError."""
        refuse_unknown(self)

    @property
    def image_size(self) -> int:
        """px; images are square."""
        return self.scene.image_size


@dataclass(frozen=True)
class Resources(FontLibrary):
    """Fonts to draw with, and words to choose from."""

    words: WordSource = NO_WORDS
