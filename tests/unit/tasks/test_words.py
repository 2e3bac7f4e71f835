"""Words: sources, filters, and splits that never move."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblind.errors import WordsError
from unblind.tasks.splits import SPLITS
from unblind.tasks.words import (
    BENCHMARK_WORDS,
    LETTERS,
    WordList,
    load_words,
    odd_lines_left_out,
    some_random,
    split_of,
)


def test_webster_has_the_known_words_and_lengths() -> None:
    source = load_words("webster")
    assert isinstance(source, WordList)
    everything = [word for split in SPLITS for word in source.words(split)]
    assert {"scrawny", "plunge"} <= set(everything)
    assert 200_000 < len(everything) < 235_970
    assert {len(word) for word in everything} == set(range(5, 16))


def test_splits_are_disjoint_whatever_the_case() -> None:
    source = load_words("webster", min_length=3)
    assert isinstance(source, WordList)
    sets = [{word.lower() for word in source.words(split)} for split in SPLITS]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    assert 0.78 < len(sets[0]) / sum(map(len, sets)) < 0.82


@given(st.text(alphabet=LETTERS, min_size=1, max_size=20))
def test_a_word_keeps_its_split_in_any_case(word: str) -> None:
    assert split_of(word) == split_of(word.upper()) == split_of(word.lower())


def test_splits_are_pinned() -> None:
    # A changed hash would let words that the embedded base was trained on into the test split.
    assert [split_of(word) for word in ("scrawny", "plunge", "anarchist", "zebra", "tention")] == PINNED
    assert {split_of(word) for word in BENCHMARK_WORDS} == {"test"}


PINNED = ["train", "train", "train", "validation", "train"]


def test_the_split_does_not_depend_on_the_list(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("scrawny\nplunge\nzebra\n")
    small, large = load_words(str(path)), load_words("webster")
    assert isinstance(small, WordList) and isinstance(large, WordList)
    for split in SPLITS:
        assert set(small.words(split)) <= set(large.words(split))


@pytest.mark.parametrize("split", SPLITS)
def test_random_strings_stay_in_their_split(split: str) -> None:
    source = load_words("random", min_length=5, max_length=20)
    rng = np.random.default_rng(1)
    drawn = [source.sample(rng, split) for _ in range(200)]  # type: ignore[arg-type]
    assert {split_of(text) for text in drawn} == {split}
    assert {len(text) for text in drawn} == set(range(5, 21))
    assert any(text != text.lower() != text.upper() for text in drawn)


def test_odd_lines_are_left_out_by_choice_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("harbour\nna\u00efve\n\nit's\nanchor\nlight house\n")
    with pytest.raises(WordsError, match=r"line 2: .*\(and 2 lines more\).*--skip-odd-words"):
        load_words(str(path))
    words = load_words(str(path), skip_odd=True)
    assert sorted(word for split in SPLITS for word in words.words(split)) == ["anchor", "harbour"]
    assert odd_lines_left_out(words) == [f"3 lines of {path} with characters outside A-Z a-z were left out."]
    assert odd_lines_left_out(some_random(words, 0.5, 5)) == odd_lines_left_out(words)
    assert odd_lines_left_out(load_words("random")) == []
    path.write_text("harbour\nanchor\n")
    assert repr(words).replace(", odd_lines=3", "") == repr(load_words(str(path)))  # it is hashed


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"good\nna\xc3\xafve\n", "line 2"),
        (b"two words\n", "line 1"),
        (b"nul\x00byte\n", "line 1"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"abc\n", "no word of 5 to 15 letters"),
        (b"a" * 10_000, "no word of 5 to 15 letters"),
    ],
)
def test_a_bad_file_is_named_with_the_reason(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(WordsError, match=says) as caught:
        load_words(str(path))
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 400


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WordsError, match="folder"):
        load_words(str(tmp_path))
    with pytest.raises(WordsError, match="no such file"):
        load_words(str(tmp_path / "absent"))
    with pytest.raises(WordsError, match="min-length"):
        load_words("webster", min_length=9, max_length=3)


def test_an_empty_split_says_so(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("scrawny\n")
    with pytest.raises(WordsError, match="test split"):
        load_words(str(path)).sample(np.random.default_rng(0), "test")


def test_random_strings_are_for_training_alone() -> None:
    words = load_words("webster", min_length=5, max_length=6)
    source = some_random(words, 0.25, 5)
    rng = np.random.default_rng(0)
    drawn = {split: [source.sample(rng, split) for _ in range(400)] for split in SPLITS}
    known = {split: set(words.words(split)) for split in SPLITS}
    strings = [word for word in drawn["train"] if word not in known["train"]]
    assert 60 < len(strings) < 140
    assert {len(word) for word in strings} == set(range(5, 21))
    assert all(split_of(word) == "train" for word in drawn["train"])
    assert all(set(drawn[split]) <= known[split] for split in ("validation", "test"))


def test_without_random_strings_nothing_changes() -> None:
    words = load_words()
    assert some_random(words, 0.0, 5) is words


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_no_share_is_refused(share: float) -> None:
    with pytest.raises(WordsError, match="--random-strings"):
        some_random(load_words(), share, 5)
