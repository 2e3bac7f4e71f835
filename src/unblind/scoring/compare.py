"""Two models on the same samples, pair by pair; one of them may be a published model's record. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from unblind.errors import DatasetError, RecipeError
from unblind.scoring.intervals import mcnemar, paired_difference, proportion
from unblind.scoring.predictions import free_hits, read_predictions, restricted_hits, texts
from unblind.scoring.rules import RULES
from unblind.tasks.prompts import prompt_text

PUBLISHED = "published:"
WAYS = ("restricted", "free", *RULES)  # `free` is the rule `exact`

Hits = Mapping[str, bool]  # by sample id


def compare_sources(a: str, b: str, *, by: str = "restricted", prompt: str | None = None) -> dict[str, Any]:
    """Compare predictions on disk, or `published:MODEL` from the other's column `published`.

    Args:
        a: a predictions.parquet, the folder that holds one, or `published:MODEL`.
        b: likewise; not both may be published.
        by: one of `WAYS`; a published record is by its paper's own.
        prompt: which question the published model answered, a name in `PROMPTS` or a text; by default the
            sample's own, its request for curly brackets aside.

    Returns:
        `a`, `b` and `by` as given; `n`; `accuracy` of `a` and of `b`; and what `paired` returns.

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
    tables = {source: read_predictions(Path(source)) for source in (a, b) if not source.startswith(PUBLISHED)}
    sides = []
    for source, other in ((a, b), (b, a)):
        if source in tables:
            sides.append(hits_by_id(tables[source], by, source))
        else:
            sides.append(published_hits(tables[other], source.removeprefix(PUBLISHED), prompt, other))
    if len(tables) == 2:
        check_same_samples(tables[a], tables[b], a, b)
    return {"a": a, "b": b, "by": by, **paired(*sides)}


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
    if by == "restricted":
        if predictions["restricted"].null_count:
            raise DatasetError(f"{name} has no restricted answers, its answers being words; add --by free")
        hits: list[bool] | None = restricted_hits(predictions)
    else:
        hits = free_hits(predictions, "exact" if by == "free" else by)
    if hits is None:
        raise DatasetError(
            f"{name} has no free answers; evaluate again without --no-free, or add --by restricted"
        )
    return dict(zip(_ids(predictions), hits, strict=True))


def check_same_samples(a: pa.Table, b: pa.Table, name_a: str, name_b: str) -> None:
    """Raise DatasetError, with an example, unless both tables have the same ids with the same answers."""
    one, other = (dict(zip(_ids(table), texts(table, "answer"), strict=True)) for table in (a, b))
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


def published_models(predictions: pa.Table) -> dict[str, list[str]]:
    """The published models whose answers are recorded with these samples, each with the questions, sorted."""
    found: dict[str, set[str]] = {}
    for _, record in _records(predictions):
        for model, answers in record.items():
            found.setdefault(model, set()).update(answers)
    return {model: sorted(questions) for model, questions in sorted(found.items())}


def published_hits(predictions: pa.Table, model: str, prompt: str | None, name: str) -> Hits:
    """Whether a published model was right, by sample id, where that is recorded (column `published`).

    Raises DatasetError, naming `name`, if nothing is recorded of this model and question.
    """
    models = published_models(predictions)
    if not models:
        raise DatasetError(
            f"{PUBLISHED}{model}: {name} holds no published answers; they come with the benchmark's own files"
            " (column 'published'), so evaluate on one of these"
        )
    if model not in models:
        raise DatasetError(f"{PUBLISHED}{model}: not among the published models {', '.join(models)}")
    asked = dict(zip(_ids(predictions), texts(predictions, "prompt"), strict=True))
    found: dict[str, bool] = {}
    for id_, record in _records(predictions):
        question = prompt_text(prompt) if prompt else asked[id_] or ""
        for text, right in record.get(model, {}).items():
            if question.startswith(text):
                found[id_] = right
    if not found:
        questions = " or ".join(map(repr, models[model]))
        raise DatasetError(
            f"{PUBLISHED}{model}: no answer to the question asked in {name}; name the one to compare with"
            f" (--prompt {questions})"
        )
    return found


def _ids(predictions: pa.Table) -> list[str]:
    return [str(id_) for id_ in predictions["id"].to_pylist()]


def _records(predictions: pa.Table) -> list[tuple[str, dict[str, dict[str, bool]]]]:
    """Each sample's id with its record {model: {question: right}}; damaged ones are empty."""
    return [
        (id_, _record(text))
        for id_, text in zip(_ids(predictions), texts(predictions, "published"), strict=True)
    ]


def _record(text: str | None) -> dict[str, dict[str, bool]]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {
        model: {question: right for question, right in answers.items() if isinstance(right, bool)}
        for model, answers in value.items()
        if isinstance(answers, dict)
    }
