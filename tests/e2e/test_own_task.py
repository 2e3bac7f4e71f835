"""examples/own_data, and the commands of docs/own-task.md, at a small size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from e2e.conftest import Run

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "examples" / "own_data" / "make_sizes.py"


def test_the_walk_through_works(unblind: Run, tmp_path: Path) -> None:
    data, run, after = tmp_path / "sizes", tmp_path / "run", tmp_path / "after"
    subprocess.run([sys.executable, SCRIPT, data, "8"], check=True, timeout=120)

    few = ["--max-steps", 1, "--batch-size", 2, "--accumulation", 1, "--eval-samples", 4]
    done = unblind("train", "--data", data, "--out", run, "--recipe", "tiny", *few)
    assert done.code == 0, done.err
    done = unblind("evaluate", "--data", data, "--adapter", run, "--out", after, "--limit", 6)
    assert done.code == 0, done.err

    accuracy = json.loads((after / "metrics.json").read_text())["accuracy"]
    assert accuracy["restricted"] is None
    rows = pq.read_table(after / "predictions.parquet").to_pylist()
    exact = sum(row["free"] == row["answer"] for row in rows) / 6
    tokens = sum(row["tokens_right"] for row in rows) / 6
    assert abs(accuracy["free"]["value"] - exact) < 1e-9
    assert abs(accuracy["tokens"]["value"] - tokens) < 1e-9
