"""The engine `ray` on a cluster of two nodes writes the bytes of the local one, though a node dies."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from unblind.data import generation

pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_two_nodes_of_which_one_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import two_nodes

    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "RAY_USAGE_STATS_ENABLED": "0"}
    environment["RAY_worker_niceness"] = "0"  # its workers yield to all else, other tests for one, by default
    command = [sys.executable, str(ROOT / "tests" / "two_nodes.py"), str(tmp_path / "ray")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"nodes (\d)", done.stdout) == ["2", "1"]
    (made,) = re.findall(r"killed after (\d+) shards", done.stdout)
    assert 4 <= int(made) < 17
    monkeypatch.setattr(generation, "SHARD_ROWS", two_nodes.SHARD_ROWS)
    generation.generate(tmp_path / "local", two_nodes.OPTIONS, workers=1)
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")
