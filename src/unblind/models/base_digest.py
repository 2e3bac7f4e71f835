"""Which base an adapter was made for, by its weights: names move, and shapes are shared. No torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from unblind.errors import ModelError
from unblind.models.adapter_files import adapter_folder
from unblind.models.embedded import EMBEDDED
from unblind.runtime.json_files import read_json

BASE = "base.json"  # beside the adapter's weights
_PIECE = 16 << 20  # bytes at either end of a file: 16 MiB tell weights apart, and are read at once


def digest_of(model: str) -> str | None:
    """A SHA-256 of a base's weights; None for one on the hub, which is known by its revision.

    Args:
        model: as `unblind.models.loading.load` takes it.

    Returns:
        The hex digest over sizes, beginnings and ends of its safetensors files.
    """
    files = sorted(Path(EMBEDDED.get(model, model)).glob("*.safetensors"))
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, "little"))
        with path.open("rb") as file:
            digest.update(file.read(_PIECE))
            file.seek(max(size - _PIECE, 0))
            digest.update(file.read(_PIECE))
    return digest.hexdigest()


def refuse_other_base(adapter: Path, model: str) -> None:
    """Raise ModelError for an adapter that was trained on other weights than those of `model`."""
    folder = adapter_folder(adapter) or adapter
    made_for = read_json(folder / BASE) if (folder / BASE).is_file() else {}
    wanted, found = made_for.get("sha256"), digest_of(model)
    if wanted and found and wanted != found:
        raise ModelError(
            f"{folder} was trained on other weights than {model} has: name its base (--model), or train again"
        )
