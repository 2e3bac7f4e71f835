"""From predictions to numbers: accuracies with intervals, breakdowns, errors, base rates. No torch."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from unblind.scoring.base_rates import base_rates
from unblind.scoring.breakdowns import breakdowns
from unblind.scoring.calibration import calibration
from unblind.scoring.intervals import clustered, mean_share, proportion
from unblind.scoring.mistakes import mistakes
from unblind.scoring.predictions import TWIN, Answered, by_task, check, is_number
from unblind.scoring.rules import rules_of
from unblind.tasks.base import ACCEPTED

WAYS = ("free", "restricted")


def score(predictions: pa.Table) -> dict[str, Any]:
    """Score predictions: columns ``id, answer, free, restricted``, and what more of the dataset is known.

    The column `task` says which task each sample is of; predictions without it are of one task, see
    `unblind.tasks.registry.task_of`. Raises DatasetError as `check` does.

    Returns, for one task, ``{"n", "accuracy": {"free", "restricted"}, "rules", "by", "errors",
    "calibration", "base_rates", "contrast", "task", "clusters",
    "samples_sha256"}``, all shares in [0, 1]. An accuracy is
    ``{"value", "low", "high"}`` with Wilson's 95 % interval; ``free`` is None if no free answers were asked
    for, and so is ``rules``, the free accuracy by each of the task's rules; ``restricted`` is None where
    answers are none of a few choices. The others count restricted answers, or else free ones: `breakdowns`,
    `mistakes`, `calibration` (None without probabilities), `base_rates`. ``contrast`` is as in `contrast`,
    None where no twins were asked about. ``clusters`` is None, or the column
    `by` which samples resemble each other, with the accuracies in intervals that know it (`clustered`).
    ``samples_sha256`` is `samples_hash`. Where evaluation measured how many of an answer's tokens were right,
    each after the right ones before it, ``accuracy`` has ``tokens`` with their mean share as ``value``.

    Returns, for several tasks, ``{"n", "tasks", "mean", "share", "samples_sha256"}``: ``tasks`` has the above
    by name; ``mean`` of the tasks' accuracies (`mean_share`), and ``share`` of all samples (Wilson), each
    ``{"free", "restricted"}``, None unless every task has it.
    """
    check(predictions)
    answered = by_task(predictions)
    tasks = {name: _score(of_task) for name, of_task in answered.items()}
    if len(tasks) == 1:
        return next(iter(tasks.values()))
    return {
        "n": predictions.num_rows,
        "tasks": tasks,
        "mean": {way: _mean(list(tasks.values()), way) for way in WAYS},
        "share": {way: _share(list(answered.values()), way) for way in WAYS},
        "samples_sha256": samples_hash(answered),
    }


def _score(answered: Answered) -> dict[str, Any]:
    rules = by_rules(answered)
    return {
        "n": len(answered),
        "accuracy": accuracies(answered),
        "rules": rules,
        "by": breakdowns(answered),
        "errors": mistakes(answered) if answered.expected else None,
        "calibration": calibration(answered.probabilities, answered.hits) if answered.restricted else None,
        "base_rates": base_rates(answered),
        "contrast": contrast(answered),
        "task": answered.task.name,
        "clusters": _clusters(answered),
        "samples_sha256": samples_hash({answered.task.name: answered}),
    }


def accuracies(answered: Answered) -> dict[str, Any]:
    """The shares of right answers, `free` and `restricted`, and of right `tokens`, as in `score`."""
    accuracy: dict[str, Any] = {way: _proportion(hits_by(answered, way)) for way in WAYS}
    tokens = [value for row in answered.rows if is_number(value := row.get("tokens_right"))]
    if not answered.restricted and len(tokens) == len(answered):
        accuracy["tokens"] = {"value": math.fsum(tokens) / len(tokens)}
    return accuracy


def hits_by(answered: Answered, way: str) -> list[bool] | None:
    """Right or wrong by sample, by the `free` or `restricted` answers; None if these were not asked for."""
    if way == "free":
        return answered.free_hits()
    return answered.restricted_hits() if answered.restricted else None


def _proportion(hits: Sequence[bool] | None) -> dict[str, float] | None:
    return None if hits is None else proportion(sum(hits), len(hits))


def by_rules(answered: Answered, rule: str | None = None) -> dict[str, dict[str, float]] | None:
    """Accuracy of the free replies by each rule, or by one, with Wilson's 95 % interval.

    None without free replies. Raises RecipeError for a rule that the task does not have.
    """
    shares = {}
    for name in rules_of(answered.task) if rule is None else [rule]:
        hits = answered.free_hits(name)
        if hits is None:
            return None
        shares[name] = proportion(sum(hits), len(hits))
    return shares


def contrast(answered: Answered) -> dict[str, Any] | None:
    """How often both pictures of a contrast pair were answered right; None without pairs.

    Returns ``{"n", "both", "twins"}``: how many samples have a twin, the share of these of which both are
    right, and the share of right twins, the last two ``{"free", "restricted"}`` as in `accuracies`.
    """
    rows = [row for row in answered.rows if row.get(TWIN["answer"]) is not None]
    if not rows:
        return None
    own = {ACCEPTED: None}  # what counts for the picture itself does not for its twin
    twin_rows = [{**row, **own, **{name: row.get(column) for name, column in TWIN.items()}} for row in rows]
    pairs = Answered(answered.task, rows), Answered(answered.task, twin_rows)
    shares: dict[str, Any] = {"n": len(rows), "both": {}, "twins": {}}
    for way in WAYS:
        firsts, twins = (hits_by(part, way) for part in pairs)
        both = [a and b for a, b in zip(firsts, twins, strict=True)] if firsts and twins else None
        shares["both"][way], shares["twins"][way] = _proportion(both), _proportion(twins)
    return shares


def _clusters(answered: Answered) -> dict[str, Any] | None:
    column = answered.task.cluster
    values = [row.get(column) for row in answered.rows] if column else [None]
    if None in values or len(set(values)) < 2:
        return None
    by_way = {way: hits_by(answered, way) for way in WAYS}
    return {"by": column} | {
        way: None if hits is None else clustered(hits, values) for way, hits in by_way.items()
    }


def samples_hash(answered: Mapping[str, Answered]) -> str:
    """SHA-256, in hex, of what was asked: of each sample the id, the right answer and the question.

    It is of UTF-8 JSON, a list of ``[id, answer, question]`` a sample, sorted, without spaces. Models can be
    compared where it is the same: samples change between versions of the code that draws them.
    """
    rows = chain.from_iterable(of_task.rows for of_task in answered.values())
    asked = sorted([str(row["id"]), row["answer"], str(row.get("prompt") or "")] for row in rows)
    text = json.dumps(asked, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _mean(tasks: Sequence[Mapping[str, Any]], way: str) -> dict[str, float] | None:
    accuracies = [metrics["accuracy"][way] for metrics in tasks]
    return None if None in accuracies else mean_share(accuracies)


def _share(answered: Sequence[Answered], way: str) -> dict[str, float] | None:
    hits = [hits_by(of_task, way) for of_task in answered]
    known = [of_task for of_task in hits if of_task is not None]
    return _proportion(list(chain.from_iterable(known))) if len(known) == len(hits) else None
