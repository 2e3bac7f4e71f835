"""What a newcomer reads first: each help fits a screen, has an example, and loads no model library."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from e2e.conftest import Run
from unblind.cli import COMMANDS

SCREEN, TALL_SCREEN = 24, 50  # lines: of any terminal, and of one that is not small


@pytest.fixture(autouse=True)
def hundred_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize("columns", [80, 100])
def test_the_main_help_fits_a_screen_and_names_the_first_thing_to_try(
    unblind: Run, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    unblind("train", "--help")  # leaves no trace
    out = unblind("--help").out
    assert len(out.splitlines()) <= SCREEN
    assert out.index("in minutes: unblind quickstart") < out.index("Commands")
    assert all(f"│ {name} " in out for name in COMMANDS)
    assert unblind().out == out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_fits_a_screen_and_has_an_example_before_the_options(unblind: Run, name: str) -> None:
    done = unblind(name, "--help")
    assert done.code == 0
    assert len(done.out.splitlines()) <= TALL_SCREEN
    assert max(map(len, done.out.splitlines())) <= 100
    example = done.out.index(f"Example: unblind {name}")
    assert example < done.out.index("╭")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_named_and_explained(unblind: Run, name: str) -> None:
    short, full = unblind(name, "--help").out, unblind(name, "--help-all").out
    options = set(re.findall(r"^│ [* ]*(--(?!no-)[a-z-]+)", full, re.MULTILINE))
    missing = [option for option in options if option not in short]
    assert not missing
    assert "explained by --help-all" not in full


def test_an_option_that_is_on_shows_how_to_turn_it_off(unblind: Run) -> None:
    out = unblind("train", "--help-all").out
    assert "--no-double-quantization" in out
    assert "--no-dora" not in out  # off anyway; still accepted, to override a recipe
    assert "[default: None]" not in out
    assert "()" not in out


def test_no_help_loads_a_model_library() -> None:
    code = f"""
import sys
from unblind.cli import main
for name in {list(COMMANDS)}:
    try: main([name, "--help"])
    except SystemExit: pass
print(*sorted({{"torch", "transformers", "peft", "datasets", "gradio", "ray"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
