"""From predictions to numbers: accuracies with intervals, breakdowns, errors, base rates. No torch."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pyarrow as pa

from unblind.scoring.breakdowns import breakdowns
from unblind.scoring.calibration import calibration
from unblind.scoring.intervals import proportion
from unblind.scoring.mistakes import mistakes
from unblind.scoring.predictions import check, free_hits, restricted_hits, shares, texts
from unblind.scoring.rules import RULES
from unblind.tasks.words import LETTERS


def score(predictions: pa.Table) -> dict[str, Any]:
    """Score predictions: columns ``id, answer, free, restricted``, and what more of the dataset is known.

    Returns ``{"n", "accuracy": {"free", "restricted"}, "rules", "by", "errors", "calibration",
    "base_rates": {"chance", "first_letter", "most_frequent_letter", "blank_image", "uncircled"}}``, all
    shares in [0, 1]. An accuracy is ``{"value", "low", "high"}``; ``free`` is None if no free answers were
    asked for, and so is ``rules``, the free accuracy by each of `RULES`. Breakdowns (`breakdowns`), errors
    (`mistakes`) and `calibration` count restricted answers. What the dataset does not tell is left out.
    Raises DatasetError as `check` does.

    Where answers are longer than a letter, nothing is restricted: ``restricted`` is None, breakdowns count
    free answers, there are no errors, calibration or base rates, and ``tokens`` is the mean share of an
    answer's tokens that are right, each after the right ones before it.
    """
    check(predictions)
    if predictions["restricted"].null_count:
        return _score_texts(predictions)
    hits = restricted_hits(predictions)
    rules = by_rules(predictions)
    return {
        "n": len(hits),
        "accuracy": {"free": rules and rules["exact"], "restricted": proportion(sum(hits), len(hits))},
        "rules": rules,
        "by": breakdowns(predictions, hits),
        "errors": mistakes(predictions),
        "calibration": calibration(shares(predictions, "probability"), hits),
        "base_rates": _base_rates(predictions),
    }


def by_rules(predictions: pa.Table) -> dict[str, dict[str, float]] | None:
    """Accuracy of the free replies by each rule, with Wilson's 95 % interval; None without free replies."""
    found = {rule: free_hits(predictions, rule) for rule in RULES}
    return {
        rule: proportion(sum(hits), len(hits)) for rule, hits in found.items() if hits is not None
    } or None


def _score_texts(predictions: pa.Table) -> dict[str, Any]:
    rules = by_rules(predictions)
    accuracy: dict[str, Any] = {"free": rules and rules["exact"], "restricted": None}
    if "tokens_right" in predictions.column_names:
        right = predictions["tokens_right"].to_pylist()
        accuracy["tokens"] = {"value": math.fsum(right) / len(right)}
    by = breakdowns(predictions, free_hits(predictions) or [False] * predictions.num_rows)
    return {"n": predictions.num_rows, "accuracy": accuracy, "rules": rules, "by": by, "base_rates": {}}


def _base_rates(predictions: pa.Table) -> dict[str, float]:
    """What needs no eyes: any letter of the word, always its first one, always the commonest answer; and what
    the model says to a blank image, and to the word without its ellipse, where that was asked.
    """
    answers, words = texts(predictions, "answer"), texts(predictions, "word")
    known = [(answer, word) for answer, word in zip(answers, words, strict=True) if word]
    rates = {"chance": math.fsum(1 / (len(word) if word else len(LETTERS)) for word in words) / len(words)}
    if known:
        rates["first_letter"] = sum(answer == word[0] for answer, word in known) / len(known)
    rates["most_frequent_letter"] = max(Counter(answers).values()) / len(answers)
    for name, column in (("blank_image", "blank"), ("uncircled", "uncircled")):
        if column in predictions.column_names:
            rates[name] = sum(restricted_hits(predictions, column)) / len(answers)
    return rates
