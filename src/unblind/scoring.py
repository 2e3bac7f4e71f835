"""From predictions to numbers: accuracies with intervals, breakdowns, base rates, confusions. No torch."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import pyarrow as pa

from unblind.errors import DatasetError
from unblind.prompts import parse_letter
from unblind.words import LETTERS

REQUIRED = ("id", "answer", "free", "restricted")


def wilson(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The Wilson score interval (Wilson 1927, JASA 22:209-212) of a proportion, 95 % by default.

    Raises ValueError unless 0 <= successes <= n and n > 0.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"wilson needs 0 <= successes <= n and n > 0, got {successes} of {n}")
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # The interval holds the share; rounding may not take that away at 0 and 1.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def proportion(successes: int, n: int) -> dict[str, float]:
    """``{"value", "low", "high"}``: a share and its Wilson 95 % interval, all in [0, 1]."""
    low, high = wilson(successes, n)
    return {"value": successes / n, "low": low, "high": high}


def score(predictions: pa.Table) -> dict[str, Any]:
    """Score predictions: columns ``id, answer, free, restricted`` and, if known, ``word, index, font``.

    Returns ``{"n", "accuracy": {"free", "restricted"}, "by": {"length", "position", "font", "letter"},
    "base_rates": {"chance", "first_letter", "most_frequent_letter"}}``, all shares in [0, 1]. An accuracy is
    ``{"value", "low", "high"}``; ``free`` is None if no free answers were asked for. An entry of a breakdown
    has its ``n`` too, counts restricted answers, and has a string as key (positions from "0"). What the
    dataset does not tell is left out. Raises DatasetError as `check` does.

    Where answers are longer than a letter, nothing is restricted: ``restricted`` is None, breakdowns count
    free answers, there are no base rates, and ``tokens`` is the mean share of an answer's tokens that are
    right, each after the right ones before it.
    """
    check(predictions)
    if predictions["restricted"].null_count:
        return _score_texts(predictions)
    hits = restricted_hits(predictions)
    return {
        "n": len(hits),
        "accuracy": {"free": _free_accuracy(predictions), "restricted": proportion(sum(hits), len(hits))},
        "by": _breakdowns(predictions, hits),
        "base_rates": _base_rates(predictions),
    }


def _score_texts(predictions: pa.Table) -> dict[str, Any]:
    accuracy: dict[str, Any] = {"free": _free_accuracy(predictions), "restricted": None}
    if "tokens_right" in predictions.column_names:
        shares = predictions["tokens_right"].to_pylist()
        accuracy["tokens"] = {"value": math.fsum(shares) / len(shares)}
    by = _breakdowns(predictions, free_hits(predictions) or [])
    return {"n": predictions.num_rows, "accuracy": accuracy, "by": by, "base_rates": {}}


def check(predictions: pa.Table) -> None:
    """Raise DatasetError for predictions that are empty, lack a column or an answer, or hold an id twice.

    `restricted` may be null throughout (answers longer than a letter), but not here and there.
    """
    missing = [name for name in REQUIRED if name not in predictions.column_names]
    if missing:
        found = ", ".join(predictions.column_names) or "none"
        raise DatasetError(
            f"predictions lack the column {missing[0]!r} (found: {found}); run `unblind evaluate` again"
        )
    if predictions.num_rows == 0:
        raise DatasetError("predictions are empty: evaluate at least one sample")
    ids = predictions["id"].to_pylist()
    twice = next((id_ for id_, count in Counter(ids).items() if count > 1), None)
    if twice is not None:
        raise DatasetError(f"predictions hold the id {twice!r} more than once; give every sample its own id")
    for name in ("answer", "restricted"):
        values = texts(predictions, name)
        if name == "restricted" and predictions[name].null_count == len(values):
            continue
        if None in values:
            raise DatasetError(f"predictions have no text as {name!r} at id {ids[values.index(None)]!r}")


def texts(table: pa.Table, name: str) -> list[str | None]:
    """A column as texts; all None if it is absent or holds something else."""
    values = table[name].to_pylist() if name in table.column_names else [None] * table.num_rows
    return [value if isinstance(value, str) else None for value in values]


def integers(table: pa.Table, name: str) -> list[int | None]:
    """A column as integers; all None if it is absent or holds something else."""
    values = table[name].to_pylist() if name in table.column_names else [None] * table.num_rows
    return [value if isinstance(value, int) and not isinstance(value, bool) else None for value in values]


def restricted_hits(predictions: pa.Table) -> list[bool]:
    """For each sample, whether the best of the 52 letters is the answer (case counts)."""
    return [
        a == r for a, r in zip(texts(predictions, "answer"), texts(predictions, "restricted"), strict=True)
    ]


def free_hits(predictions: pa.Table) -> list[bool] | None:
    """For each sample, whether the free reply is the answer (case counts); None without free replies."""
    replies = texts(predictions, "free")
    if all(reply is None for reply in replies):
        return None
    return [
        reply is not None and answer in (parse_letter(reply), reply.strip())
        for answer, reply in zip(texts(predictions, "answer"), replies, strict=True)
    ]


def confusions(predictions: pa.Table) -> dict[tuple[str, str], int]:
    """How often each ``(answer, restricted)`` pair of different letters occurs, most frequent first."""
    pairs = zip(texts(predictions, "answer"), texts(predictions, "restricted"), strict=True)
    wrong = Counter((a, r) for a, r in pairs if a is not None and r is not None and a != r)
    return dict(sorted(wrong.items(), key=lambda item: (-item[1], item[0])))


def adjacent_error_share(predictions: pa.Table) -> dict[str, float] | None:
    """The share of errors that name a direct neighbour of the circled letter in the word (case counts).

    Returns ``{"n", "value", "low", "high"}`` over errors whose word and index are known, or None.
    """
    adjacent = [
        reply in neighbours(word, index)
        for word, index, reply, hit in zip(
            texts(predictions, "word"),
            integers(predictions, "index"),
            texts(predictions, "restricted"),
            restricted_hits(predictions),
            strict=True,
        )
        if not hit and word and index is not None and 0 <= index < len(word)
    ]
    return {"n": len(adjacent), **proportion(sum(adjacent), len(adjacent))} if adjacent else None


def neighbours(word: str, index: int) -> set[str]:
    """The letters directly before and after ``word[index]``."""
    return {word[i] for i in (index - 1, index + 1) if 0 <= i < len(word)}


def _free_accuracy(predictions: pa.Table) -> dict[str, float] | None:
    hits = free_hits(predictions)
    return None if hits is None else proportion(sum(hits), len(hits))


def _breakdowns(predictions: pa.Table, hits: Sequence[bool]) -> dict[str, dict[str, dict[str, float]]]:
    keys: dict[str, Sequence[Any]] = {
        "length": [len(word) if word else None for word in texts(predictions, "word")],
        "position": integers(predictions, "index"),
        "font": texts(predictions, "font"),
        "letter": texts(predictions, "answer"),
    }
    return {
        name: _by(values, hits) for name, values in keys.items() if any(value is not None for value in values)
    }


def _by(keys: Iterable[Any], hits: Sequence[bool]) -> dict[str, dict[str, float]]:
    groups: dict[Hashable, list[bool]] = defaultdict(list)
    for key, hit in zip(keys, hits, strict=True):
        if key is not None:
            groups[key].append(hit)
    return {str(key): {"n": len(g), **proportion(sum(g), len(g))} for key, g in sorted(groups.items())}


def _base_rates(predictions: pa.Table) -> dict[str, float]:
    """What needs no eyes: any letter of the word, always its first one, always the commonest answer."""
    answers, words = texts(predictions, "answer"), texts(predictions, "word")
    known = [(answer, word) for answer, word in zip(answers, words, strict=True) if word]
    rates = {"chance": math.fsum(1 / (len(word) if word else len(LETTERS)) for word in words) / len(words)}
    if known:
        rates["first_letter"] = sum(answer == word[0] for answer, word in known) / len(known)
    rates["most_frequent_letter"] = max(Counter(answers).values()) / len(answers)
    return rates
