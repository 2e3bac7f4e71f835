"""Imports go one way, and what needs no model loads none."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "unblind"
LIGHT = ("words", "fonts", "scene", "draw", "scoring", "report", "prompts", "recipe", "hub", "cli")
HEAVY = ("torch", "transformers", "peft", "datasets")


def loaded_after(statement: str) -> set[str]:
    """The top-level modules in memory after a statement, in a new process."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


@pytest.mark.parametrize("name", LIGHT)
def test_what_needs_no_model_imports_no_torch(name: str) -> None:
    assert not loaded_after(f"import unblind.{name}").intersection(HEAVY)


def test_help_imports_no_torch() -> None:
    statement = "from unblind.cli import main\ntry: main(['--help'])\nexcept SystemExit: print()"
    assert not loaded_after(statement).intersection(HEAVY)


def test_nothing_imports_the_command_line() -> None:
    for path in SOURCE.rglob("*.py"):
        if path.is_relative_to(SOURCE / "commands") or path.name in ("cli.py", "__main__.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.startswith(("unblind.cli", "unblind.commands"))], path


def test_only_its_command_imports_the_demo() -> None:
    found = [path for path in SOURCE.rglob("*.py") if "unblind.demo" in path.read_text()]
    outside = {path.relative_to(SOURCE) for path in found if not path.is_relative_to(SOURCE / "demo")}
    assert outside == {Path("commands/demo.py")}
