"""What a model answers to a dataset: the loop over its rows, the table of predictions, and the files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from unblind.errors import DatasetError
from unblind.evaluation.answers import Answer, answers, collate, prefill
from unblind.evaluation.batches import BatchSize, made_ahead
from unblind.evaluation.contrast import check_twins, twin_of
from unblind.evaluation.questions import Question, questions, with_ids
from unblind.evaluation.resume import KeptAnswers, kept_answers
from unblind.evaluation.views import WHITE, check_views, redrawn
from unblind.models.collate import prepared
from unblind.models.loading import Loaded
from unblind.runtime.device_memory import keep_freed_memory
from unblind.runtime.distributed import from_main_process, gathered, is_main_process, rank, world_size
from unblind.runtime.outputs import atomic, write_json
from unblind.runtime.progress import progress
from unblind.runtime.versions import versions
from unblind.scoring.metrics import score
from unblind.scoring.predictions import with_own_columns
from unblind.tasks.base import Row
from unblind.tasks.registry import task_of

# The evaluation's own columns.
OWN_COLUMNS = {
    "free": pa.string(),
    "restricted": pa.string(),
    "probability": pa.float64(),
    "top5": pa.string(),
    "blank": pa.string(),
    "tokens_right": pa.float64(),
    "uncircled": pa.string(),
    "twin_answer": pa.string(),
    "twin_free": pa.string(),
    "twin_restricted": pa.string(),
}
DATA_PREFIX = "data."  # of a dataset's column that is called like one of these


def evaluate(
    loaded: Loaded,
    dataset: datasets.Dataset,
    *,
    batch_size: int = 32,
    prompt: str | None = None,
    free: bool = True,
    max_new_tokens: int = 16,
    blank: bool = False,
    uncircled: bool = False,
    contrast: bool = False,
    kept: KeptAnswers | None = None,
) -> pa.Table:
    """Ask the model every question of a dataset. Several processes on one task part the batches.

    Args:
        loaded: the model.
        dataset: with image, answer and (unless `prompt` is given) prompt, and with task where it is recorded.
        batch_size: samples a forward pass; halved where the memory runs out.
        prompt: instead of the dataset's own; a name of the task's, or a text.
        free: also decode greedily.
        max_new_tokens: where a free answer is cut off, but never before the right one would end.
        blank: also ask for the restricted answer to a white image: what the prompt alone suggests.
        uncircled: also ask for the restricted answer to the picture without its task's first part, on which
            the answer depends; needs scenes.
        contrast: also ask about each picture's twin, which differs in one small thing by which the right
            answer changes; needs scenes.
        kept: where answers are kept as they come, and those of an interrupted evaluation are read.

    Returns:
        The predictions: id, task, answer, free, restricted, probability, top5 (JSON: [[choice, probability],
        ...]), blank, uncircled, twin_answer (the twin's right answer; null where there is no twin), twin_free
        and twin_restricted where asked for, then the dataset's own columns without the image, prompt
        as it was asked. Where some answer of a task is none of its choices, its rows have no restricted
        answer, and tokens_right is the share of each right answer's tokens that are the likeliest after those
        before them. The schema's metadata lists the columns that are the evaluation's; one of the dataset's
        that is called like one of them has `data.` before its name.

    Raises:
        DatasetError: no rows, columns missing, an id twice, a broken row, a row without the scene needed, an
            answer that is none of its task's choices among many that are.
        RecipeError: a task without parts, for `uncircled`; one without twins, for `contrast`.
        ModelError: logits that are not finite, choices that the tokenizer cannot tell apart, or too little
            memory for a single sample.
    """
    rows = with_ids(prepared(dataset))
    asked = questions(rows, prompt)
    if uncircled:
        check_views(rows, "--uncircled")
    if contrast:
        check_twins(rows)
    keep_freed_memory(loaded.device)
    spelling = any(q.choices is None for q in asked)
    limit = max(max_new_tokens, _longest(asked, contrast) + 1)
    asker = _Asker(loaded, BatchSize(batch_size), free, limit, uncircled, contrast, spelling)
    whites = _to_white_paper(asker, asked) if blank else []
    size = kept.rows(batch_size) if kept else len(rows)
    tables = []
    with progress("evaluate", len(rows)) as advance:
        for start in range(0, len(rows), size):
            table = from_main_process(partial(kept.read, start)) if kept else None
            if table is None:
                began = time.monotonic()
                part = range(start, min(start + size, len(rows)))
                of_part = asked[part.start : part.stop]
                columns = asker.columns(rows.select(part), of_part, batch_size, advance)
                if blank:
                    columns["blank"] = whites[part.start : part.stop]
                table = _table(rows.select(part), of_part, columns)
                if kept and is_main_process():
                    kept.write(start, table, time.monotonic() - began)
            else:
                advance(table.num_rows)
            tables.append(table)
    return pa.concat_tables(tables)


def _longest(asked: Sequence[Question], twins: bool) -> int:
    """Tokens of the longest right reply, at most: a token is a byte at least. A twin's may be any choice."""
    replies = {q.reply or "" for q in asked}
    if twins:
        replies.update(*{q.replies for q in asked})
    return max(len(reply.encode()) for reply in replies)


@dataclass(frozen=True)
class _Asker:
    """What is asked, as in `evaluate`; `spelling`: whether any text is an answer to some of the questions."""

    loaded: Loaded
    size: BatchSize
    free: bool
    max_new_tokens: int
    uncircled: bool
    contrast: bool
    spelling: bool

    def columns(
        self,
        rows: datasets.Dataset,
        asked: Sequence[Question],
        batch_size: int,
        advance: Callable[[int], None],
    ) -> dict[str, list[Any]]:
        """The columns of some rows; of several processes each answers its own batches, and gets all."""

        def make(start: int) -> tuple[list[Row], Sequence[Question], dict[str, Tensor] | None]:
            samples = [rows[i] for i in range(start, min(start + batch_size, len(rows)))]
            of_batch = asked[start : start + batch_size]
            whole = self.size.value >= len(samples)  # else it is asked in parts
            return samples, of_batch, collate(self.loaded, samples, of_batch) if whole else None

        together = world_size() * batch_size
        starts = range(rank() * batch_size, len(rows), together)
        answered = []
        for start, (samples, of_batch, batch) in zip(starts, made_ahead(make, starts), strict=True):
            given = self.ask(samples, of_batch, batch, free=self.free)
            answered.append(self._own(given) | self._beside(samples, of_batch))
            advance(min(together, len(rows) - start))
        columns: dict[str, list[Any]] = {}
        for of_each in gathered(answered):
            for name, values in of_each.items():
                columns.setdefault(name, []).extend(values)
        return columns

    def _own(self, given: Sequence[Answer]) -> dict[str, list[Any]]:
        """The columns of the answers to the pictures themselves."""
        columns: dict[str, list[Any]] = {
            "free": [one.free for one in given],
            "restricted": [one.restricted for one in given],
            "probability": [one.probability for one in given],
            "top5": [None if one.top is None else json.dumps(one.top) for one in given],
        }
        return columns | ({"tokens_right": [one.tokens_right for one in given]} if self.spelling else {})

    def _beside(self, samples: Sequence[Row], asked: Sequence[Question]) -> dict[str, list[Any]]:
        """The columns of the answers to pictures that are drawn beside them."""
        columns: dict[str, list[Any]] = {}
        if self.uncircled:
            columns["uncircled"] = self._without_first_part(samples, asked)
        return columns | (self._twins(samples, asked) if self.contrast else {})

    def ask(
        self,
        samples: Sequence[Row],
        asked: Sequence[Question],
        batch: Mapping[str, Tensor] | None = None,
        *,
        free: bool = False,
    ) -> list[Answer]:
        """Answers to some samples, all at once if the memory suffices; `batch` is what `collate` made."""

        def ask(start: int, stop: int) -> list[Answer]:
            of_part = asked[start:stop]
            whole = batch if len(of_part) == len(asked) else None
            inputs = whole or collate(self.loaded, samples[start:stop], of_part)
            filled = prefill(self.loaded, inputs)
            return answers(self.loaded, filled, of_part, free=free, max_new_tokens=self.max_new_tokens)

        return self.size.apply(ask, len(asked))

    def _without_first_part(self, samples: Sequence[Row], asked: Sequence[Question]) -> list[str | None]:
        """Restricted answers to the pictures without their task's first part; None where any text is one."""
        closed = [i for i, q in enumerate(asked) if q.choices is not None]
        pictures = []
        for i in closed:
            task = task_of(asked[i].task)
            pictures.append({**samples[i], "image": redrawn(samples[i], task, task.parts[0])})
        given = self.ask(pictures, [asked[i] for i in closed])
        by_row = dict(zip(closed, (one.restricted for one in given), strict=True))
        return [by_row.get(i) for i in range(len(asked))]

    def _twins(self, samples: Sequence[Row], asked: Sequence[Question]) -> dict[str, list[Any]]:
        """The columns of the answers to the pictures' twins; null where there is none."""
        twins = [twin_of(row, question) for row, question in zip(samples, asked, strict=True)]
        pictures = [twin[0] for twin in twins if twin]
        about = [twin[1] for twin in twins if twin]
        given = iter(self.ask(pictures, about, free=self.free))
        answered = [next(given) if twin else None for twin in twins]
        return {
            "twin_answer": [twin and twin[1].answer for twin in twins],
            "twin_free": [one and one.free for one in answered],
            "twin_restricted": [one and one.restricted for one in answered],
        }


def _to_white_paper(asker: _Asker, asked: Sequence[Question]) -> list[str | None]:
    """The restricted answers to a white image; each distinct question is asked once."""
    keys = [replace(q, answer=None, reply=None) for q in asked]
    distinct = [q for q in dict.fromkeys(keys) if q.choices is not None]
    given = asker.ask([{"image": WHITE}] * len(distinct), distinct)
    known = dict(zip(distinct, (one.restricted for one in given), strict=True))
    return [known.get(key) for key in keys]


def _table(rows: datasets.Dataset, asked: Sequence[Question], columns: Mapping[str, list[Any]]) -> pa.Table:
    """The predictions for some rows; `columns` are the evaluation's own."""
    data = rows.remove_columns("image").with_format("arrow")[:]
    own = {name: pa.array(columns[name], type_) for name, type_ in OWN_COLUMNS.items() if name in columns}
    contract = {
        "id": data["id"].cast(pa.string()),
        "task": pa.array([q.task for q in asked], pa.string()),
        "answer": pa.array([q.answer for q in asked], pa.string()),
    }
    others = {_apart(name, data.column_names): data[name] for name in data.column_names}
    others["prompt"] = pa.array([q.text for q in asked], pa.string())
    kept = {name: values for name, values in others.items() if name not in contract}
    return with_own_columns(pa.table(contract | own | kept).replace_schema_metadata(None), own)


def _apart(name: str, names: Sequence[str]) -> str:
    """A dataset's column's name beside ours."""
    if name in OWN_COLUMNS:
        name = DATA_PREFIX + name
        while name in names:
            name = DATA_PREFIX + name
    return name


def evaluate_to(
    out: Path, loaded: Loaded, dataset: datasets.Dataset, *, data: str, **options: Any
) -> dict[str, Any]:
    """`evaluate` and `write_evaluation` in one, timed. Returns what is in metrics.json.

    If it is interrupted, the same call goes on where it stopped, from answers kept in `out`/parts.
    Raises DatasetError, naming `data`, ModelError and OutputError as these do.
    """
    began = time.monotonic()
    kept = kept_answers(out, loaded, dataset, options)
    try:
        predictions = evaluate(loaded, dataset, kept=kept, **options)
    except DatasetError as error:
        raise DatasetError(f"{data}: {error}") from None
    seconds = time.monotonic() - began + (kept.seconds if kept else 0.0)
    metrics = write_evaluation(out, predictions, loaded, data=data, seconds=seconds)
    if kept and is_main_process():
        kept.remove()
    return metrics


def write_evaluation(
    out: Path, predictions: pa.Table, loaded: Loaded, *, data: str, seconds: float
) -> dict[str, Any]:
    """Write predictions.parquet and metrics.json into `out`, each whole or not at all. Returns the metrics.

    Of several processes on one task the main one writes.

    Raises:
        OutputError: `out` cannot be written.
    """
    metrics = score(predictions) | {
        "model": loaded.name,
        "revision": loaded.revision,
        "adapter": loaded.adapter,
        "data": data,
        "seconds": round(seconds, 3),
        "images_per_second": round(predictions.num_rows / seconds, 3),
        "versions": versions(),
    }
    if is_main_process():
        with atomic(out / "predictions.parquet") as path:
            pq.write_table(predictions, path)
        write_json(out / "metrics.json", metrics)
    return metrics
