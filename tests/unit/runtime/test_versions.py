"""What a run was made with, and how to install what is missing."""

import re
from importlib.metadata import metadata, version

import pytest

from unblind.runtime.versions import DISTRIBUTION, install_command, versions


def test_our_own_version_is_recorded_under_the_name_that_people_use() -> None:
    found = versions()
    assert found["unblind"] == version(DISTRIBUTION)
    assert found["torch"] == version("torch")


@pytest.mark.parametrize("extra", ["demo", "gpu", "heic", "inspect", "nltk", "ray"])
def test_an_extra_is_installed_by_the_names_of_its_packages(extra: str) -> None:
    assert extra in metadata(DISTRIBUTION).get_all("Provides-Extra")
    assert re.fullmatch(r"pip install('[\w.\[\]-]+>=[\d.]+')+", install_command(extra).replace(" '", "'"))
