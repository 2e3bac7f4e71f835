"""Answers of several tokens, measured token by token: each predicted from the right ones before it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from unblind.models.collate import Collator, Row
from unblind.models.loading import Loaded


@torch.inference_mode()
def tokens_right(loaded: Loaded, rows: Sequence[Row], prompt: str | None = None) -> list[float]:
    """For each row, the share of its answer's tokens that are the likeliest after those before them.

    The end of sequence is not counted: what is measured is the spelling.

    Args:
        loaded: the model.
        rows: one batch, with image, prompt and answer.
        prompt: instead of the rows' own; a name in `PROMPTS` or a text.

    Raises:
        DatasetError: a broken row.
    """
    batch = Collator(loaded.family, loaded.processor, prompt)(rows)
    lengths = batch["logits_to_keep"].sum(1).tolist()
    targets = batch["shift_labels"]
    inputs = {k: v.to(loaded.device) for k, v in batch.items() if k not in ("labels", "shift_labels")}
    logits = loaded.model(**inputs).logits.reshape(len(targets), -1)
    hits = (logits.argmax(-1).cpu() == targets).float()
    return [float(part[:-1].mean()) if len(part) > 1 else 0.0 for part in hits.split(lengths)]
