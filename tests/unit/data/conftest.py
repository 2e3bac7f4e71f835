"""What tests of reading share."""

import datasets
import pytest

from unblind.data import arrow_cache


@pytest.fixture(params=["held", "mapped"])
def held_or_mapped(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Once with rows in memory, once with rows that are mapped, in pieces of a few hundred bytes."""
    if request.param == "mapped":
        monkeypatch.setattr(arrow_cache, "IN_MEMORY", -1)
        monkeypatch.setattr(arrow_cache, "PIECE", 300)
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
