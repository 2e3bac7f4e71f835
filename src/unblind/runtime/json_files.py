"""Reading small JSON files of a checkpoint, an adapter or a run; from a stranger they may be anything."""

import json
from pathlib import Path
from typing import Any

from unblind.errors import ModelError


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file. Raises ModelError if it cannot be read as one."""
    mapping = read_json_if_whole(path)
    if mapping is None:
        raise ModelError(f"{path} cannot be read as JSON; copy or download the folder again")
    return mapping


def read_json_if_whole(path: Path) -> dict[str, Any] | None:
    """The mapping in a JSON file; None if there is none, or the file is damaged."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
