"""The original notebook's grid: word by word, each in a random font, every letter x padding x line width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from unblind.errors import SceneError, WordsError
from unblind.tasks.circled_letter.blindtest import IMAGE_SIZE, LINE_WIDTHS, PADDINGS, SCALE
from unblind.tasks.circled_letter.options import Resources
from unblind.tasks.circled_letter.scene import Scene, lay_out
from unblind.tasks.fonts import Font
from unblind.tasks.splits import SPLITS, Split

_TRIES = 10_000  # words without a new one, after which there are no more


def notebook_scenes(seed: int, split: Split, rows: range, resources: Resources) -> Iterator[Scene]:
    """These rows of a split; words before them are passed over without laying them out.

    Raises:
        WordsError: there are too few words.
    """
    first = 0
    for word, font in grid_words(seed, split, resources):
        if first >= rows.stop:
            return
        end = first + len(word) * len(PADDINGS) * len(LINE_WIDTHS)
        if end > rows.start:
            scenes = list(grid_scenes([word], [font]))
            yield from scenes[max(0, rows.start - first) : rows.stop - first]
        first = end


def grid_words(seed: int, split: Split, resources: Resources) -> Iterator[tuple[str, Font]]:
    """Words in random order, each in a random font; no pair twice, and none that leaves the image.

    Raises:
        WordsError: there are no more.
    """
    rng = np.random.default_rng((seed, SPLITS.index(split)))
    fonts = resources.of_split(split)
    seen: set[tuple[str, Font]] = set()
    tries = 0
    while tries < _TRIES:
        tries += 1
        pair = resources.words.sample(rng, split), fonts[int(rng.integers(len(fonts)))]
        if pair in seen or not _fits(*pair):
            continue
        seen.add(pair)
        tries = 0
        yield pair
    raise WordsError(
        f"there are too few words for that many {split} images; use a longer list (--words), or ask for fewer"
    )


def _fits(word: str, font: Font) -> bool:
    """Whether the tightest cells fit; an oblique bold font's first or last ellipse may not."""
    try:
        return bool(list(grid_scenes([word], [font], paddings=PADDINGS[:1], line_widths=LINE_WIDTHS[-1:])))
    except SceneError:
        return False


def grid_scenes(
    words: Sequence[str],
    fonts: Sequence[Font],
    *,
    image_size: int = IMAGE_SIZE,
    paddings: Sequence[float] = PADDINGS,
    line_widths: Sequence[float] = LINE_WIDTHS,
    ellipse_scale: float = SCALE,
) -> Iterator[Scene]:
    """Every letter of every word x font x padding x line width.

    Scenes whose ellipse holds a second letter's centre are kept, and flagged `ambiguous`.

    Raises:
        SceneError: a word that does not fit into the image.
    """
    for word, font, padding, line_width in product(words, fonts, paddings, line_widths):
        for index in range(len(word)):
            scene = lay_out(
                word,
                index,
                font,
                image_size=image_size,
                padding=float(padding),
                ellipse_scale=ellipse_scale,
                line_width=float(line_width),
            )
            if scene is None:
                raise SceneError(
                    f"'{word}' in {font.family} {font.style} with padding {padding} does not fit"
                    f" into {image_size} px; use a larger padding"
                )
            yield scene
