"""The examples that no page of the documentation walks through, at a small size."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_python_api(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLES / "python_api.py"))["main"]
    main(tmp_path, 16, 8, max_steps=1, eval_samples=4)
    said = capsys.readouterr().out
    assert "blind: {'value': 0." in said and "after: {'value': 0." in said
    assert (tmp_path / "run" / "metrics.json").is_file()
