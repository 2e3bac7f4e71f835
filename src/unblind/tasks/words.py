"""Words to draw: where they come from, and which split each belongs to."""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NoReturn, Protocol

import numpy as np

from unblind.errors import WordsError
from unblind.runtime.versions import install_command
from unblind.tasks.splits import SPLITS, Split, split_by_hash

LETTERS = string.ascii_uppercase + string.ascii_lowercase
BENCHMARK_WORDS = ("Acknowledgement", "Subdermatoglyphic", "tHyUiKaRbNqWeOpXcZvM")

_TRAIN, _VALIDATION = 0.8, 0.9  # cumulative shares of the splits
_RESERVED = {word.lower() for word in BENCHMARK_WORDS}
_MAX_FILE_BYTES = 64 * 2**20


def split_of(word: str) -> Split:
    """The split that a word belongs to, from a hash of its lower-cased letters alone.

    It depends on nothing else, so a word never changes sides, however many words are drawn.
    The benchmark's own words are always held out.
    """
    key = word.lower()
    if key in _RESERVED:
        return "test"
    return split_by_hash("word", key, _TRAIN, _VALIDATION)


class WordSource(Protocol):
    """Where a task takes its words from."""

    def sample(self, rng: np.random.Generator, split: Split) -> str:
        """A word of that split."""


@dataclass(frozen=True)
class WordList:
    """Words of A-Z a-z, parted into disjoint splits."""

    name: str
    by_split: dict[Split, tuple[str, ...]]
    odd_lines: int = field(default=0, repr=False)  # of its file, left out

    def words(self, split: Split) -> tuple[str, ...]:
        """All words of a split, sorted."""
        return self.by_split[split]

    def sample(self, rng: np.random.Generator, split: Split) -> str:
        """One word, each equally likely.

        Raises:
            WordsError: no word of the list falls into this split.
        """
        words = self.by_split[split]
        if not words:
            raise WordsError(
                f"no word of '{self.name}' falls into the {split} split; use a longer word list (--words)"
            )
        return words[int(rng.integers(len(words)))]


@dataclass(frozen=True)
class RandomStrings:
    """Random letters of both cases, like the benchmark's third string."""

    min_length: int
    max_length: int

    def sample(self, rng: np.random.Generator, split: Split) -> str:
        """A string whose hash puts it into this split; its length is uniform."""
        length = int(rng.integers(self.min_length, self.max_length + 1))
        while True:
            text = "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=length))
            if split_of(text) == split:
                return text


@dataclass(frozen=True)
class SomeRandom:
    """Words, but in the training split a share of random strings; the held-out splits are words alone."""

    words: WordSource
    strings: RandomStrings
    share: float

    def sample(self, rng: np.random.Generator, split: Split) -> str:
        """A word or a string of that split."""
        random = split == "train" and rng.random() < self.share
        return (self.strings if random else self.words).sample(rng, split)


def some_random(words: WordSource, share: float, min_length: int) -> WordSource:
    """The words, with this share of random strings among those to train on, up to the benchmark's 20 letters.

    Raises:
        WordsError: no share.
    """
    if not 0 <= share <= 1:
        raise WordsError(f"--random-strings {share:g}: need a share from 0 to 1")
    longest = max(len(word) for word in BENCHMARK_WORDS)
    return SomeRandom(words, RandomStrings(min(min_length, longest), longest), share) if share else words


def odd_lines_left_out(words: WordSource) -> list[str]:
    """A sentence on how many lines of the words' file were left out; none if none were."""
    words = words.words if isinstance(words, SomeRandom) else words
    if not isinstance(words, WordList) or not words.odd_lines:
        return []
    return [f"{words.odd_lines:,} lines of {words.name} with characters outside A-Z a-z were left out."]


def load_words(
    source: str = "webster", *, min_length: int = 5, max_length: int = 15, skip_odd: bool = False
) -> WordSource:
    """Words of `min_length` to `max_length` letters.

    Args:
        source: `webster` (Webster's Second, 1934, the list that NLTK calls `words`), `nltk` (that
            corpus as NLTK installed it), `random` (letter strings), or the path of a text file with
            one word a line.
        min_length: letters, at least 1.
        max_length: letters.
        skip_odd: leave out a file's lines with other characters than A-Z a-z, instead of refusing them.

    Raises:
        WordsError: unknown source, a missing, empty or unreadable file, a word with other letters.
    """
    if not 1 <= min_length <= max_length:
        raise WordsError(
            f"--min-length {min_length} and --max-length {max_length}: need 1 <= min-length <= max-length"
        )
    if source == "random":
        if max_length < 4:  # 52 strings of one letter cannot be told apart by case-blind splits
            raise WordsError("random strings need --max-length of at least 4, to keep the splits apart")
        return RandomStrings(min_length, max_length)
    if source == "webster":
        return _webster(min_length, max_length)
    if source == "nltk":
        return _part(source, _nltk(), min_length, max_length)
    lines = _read_file(Path(source))
    plain = [word for _, word in lines if _is_plain(word)]
    if len(plain) < len(lines) and not skip_odd:
        _refuse_odd(source, lines)
    return replace(_part(source, plain, min_length, max_length), odd_lines=len(lines) - len(plain))


@lru_cache(maxsize=4)
def _webster(min_length: int, max_length: int) -> WordList:
    from english_words import get_english_words_set

    words = (word for word in get_english_words_set(["web2"]) if _is_plain(word))
    return _part("webster", words, min_length, max_length)


def _part(source: str, words: Iterable[str], min_length: int, max_length: int) -> WordList:
    kept = {word for word in words if min_length <= len(word) <= max_length}
    if not kept:
        raise WordsError(
            f"'{source}' has no word of {min_length} to {max_length} letters;"
            " change --min-length and --max-length, or the list (--words)"
        )
    by_split: dict[Split, list[str]] = {split: [] for split in SPLITS}
    for word in sorted(kept):
        by_split[split_of(word)].append(word)
    return WordList(source, {split: tuple(found) for split, found in by_split.items()})


def _nltk() -> list[str]:
    try:
        from nltk.corpus import words
    except ImportError:
        raise WordsError(f"--words nltk: NLTK is not installed; run: {install_command('nltk')}") from None
    try:
        return [word for word in words.words() if _is_plain(word)]
    except LookupError:
        raise WordsError(
            "--words nltk: the corpus is not installed; run: python -m nltk.downloader words"
        ) from None


def _read_file(path: Path) -> list[tuple[int, str]]:
    """The lines with something in them, with their numbers."""
    if path.is_dir():
        raise WordsError(f"--words {path}: this is a folder; name a text file with one word a line")
    if not path.is_file():  # nor a pipe or a device, which would be read forever
        raise WordsError(f"--words {path}: no such file, nor one of webster, nltk, random")
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise WordsError(f"--words {path}: larger than 64 MiB; is it a word list?")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WordsError(f"--words {path}: not a readable UTF-8 text file ({error})") from None
    words = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not words:
        raise WordsError(f"--words {path}: the file is empty; it needs one word a line")
    return words


def _refuse_odd(source: str, lines: list[tuple[int, str]]) -> NoReturn:
    odd = [(number, word) for number, word in lines if not _is_plain(word)]
    number, word = odd[0]
    more = f" (and {len(odd) - 1:,} lines more)" if odd[1:] else ""
    raise WordsError(
        f"--words {source}, line {number}: {word[:40]!r} has characters outside A-Z a-z{more}; remove it,"
        " spell it with plain letters, or leave such lines out (--skip-odd-words)"
    )


def _is_plain(word: str) -> bool:
    return word.isascii() and word.isalpha()
