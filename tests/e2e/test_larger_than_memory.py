"""Data larger than memory: what a large split adds to a process's anonymous memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


def test_a_large_split_takes_no_memory_of_its_own(tmp_path: Path) -> None:
    """1 GB of images. Held, they would take more than a GiB; any two processes differ by up to 280 MiB."""
    command = [sys.executable, ROOT / "benchmarks" / "memory.py", "--folder", tmp_path, "--gigabytes", "1"]
    done = subprocess.run([*command, "--no-alternative"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    measured = json.loads(done.stdout.splitlines()[-1])
    assert all(mebibytes < 500 for mebibytes in measured["above_floor"].values()), measured
    assert list(tmp_path.iterdir()) == [], "nothing is left of it"
