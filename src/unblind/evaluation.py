"""What a model answers to a dataset: restricted and free answers from one prefill a batch."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from unblind.collate import Collator, Row, letter_tokens, prepared
from unblind.errors import DatasetError
from unblind.model import Loaded
from unblind.outputs import atomic, write_json
from unblind.progress import progress
from unblind.scoring import score
from unblind.versions import versions
from unblind.words import LETTERS

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
) -> pa.Table:
    """Ask the model every question of a dataset.

    Args:
        loaded: the model.
        dataset: with image, answer and (unless `prompt` is given) prompt.
        batch_size: samples a prefill.
        prompt: instead of the dataset's own; a name in `PROMPTS` or a text.
        free: also decode greedily.
        max_new_tokens: where a free answer is cut off.

    Returns:
        The predictions: id, answer, free, restricted, probability, top5 (JSON: [[letter, probability], ...]),
        then the dataset's own columns without the image. If some answer is no single letter, restricted,
        probability and top5 are null.

    Raises:
        DatasetError: columns missing, a broken row.
        ModelError: letters are no single tokens of this model.
    """
    rows = prepared(dataset)
    if "id" not in rows.column_names:
        rows = rows.add_column("id", [str(i) for i in range(len(rows))])
    letters = set(rows.unique("answer")) <= set(LETTERS)
    answers: list[Answer] = []
    with progress("evaluate", len(rows)) as advance:
        for start in range(0, len(rows), batch_size):
            batch = [rows[i] for i in range(start, min(start + batch_size, len(rows)))]
            answers += answer(
                loaded, batch, prompt=prompt, letters=letters, free=free, max_new_tokens=max_new_tokens
            )
            advance(len(batch))
    return _table(rows, answers)


@torch.inference_mode()
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
    processor = loaded.processor
    batch = {k: v.to(loaded.device) for k, v in Collator(processor, prompt, answers=False)(rows).items()}
    outputs = loaded.model(**batch, use_cache=free, logits_to_keep=1)
    logits = outputs.logits[:, -1].float()
    texts: Sequence[str | None] = [None] * len(rows)
    if free:
        tokens = _decode(loaded, batch, logits, outputs.past_key_values, max_new_tokens)
        texts = [text.strip() for text in processor.tokenizer.batch_decode(tokens, skip_special_tokens=True)]
    if not letters:
        return [Answer(None, None, None, text) for text in texts]
    values, best = logits[:, letter_tokens(processor)].softmax(-1).topk(TOP)
    ranked = [
        [(LETTERS[i], p) for i, p in zip(row, ps, strict=True)]
        for row, ps in zip(best.tolist(), values.tolist(), strict=True)
    ]
    return [Answer(top[0][0], top[0][1], top, text) for top, text in zip(ranked, texts, strict=True)]


def _decode(loaded: Loaded, batch: Mapping[str, Tensor], logits: Tensor, cache: Any, limit: int) -> Tensor:
    """Greedy decoding after the prefill that gave `logits` (B, V) and `cache`; after eos comes padding.

    Returns int64 (B, tokens). The first token costs nothing more, each further one a step.
    """
    tokenizer = loaded.processor.tokenizer
    attention = batch["attention_mask"]
    tokens = logits.argmax(-1, keepdim=True)
    done = tokens[:, -1] == tokenizer.eos_token_id
    while tokens.shape[1] < limit and not bool(done.all()):
        attention = torch.cat([attention, torch.ones_like(attention[:, :1])], dim=1)
        outputs = loaded.model(
            input_ids=tokens[:, -1:], attention_mask=attention, past_key_values=cache, use_cache=True
        )
        best = outputs.logits[:, -1].argmax(-1).masked_fill(done, tokenizer.pad_token_id)
        tokens = torch.cat([tokens, best[:, None]], dim=1)
        done |= best == tokenizer.eos_token_id
    return tokens


def _table(rows: datasets.Dataset, answers: Sequence[Answer]) -> pa.Table:
    own = rows.remove_columns("image").with_format("arrow")[:]
    columns: dict[str, Any] = {
        "id": own["id"].cast(pa.string()),
        "answer": own["answer"].cast(pa.string()),
        "free": pa.array([a.free for a in answers], pa.string()),
        "restricted": pa.array([a.restricted for a in answers], pa.string()),
        "probability": pa.array([a.probability for a in answers], pa.float64()),
        "top5": pa.array([None if a.top is None else json.dumps(a.top) for a in answers], pa.string()),
    }
    return pa.table(columns | {name: own[name] for name in own.column_names if name not in columns})


def evaluate_to(
    out: Path, loaded: Loaded, dataset: datasets.Dataset, *, data: str, **options: Any
) -> dict[str, Any]:
    """`evaluate` and `write_evaluation` in one, timed. Returns what is in metrics.json.

    Raises DatasetError, naming `data`, ModelError and OutputError as these do.
    """
    began = time.monotonic()
    try:
        predictions = evaluate(loaded, dataset, **options)
    except DatasetError as error:
        raise DatasetError(f"{data}: {error}") from None
    return write_evaluation(out, predictions, loaded, data=data, seconds=time.monotonic() - began)


def write_evaluation(
    out: Path, predictions: pa.Table, loaded: Loaded, *, data: str, seconds: float
) -> dict[str, Any]:
    """Write predictions.parquet and metrics.json into `out`, each whole or not at all. Returns the metrics.

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
    with atomic(out / "predictions.parquet") as path:
        pq.write_table(predictions, path)
    write_json(out / "metrics.json", metrics)
    return metrics
