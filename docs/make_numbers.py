"""Write docs/numbers.json: the measured figures of README and documentation, from their runs.

    python docs/make_numbers.py --quickstart unblind-quickstart --acknowledgement ack --tasks blind

The folders are those of `unblind quickstart`, of `unblind evaluate` with its adapter on the benchmark's
images of *Acknowledgement*, and of `unblind evaluate` on `unblind generate --preset blindtest --task all`.
After a new measurement, `pytest tests/unit/test_numbers.py` names every place whose text is out of date.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Accuracy = dict[str, float]


def main() -> None:
    """Read the runs, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("quickstart", "acknowledgement", "tasks"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="a finished run's folder")
    told = parser.parse_args()
    quickstart, letters, tasks = (read(folder) for folder in vars(told).values())
    numbers = {
        "quickstart": {
            "command": "unblind quickstart --out DIR",
            "samples": quickstart["after"]["n"],
            "blind": estimates(quickstart["blind"]),
            "after": estimates(quickstart["after"]),
            "without sight": quickstart["after"]["base_rates"],
        },
        "acknowledgement": {
            "command": "unblind evaluate --adapter DIR/train --data FILE --out OUT",
            "samples": letters["n"],
            "after": estimates(letters),
            "fonts": letters["by"]["font"],
        },
        "tasks": {
            "command": "unblind generate --preset blindtest --task all --out drawn;"
            " unblind evaluate --data drawn --out blind",
            "mean": tasks["mean"]["restricted"],
            "blind": {name: blind(task) for name, task in tasks["tasks"].items()},
        },
    }
    text = json.dumps(numbers, indent=1, ensure_ascii=False, allow_nan=False)
    (HERE / "numbers.json").write_text(text + "\n", "utf-8")


def read(folder: Path) -> dict[str, Any]:
    """The metrics of a finished run."""
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text("utf-8"))
    return metrics


def estimates(metrics: dict[str, Any]) -> dict[str, Accuracy]:
    """The accuracies of restricted and free answers, each with its interval."""
    return {kind: metrics["accuracy"][kind] for kind in ("restricted", "free")}


def blind(task: dict[str, Any]) -> dict[str, Any]:
    """What is known of a task before any fine-tuning."""
    frequent = task["base_rates"]["most_frequent"]
    return {"samples": task["n"], **estimates(task), "most_frequent": frequent}


if __name__ == "__main__":
    main()
