"""What several tests share."""

from __future__ import annotations

import pytest

from unblind.fonts import FontLibrary, find_fonts
from unblind.words import WordSource, load_words


@pytest.fixture(scope="session")
def fonts() -> FontLibrary:
    """The fonts of a plain install."""
    return find_fonts()


@pytest.fixture(scope="session")
def words() -> WordSource:
    """The default word list."""
    return load_words()
