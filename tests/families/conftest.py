"""Each family's small checkpoint, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import small

from unblind.models.loading import Loaded, load


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The checkpoints' folders, by model type."""
    return {name: small.save(name, tmp_path_factory.mktemp(name)) for name in small.FAMILIES}


@pytest.fixture(scope="session", params=small.FAMILIES)
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    """One family's checkpoint after the other's."""
    return folders[request.param]


@pytest.fixture(scope="session")
def loaded(folder: Path) -> Loaded:
    """It, loaded; tests leave it as it is."""
    return load(str(folder), device="cpu", dtype="float32")
