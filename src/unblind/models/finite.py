"""Numbers that are infinite or no numbers: refused before they look like answers."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from unblind.errors import ModelError
from unblind.models.adapter_files import WEIGHTS, read_adapter

_WIDER = {"float16": "bfloat16 or float32", "bfloat16": "float32"}


def refuse_non_finite(logits: Tensor, name: str) -> None:
    """Refuse a forward pass whose logits are not all finite.

    Args:
        logits: in the data type in which they were computed.
        name: what the message calls the model.

    Raises:
        ModelError: one is infinite or no number; the message names the data type and what to try.
    """
    if bool(logits.isfinite().all()):
        return
    dtype = str(logits.dtype).removeprefix("torch.")
    remedy = f"take --dtype {_WIDER[dtype]}; if that does not help, " if dtype in _WIDER else ""
    raise ModelError(
        f"{name}: its logits in {dtype} are infinite or no numbers; {remedy}its weights are broken: copy or"
        " train them again"
    )


def refuse_broken_adapter(folder: Path) -> None:
    """Raise ModelError, naming the file, for a saved adapter with a weight that is infinite or no number."""
    path = read_adapter(folder).folder / WEIGHTS
    with safe_open(path, "pt") as file:
        broken = [name for name in file.keys() if not bool(file.get_tensor(name).isfinite().all())]  # noqa: SIM118
    if broken:
        raise ModelError(
            f"{path}: {len(broken)} weights are infinite or no numbers, among them {broken[0]}; train the"
            " adapter again, with a smaller learning rate or another --dtype"
        )
