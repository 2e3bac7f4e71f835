"""The Python API is what `__all__` says."""

from __future__ import annotations

import pytest

import unblind


@pytest.mark.parametrize("name", unblind.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(unblind, name).__doc__


def test_an_unknown_name_is_none() -> None:
    with pytest.raises(AttributeError, match="blindness"):
        unblind.blindness  # noqa: B018
