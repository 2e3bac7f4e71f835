"""Numbers that are no numbers: refused before they look like answers."""

from __future__ import annotations

from torch import Tensor

from unblind.errors import ModelError
from unblind.models.loading import Loaded


def refuse_non_finite(logits: Tensor, loaded: Loaded) -> None:
    """Raise ModelError, naming the data type and what to try, if a logit is infinite or no number."""
    if bool(logits.isfinite().all()):
        return
    dtype = str(loaded.compute_dtype or loaded.model.dtype).removeprefix("torch.")
    wider = {"float16": "bfloat16 or float32", "bfloat16": "float32"}.get(dtype)
    remedy = f"take --dtype {wider}; if that does not help, " if wider else ""
    broken = "the adapter or the base" if loaded.adapter else "the checkpoint"
    name = f"{loaded.name} with {loaded.adapter}" if loaded.adapter else loaded.name
    raise ModelError(
        f"{name} gives logits in {dtype} that are infinite or no numbers: {remedy}{broken} is broken; copy or"
        " train it again"
    )
