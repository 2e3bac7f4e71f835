"""Whatever is imported is declared in pyproject.toml; nothing comes along by chance of another's needs."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read pyproject.toml")

ROOT = Path(__file__).parents[2]
# extras that a user chooses; the others are for developers
USERS = {"demo", "gpu", "heic", "inspect", "nltk", "ray", "xlsx"}


def imported(folder: Path) -> dict[str, Path]:
    """The top-level names that the code of a folder imports, each with a file that does."""
    found = {}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0]: path for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found[(node.module or "").partition(".")[0]] = path
    return found


def same(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extras: Iterable[str] | None) -> set[str]:
    """What is required always, and with some extras (None: with any)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    texts = list(project["dependencies"])
    for extra, needed in project["optional-dependencies"].items():
        texts += needed if extras is None or extra in extras else []
    return {same(re.split(r"[^\w.-]", text)[0]) for text in texts}


@pytest.mark.parametrize(
    ("folder", "extras"), [("src", USERS), ("tests", None), ("benchmarks", None), ("docs", None)]
)
def test_every_import_is_declared(folder: str, extras: set[str] | None) -> None:
    places = (folder, "tests", "tests/families")
    here = {path.stem for place in places for path in (ROOT / place).iterdir()}
    found = imported(ROOT / folder)
    providers, allowed = packages_distributions(), declared(extras)
    missing = {
        name: str(path)
        for name, path in found.items()
        if name not in sys.stdlib_module_names | here | {"unblind"}
        and not allowed.intersection(map(same, providers.get(name, [name])))
    }
    assert len(found) > 5
    assert not missing
