"""Two models on the same samples, pair by pair; one of them may be a published model's record. No torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from unblind.errors import DatasetError, RecipeError
from unblind.scoring.intervals import mcnemar, paired_difference, proportion
from unblind.scoring.predictions import Answered, by_task, read_predictions
from unblind.scoring.published import model_name
from unblind.scoring.rules import RULES
from unblind.tasks.base import Row

PUBLISHED = "published:"
WAYS = ("restricted", "free", *RULES)  # `free` is the rule `exact`

Hits = Mapping[str, bool]  # by sample id


def compare_sources(
    a: str,
    b: str,
    *,
    by: str = "restricted",
    prompt: str | None = None,
    reader: Callable[[Path], pa.Table] = read_predictions,
) -> dict[str, Any]:
    """Compare predictions on disk, or `published:MODEL` from the other's column `published`.

    Args:
        a: a predictions.parquet, the folder that holds one, or `published:MODEL`.
        b: likewise; not both may be published.
        by: one of `WAYS`; a published record is by its paper's own.
        prompt: which question the published model answered, the name of a task's prompt or a text; by default
            the sample's own, its request for curly brackets aside.
        reader: of the predictions; it may know other programs' files.

    Returns:
        `a`, `b` and `by` as given; `n`; `accuracy` of `a` and of `b`; and what `paired` returns. If the
        samples are of several tasks, `tasks` has the latter for each, by name.

    Raises:
        DatasetError: nothing there, other samples, no answers of the kind asked for, no such published model.
        RecipeError: an unknown way to compare.
    """
    if by not in WAYS:
        raise RecipeError(f"--by {by}: unknown; choose {', '.join(WAYS)}")
    if a.startswith(PUBLISHED) and b.startswith(PUBLISHED):
        raise DatasetError(
            f"{a} and {b} are both published; one of the two must be predictions on the benchmark's images"
        )
    tables = {source: reader(Path(source)) for source in (a, b) if not source.startswith(PUBLISHED)}
    if len(tables) == 2:
        check_same_samples(tables[a], tables[b], a, b)
    sides = []
    for source, other in ((a, b), (b, a)):
        if source in tables:
            sides.append(hits_by_id(tables[source], by, source))
        else:
            sides.append(published_hits(tables[other], source.removeprefix(PUBLISHED), prompt, other))
    comparison = {"a": a, "b": b, "by": by, **paired(*sides)}
    parts = _by_task(next(iter(tables.values())), *sides)
    return comparison if len(parts) < 2 else comparison | {"tasks": parts}


def _by_task(predictions: pa.Table, a: Hits, b: Hits) -> dict[str, Any]:
    """Each task's own comparison, as far as both sides have answers to it."""
    both = a.keys() & b.keys()
    ids = {
        name: [id_ for id_ in _ids(answered) if id_ in both]
        for name, answered in by_task(predictions).items()
    }
    return {
        name: paired({id_: a[id_] for id_ in own}, {id_: b[id_] for id_ in own})
        for name, own in ids.items()
        if own
    }


def paired(a: Hits, b: Hits) -> dict[str, Any]:
    """Count the samples that both have, pair by pair.

    Returns:
        `n`; `accuracy` (`a` and `b`, each ``{"value", "low", "high"}`` with Wilson's 95 % interval); `both`,
        `only_a`, `only_b` and `neither`, counts of right answers; `difference` (A - B, ``{"value", "low",
        "high"}``, Newcombe's paired 95 % interval); `p_value` of McNemar's exact test, two-sided.

    Raises:
        ValueError: no sample in common.
    """
    pairs = [(right, b[id_]) for id_, right in a.items() if id_ in b]
    both, only_a, only_b, neither = (
        pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))
    )
    difference = paired_difference(both, only_a, only_b, neither)
    n = len(pairs)
    return {
        "n": n,
        "accuracy": {"a": proportion(both + only_a, n), "b": proportion(both + only_b, n)},
        "both": both,
        "only_a": only_a,
        "only_b": only_b,
        "neither": neither,
        "difference": difference,
        "p_value": mcnemar(only_a, only_b),
    }


def hits_by_id(predictions: pa.Table, by: str, name: str) -> Hits:
    """Right or wrong by sample id. Raises DatasetError, naming `name`, if it has no such answers."""
    hits: dict[str, bool] = {}
    for answered in by_task(predictions).values():
        hits.update(zip(_ids(answered), _hits(answered, by, name), strict=True))
    return hits


def _hits(answered: Answered, by: str, name: str) -> list[bool]:
    if by == "restricted":
        if not answered.restricted:
            raise DatasetError(
                f"{name} has no restricted answers, its answers being none of a few choices; add --by free"
            )
        return answered.restricted_hits()
    hits = answered.free_hits("exact" if by == "free" else by)
    if hits is None:
        raise DatasetError(
            f"{name} has no free answers; evaluate again without --no-free, or add --by restricted"
        )
    return hits


def check_same_samples(a: pa.Table, b: pa.Table, name_a: str, name_b: str) -> None:
    """Raise DatasetError, with an example, unless both tables have the same ids with the same answers."""
    one, other = (_answers(table) for table in (a, b))
    advice = "evaluate both on the same data"
    if not one.keys() & other.keys():
        raise DatasetError(f"{name_a} and {name_b} have no sample in common; {advice}")
    for here, there, name in ((one, other, name_a), (other, one, name_b)):
        lone = [id_ for id_ in here if id_ not in there]
        if lone:
            raise DatasetError(
                f"{len(lone)} of {len(here)} samples are in {name} alone, first {lone[0]!r}; {advice}"
            )
    changed = next((id_ for id_, answer in one.items() if other[id_] != answer), None)
    if changed is not None:
        raise DatasetError(
            f"sample {changed!r} has the answer {one[changed]!r} in {name_a} and {other[changed]!r} in"
            f" {name_b}: other samples under the same ids; {advice}"
        )


def _answers(predictions: pa.Table) -> dict[str, str]:
    rows = predictions.select(["id", "answer"]).to_pylist()
    return {str(row["id"]): row["answer"] for row in rows}


def published_models(answered: Iterable[Answered]) -> dict[str, list[str]]:
    """The published models whose answers are recorded with these samples, each with the questions, sorted."""
    models: dict[str, set[str]] = {}
    for row in _rows(answered):
        for model, answers in _record(row).items():
            models.setdefault(model, set()).update(answers)
    return {model: sorted(questions) for model, questions in sorted(models.items())}


def published_hits(predictions: pa.Table, model: str, prompt: str | None, name: str) -> Hits:
    """Whether a published model was right, by sample id, where that is recorded (column `published`).

    Raises DatasetError, naming `name`, if nothing is recorded of this model and question.
    """
    answered = list(by_task(predictions).values())
    models = published_models(answered)
    if not models:
        raise DatasetError(
            f"{PUBLISHED}{model}: {name} holds no published answers; they come with the benchmark's own files"
            " (column 'published'), so evaluate on one of these"
        )
    if model not in models:
        raise DatasetError(f"{PUBLISHED}{model}: not among the published models {', '.join(models)}")
    hits: dict[str, bool] = {}
    for of_task in answered:
        hits.update(published_hits_of(of_task, model, prompt))
    if not hits:
        questions = " or ".join(map(repr, models[model]))
        raise DatasetError(
            f"{PUBLISHED}{model}: no answer to the question asked in {name}; name the one to compare with"
            f" (--prompt {questions})"
        )
    return hits


def published_hits_of(answered: Answered, model: str, prompt: str | None) -> Hits:
    """Whether a published model was right about one task's samples, by id, where that is recorded."""
    hits = {}
    for row in answered.rows:
        question = answered.task.question(prompt, row) if prompt else str(row.get("prompt") or "")
        for text, right in _record(row).get(model, {}).items():
            if question.startswith(text):
                hits[str(row["id"])] = right
    return hits


def _ids(answered: Answered) -> list[str]:
    return [str(row["id"]) for row in answered.rows]


def _rows(answered: Iterable[Answered]) -> Iterator[Row]:
    return chain.from_iterable(of_task.rows for of_task in answered)


def _record(row: Row) -> dict[str, dict[str, bool]]:
    """What is recorded of published models' answers, {model: {text: right}}; empty if damaged."""
    try:
        record = json.loads(row.get("published") or "{}")
    except (ValueError, TypeError, RecursionError):
        return {}
    if not isinstance(record, dict):
        return {}
    return {
        model_name(model): {text: right for text, right in answers.items() if isinstance(right, bool)}
        for model, answers in record.items()
        if isinstance(answers, dict)
    }
