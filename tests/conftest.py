"""What several tests share."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # a core for each worker and what it starts; set before torch comes
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from unblind.tasks.fonts import FontLibrary, find_fonts
from unblind.tasks.words import WordSource, load_words


@pytest.fixture(scope="session")
def fonts() -> FontLibrary:
    """The fonts of a plain install."""
    return find_fonts()


@pytest.fixture(scope="session")
def words() -> WordSource:
    """The default word list."""
    return load_words()
