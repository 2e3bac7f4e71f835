"""A model behind an API answers as it does here, so that numbers from both may stand in one table."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.test_inspect import replies_over_http
from unblind.data.dataset_options import DatasetOptions
from unblind.data.generation import generate
from unblind.data.reading import read
from unblind.evaluation.run import evaluate
from unblind.models.loading import load

pytestmark = pytest.mark.slow


def test_gemma_3_replies_over_http_as_here(folders: dict[str, Path], tmp_path: Path) -> None:
    """The other families' processors need torchvision in `transformers serve`."""
    pytest.importorskip("inspect_ai", reason="Inspect is not installed: pip install -e '.[inspect]'")
    generate(tmp_path / "data", DatasetOptions(train=0, validation=0, test=4), workers=1)
    replies = replies_over_http(folders["gemma3"], tmp_path / "data", tmp_path)
    loaded = load(str(folders["gemma3"]), device="cpu", dtype="float32")
    here = evaluate(loaded, read(str(tmp_path / "data"), "test"))["free"].to_pylist()
    assert replies == [reply.strip() for reply in here]
    assert any(replies)
