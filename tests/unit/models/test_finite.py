"""Logits that are infinite or no numbers: refused, with the data type and what to try."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import small_model
from unblind.errors import ModelError
from unblind.models.finite import refuse_non_finite
from unblind.recipe import TrainOptions
from unblind.training.run import fit


@pytest.mark.parametrize(
    ("dtype", "says"),
    [
        (torch.float16, "in float16 are .*; take --dtype bfloat16 or float32; if that does not help"),
        (torch.bfloat16, "in bfloat16 are .*; take --dtype float32; if that does not help"),
        (torch.float32, "in float32 are infinite or no numbers; its weights are broken"),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_data_type_and_what_to_try(dtype: torch.dtype, says: str, value: float) -> None:
    logits = torch.zeros(2, 3, dtype=dtype)
    refuse_non_finite(logits, "tiny")
    logits[1, 2] = value
    with pytest.raises(ModelError, match=f"^tiny: its logits {says}"):
        refuse_non_finite(logits, "tiny")


def test_validation_refuses_them(tmp_path: Path) -> None:
    """A base with a broken embedding of one character, which no question in training has."""
    loaded = small_model.loaded()
    rows = small_model.samples(8)
    options = TrainOptions(
        "in memory", tmp_path / "run", batch_size=2, accumulation=1, warmup_steps=0, max_steps=2, eval_every=1
    )
    loaded.model.model.language_model.embed_tokens.weight.data[_token(loaded, "#")] = float("inf")
    validation = rows.map(lambda row: {"prompt": "Dark#?"})
    with pytest.raises(ModelError, match="the model in training: its logits in float32"):
        fit(loaded, rows, validation, options)


def _token(loaded: object, text: str) -> int:
    (token,) = loaded.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    return int(token)
