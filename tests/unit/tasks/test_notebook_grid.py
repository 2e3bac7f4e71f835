"""The original notebook's grid: which words it takes, and when they run out."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from unblind.errors import SceneError, WordsError
from unblind.tasks.circled_letter.notebook import grid_scenes, grid_words, notebook_scenes
from unblind.tasks.circled_letter.options import Resources
from unblind.tasks.fonts import FontLibrary, split_of_family
from unblind.tasks.splits import SPLITS
from unblind.tasks.words import WordSource, load_words


def test_words_that_leave_the_image_are_passed_over(words: WordSource, fonts: FontLibrary):
    bold = [font for font in fonts.fonts if (font.family, font.style) == ("DejaVu Serif", "Bold Italic")]
    resources = Resources(tuple(bold), words=words)
    split = split_of_family("DejaVu Serif")
    rng = np.random.default_rng((0, SPLITS.index(split)))
    drawn = [words.sample(rng, split) for _ in range(1_000)]
    with pytest.raises(SceneError):
        list(grid_scenes(drawn, bold, paddings=(25,), line_widths=(6,)))
    kept = [word for word, _ in itertools.islice(grid_words(0, split, resources), 200)]
    assert list(grid_scenes(kept, bold))


def test_any_rows_of_the_grid_are_those_of_the_whole(words: WordSource, fonts: FontLibrary):
    resources = Resources(fonts.fonts, words=words)
    whole = list(notebook_scenes(3, "test", range(500), resources))
    assert len(whole) == 500
    for rows in (range(1), range(120, 260), range(499, 500)):
        assert list(notebook_scenes(3, "test", rows, resources)) == whole[rows.start : rows.stop]


def test_the_grid_says_when_words_run_out(tmp_path: Path, fonts: FontLibrary):
    (tmp_path / "words.txt").write_text("Acknowledgement\n")
    resources = Resources(fonts.fonts, words=load_words(str(tmp_path / "words.txt")))
    with pytest.raises(WordsError, match="too few words"):
        list(grid_words(0, "test", resources))
