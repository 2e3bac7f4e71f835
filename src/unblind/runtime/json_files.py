"""Reading small files of a checkpoint or an adapter, with errors that name them."""

import json
from pathlib import Path
from typing import Any

from unblind.errors import ModelError


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file. Raises ModelError if it cannot be read as one."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON; copy or download the folder again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} is not what its name says; copy or download the folder again")
    return found
