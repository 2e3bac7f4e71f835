"""What a model answers to a dataset: restricted and free answers from one prefill a batch."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor

from unblind.errors import DatasetError
from unblind.evaluation.resume import Parts, parts_of
from unblind.evaluation.teacher import tokens_right
from unblind.models.choices import choices_as_tokens
from unblind.models.collate import Collator, Row, prepared
from unblind.models.loading import Loaded
from unblind.runtime.distributed import gathered, main_process, rank, shared, world
from unblind.runtime.memory import keep_freed_memory
from unblind.runtime.outputs import atomic, write_json
from unblind.runtime.progress import progress
from unblind.runtime.versions import versions
from unblind.scoring.metrics import score
from unblind.tasks.prompts import prompt_text
from unblind.tasks.redraw import redraw
from unblind.tasks.words import LETTERS

TOP = 5


@dataclass(frozen=True)
class Answer:
    """What a model answers to one sample; `probability` and `top` are over the 52 letters alone."""

    restricted: str | None
    probability: float | None
    top: list[tuple[str, float]] | None
    free: str | None


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
    parts: Parts | None = None,
) -> pa.Table:
    """Ask the model every question of a dataset. Several processes on one task part the batches.

    Args:
        loaded: the model.
        dataset: with image, answer and (unless `prompt` is given) prompt.
        batch_size: samples a prefill.
        prompt: instead of the dataset's own; a name in `PROMPTS` or a text.
        free: also decode greedily.
        max_new_tokens: where a free answer is cut off.
        blank: also ask for the restricted answer to a white image: what the prompt alone suggests.
        uncircled: also ask for the restricted answer to the word without its ellipse; needs scenes.
        parts: where answers are kept as they come, and those of an interrupted evaluation are read.

    Returns:
        The predictions: id, answer, free, restricted, probability, top5 (JSON: [[letter, probability], ...]),
        blank and uncircled where asked for, then the dataset's own columns without the image. If some answer
        is no single letter, what is restricted to letters is null, and tokens_right is the share of each
        answer's tokens that are right (see `tokens_right`).

    Raises:
        DatasetError: no rows, columns missing, an id twice, a broken row, a row without the scene needed, an
            answer that is no letter among many that are.
        ModelError: letters are no single tokens of this model.
    """
    rows = with_ids(prepared(dataset))
    keep_freed_memory(loaded.device)
    letters = _asks_letters(rows)
    if not letters:
        max_new_tokens = max(max_new_tokens, *(len(answer) + 1 for answer in rows["answer"]))
    asked = _Asked(prompt, letters, free, max_new_tokens, uncircled)
    whites = _blank(loaded, rows, prompt, batch_size) if blank and letters else [None] * len(rows)
    size = parts.rows(batch_size) if parts else len(rows)
    tables = []
    with progress("evaluate", len(rows)) as advance:
        for start in range(0, len(rows), size):
            table = shared(partial(parts.read, start)) if parts else None
            if table is None:
                began = time.monotonic()
                part = rows.select(range(start, min(start + size, len(rows))))
                more = {"blank": whites[start : start + size]} if blank else {}
                table = _predict(loaded, part, asked, batch_size, advance, more)
                if parts and main_process():
                    parts.write(start, table, time.monotonic() - began)
            else:
                advance(table.num_rows)
            tables.append(table)
    return pa.concat_tables(tables)


@dataclass(frozen=True)
class _Asked:
    """What is asked about each sample, as in `evaluate`; `letters`: whether every answer is a single one."""

    prompt: str | None
    letters: bool
    free: bool
    max_new_tokens: int
    uncircled: bool


def _predict(
    loaded: Loaded,
    rows: datasets.Dataset,
    asked: _Asked,
    batch_size: int,
    advance: Callable[[int], None],
    more: dict[str, list[Any]],
) -> pa.Table:
    """The predictions for some rows; of several processes each answers its own batches, and gets all."""
    found: list[tuple[list[Answer], dict[str, list[Any]]]] = []
    together = world() * batch_size
    starts = range(rank() * batch_size, len(rows), together)
    collate = Collator(loaded.family, loaded.processor, asked.prompt, answers=False)
    for start, (samples, batch) in zip(starts, batches(rows, collate, starts, batch_size), strict=True):
        columns: dict[str, list[Any]] = {}
        if not asked.letters:
            columns["tokens_right"] = tokens_right(loaded, samples, asked.prompt)
        if asked.uncircled:
            bare = [{**row, "image": Image.fromarray(redraw(row, circled=False))} for row in samples]
            without = answer(loaded, bare, prompt=asked.prompt, letters=asked.letters, free=False)
            columns["uncircled"] = [a.restricted for a in without]
        found.append((_answer(loaded, batch, asked.letters, asked.free, asked.max_new_tokens), columns))
        advance(min(together, len(rows) - start))
    answers: list[Answer] = []
    for of_batch, columns in gathered(found):
        answers += of_batch
        for name, values in columns.items():
            more.setdefault(name, []).extend(values)
    return _table(rows, answers, more)


def with_ids(rows: datasets.Dataset) -> datasets.Dataset:
    """The rows with an id each; by default their numbers. Raises DatasetError if two share one."""
    if "id" not in rows.column_names:
        return rows.add_column("id", [str(i) for i in range(len(rows))])
    twice = [str(id_) for id_, count in Counter(rows["id"]).items() if count > 1]
    if twice:
        more = f" and {len(twice) - 1} more ids" if len(twice) > 1 else ""
        raise DatasetError(
            f"the dataset holds the id {twice[0]!r}{more} more than once; give every sample its own id"
        )
    return rows


def _asks_letters(rows: datasets.Dataset) -> bool:
    """Whether all answers are single letters. Raises DatasetError if most are, but not all."""
    answers = rows["answer"][:]
    strange = [i for i, answer in enumerate(answers) if answer not in set(LETTERS)]
    if strange and 2 * len(strange) < len(answers):
        more = f" (nor are {len(strange) - 1} more)" if len(strange) > 1 else ""
        raise DatasetError(
            f"row {rows[strange[0]]['id']}: the answer {answers[strange[0]]!r} is no letter A-Z, a-z{more},"
            " as most others are; mend or remove the row"
        )
    return not strange


def batches(
    rows: datasets.Dataset, collate: Collator, starts: Sequence[int], size: int
) -> Iterator[tuple[list[Row], dict[str, Tensor]]]:
    """Rows and the model's input, `size` at a time; the next are decoded while the caller uses these."""

    def make(start: int) -> tuple[list[Row], dict[str, Tensor]]:
        samples = [rows[i] for i in range(start, min(start + size, len(rows)))]
        return samples, collate(samples)

    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(make, start) for start in starts[:1]]
        for start in starts[1:]:
            coming.append(pool.submit(make, start))
            yield coming.pop(0).result()
        yield from (last.result() for last in coming)


def _blank(loaded: Loaded, rows: datasets.Dataset, prompt: str | None, size: int) -> list[str | None]:
    """The restricted answers to a white image; each distinct question is asked once, `size` at a time."""
    white = Image.new("RGB", (28, 28), "white")
    keys: list[tuple[Any, Any]] = []
    questions: dict[tuple[Any, Any], Row] = {}
    for row in rows.select_columns([name for name in ("id", "prompt", "word") if name in rows.column_names]):
        text = row.get("prompt") if prompt is None else prompt
        key = (text, row.get("word") if "{word}" in prompt_text(text or "", "{word}") else None)
        keys.append(key)
        questions.setdefault(key, {**row, "image": white})
    asked = list(questions.values())
    parts = [asked[start : start + size] for start in range(0, len(asked), size)]
    found = [one.restricted for part in parts for one in answer(loaded, part, prompt=prompt, free=False)]
    known = dict(zip(questions, found, strict=True))
    return [known[key] for key in keys]


def answer(
    loaded: Loaded,
    rows: Sequence[Row],
    *,
    prompt: str | None = None,
    letters: bool = True,
    free: bool = True,
    max_new_tokens: int = 16,
) -> list[Answer]:
    """Answer one batch of rows (image, prompt; a decoded image will do), all at once.

    Raises DatasetError and ModelError as `evaluate` does.
    """
    batch = Collator(loaded.family, loaded.processor, prompt, answers=False)(rows)
    return _answer(loaded, batch, letters, free, max_new_tokens)


@torch.inference_mode()
def _answer(
    loaded: Loaded, batch: Mapping[str, Tensor], letters: bool, free: bool, limit: int
) -> list[Answer]:
    batch = {name: value.to(loaded.device) for name, value in batch.items()}
    outputs = loaded.model(**batch, use_cache=free, logits_to_keep=1)
    logits = outputs.logits[:, -1].float()
    texts: Sequence[str | None] = [None] * len(logits)
    if free:
        tokens = _decode(loaded, batch, logits, outputs.cache, limit)
        decoded = loaded.processor.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        texts = [text.strip() for text in decoded]
    if not letters:
        return [Answer(None, None, None, text) for text in texts]
    letters_at = choices_as_tokens(loaded.family, loaded.processor, LETTERS).tokens
    values, best = logits[:, letters_at].softmax(-1).topk(TOP)
    ranked = [
        [(LETTERS[i], p) for i, p in zip(row, ps, strict=True)]
        for row, ps in zip(best.tolist(), values.tolist(), strict=True)
    ]
    return [Answer(top[0][0], top[0][1], top, text) for top, text in zip(ranked, texts, strict=True)]


@torch.inference_mode()
def letter_probabilities(loaded: Loaded, rows: Sequence[Row], prompt: str | None = None) -> Tensor:
    """The share of each of the 52 `LETTERS` in the answers to a batch of rows: float32 (B, 52), on the CPU.

    Raises DatasetError and ModelError as `evaluate` does.
    """
    batch = Collator(loaded.family, loaded.processor, prompt, answers=False)(rows)
    batch = {name: value.to(loaded.device) for name, value in batch.items()}
    logits: Tensor = loaded.model(**batch, use_cache=False, logits_to_keep=1).logits[:, -1].float()
    return logits[:, choices_as_tokens(loaded.family, loaded.processor, LETTERS).tokens].softmax(-1).cpu()


def _decode(loaded: Loaded, batch: Mapping[str, Tensor], logits: Tensor, cache: Any, limit: int) -> Tensor:
    """Greedy decoding after the prefill that gave `logits` (B, V) and `cache`; after eos comes padding.

    Returns int64 (B, tokens). The first token costs nothing more, each further one a step for the rows that
    are not done; the others leave the cache.
    """
    tokenizer = loaded.processor.tokenizer
    attention = batch["attention_mask"]
    last = logits.argmax(-1)
    tokens = torch.full((len(last), limit), tokenizer.pad_token_id, device=last.device)
    open_rows = torch.arange(len(last), device=last.device)
    for step in range(limit):
        tokens[open_rows, step] = last
        going = (last != tokenizer.eos_token_id).nonzero().flatten()
        if step == limit - 1 or len(going) == 0:
            break
        if len(going) < len(open_rows):
            cache.batch_select_indices(going)
            open_rows, attention, last = open_rows[going], attention[going], last[going]
        attention = torch.cat([attention, torch.ones_like(attention[:, :1])], dim=1)
        outputs = loaded.model(input_ids=last[:, None], attention_mask=attention, cache=cache, use_cache=True)
        last = outputs.logits[:, -1].argmax(-1)
    return tokens


def _table(rows: datasets.Dataset, answers: Sequence[Answer], more: Mapping[str, list[Any]]) -> pa.Table:
    own = rows.remove_columns("image").with_format("arrow")[:]
    columns: dict[str, Any] = {
        "id": own["id"].cast(pa.string()),
        "answer": own["answer"].cast(pa.string()),
        "free": pa.array([a.free for a in answers], pa.string()),
        "restricted": pa.array([a.restricted for a in answers], pa.string()),
        "probability": pa.array([a.probability for a in answers], pa.float64()),
        "top5": pa.array([None if a.top is None else json.dumps(a.top) for a in answers], pa.string()),
    }
    columns |= {
        name: pa.array(values, pa.float64() if name == "tokens_right" else pa.string())
        for name, values in more.items()
    }
    return pa.table(columns | {name: own[name] for name in own.column_names if name not in columns})


def evaluate_to(
    out: Path, loaded: Loaded, dataset: datasets.Dataset, *, data: str, **options: Any
) -> dict[str, Any]:
    """`evaluate` and `write_evaluation` in one, timed. Returns what is in metrics.json.

    If it is interrupted, the same call goes on where it stopped, from answers kept in `out`/parts.
    Raises DatasetError, naming `data`, ModelError and OutputError as these do.
    """
    began = time.monotonic()
    parts = parts_of(out, loaded, dataset, options)
    try:
        predictions = evaluate(loaded, dataset, parts=parts, **options)
    except DatasetError as error:
        raise DatasetError(f"{data}: {error}") from None
    seconds = time.monotonic() - began + (parts.seconds if parts else 0.0)
    metrics = write_evaluation(out, predictions, loaded, data=data, seconds=seconds)
    if parts and main_process():
        parts.remove()
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
    if main_process():
        with atomic(out / "predictions.parquet") as path:
            pq.write_table(predictions, path)
        write_json(out / "metrics.json", metrics)
    return metrics
