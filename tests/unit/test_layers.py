"""Imports go one way, and what needs no model loads none."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "unblind"
LIGHT = ("tasks.words", "tasks.fonts", "tasks.base", "tasks.circled_letter.draw", "scoring.metrics")
LIGHT += ("report", "recipe", "sharing.upload", "cli")
HEAVY = ("torch", "transformers", "peft", "datasets")

# From the ground up: what stands on a floor imports only what stands on a lower one, and within its own room.
FLOORS = (
    ("errors",),
    ("flags", "options"),
    ("help", "recipe", "runtime"),
    ("tasks",),
    ("data", "scoring"),
    ("models",),
    ("training", "evaluation", "tiny"),
    ("report", "sharing"),
    ("demo",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
# In entry points and lazy imports: a module, perhaps with what is in it (`unblind.cli:main`), or its first
# part (f"unblind.commands.{name}")
NAME = r"unblind(\.\w+)+[.:]?(\w+)?"
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name, `unblind.tasks.words`."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = ("unblind", *path.relative_to(SOURCE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(code: str, known: set[str]) -> Iterator[str]:
    """The modules of the package that some code imports, wherever in it: `import`, `from`, by name."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module or ""
        elif isinstance(node, ast.Constant) and re.fullmatch(NAME, str(node.value)):
            yield longest_known(str(node.value), known)


def longest_known(text: str, known: set[str]) -> str:
    """The module that `unblind.cli:main`, `unblind.cli.main` or `unblind.commands.` names."""
    name = re.split(r"[:]|\.$", text)[0]
    while name not in known:
        name = name.rpartition(".")[0]
    return name if name != "unblind" else ""


def room(module: str) -> str:
    return [*module.split("."), "__init__"][1]


def arrows(name: str, code: str, known: set[str]) -> set[str]:
    return {target for target in imported(code, known) if target in known and target != name}


def wrong(name: str, target: str) -> bool:
    """Whether an import runs up, or to another room of the same floor."""
    here, there = room(name), room(target)
    if here == "__init__":  # serves public names lazily
        return False
    return there == "__init__" or (here != there and FLOOR[there] >= FLOOR[here])


def test_every_room_has_its_floor() -> None:
    assert {room(name) for name in modules()} - {"__init__"} == set(FLOOR)


def test_the_map_for_contributors_shows_these_floors() -> None:
    page = (SOURCE.parents[1] / "CONTRIBUTING.md").read_text("utf-8")
    shown = re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.MULTILINE)
    assert {name: int(floor) - 1 for floor, name in shown} == FLOOR


def test_imports_go_one_way() -> None:
    known = modules()
    up = [
        f"{name} -> {target}"
        for name, path in known.items()
        for target in arrows(name, path.read_text("utf-8"), set(known))
        if wrong(name, target)
    ]
    assert not up


def test_every_arrow_turned_round_is_found() -> None:
    """Whatever imports, and however it is written: the same import the other way fails."""
    known = modules()
    ways = ("import {}", "import {} as x", "from {} import x", "from {} import *", "def f():\n    import {}")
    ways += ("if TYPE_CHECKING:\n    import {}", "importlib.import_module('{}')", "resolve_name('{}.x')")
    ways += ("x = '{}:x'", "import_module(f'{}.{{x}}')")
    for name, path in known.items():
        for target in arrows(name, path.read_text("utf-8"), set(known)):
            if room(name) in (room(target), "__init__"):
                continue
            parent, _, leaf = name.rpartition(".")
            for code in (*(way.format(name) for way in ways), f"from {parent} import {leaf}"):
                assert any(wrong(target, found) for found in arrows(target, code, set(known))), code


def test_no_room_holds_a_circle() -> None:
    known = modules()
    graph = {name: arrows(name, path.read_text("utf-8"), set(known)) for name, path in known.items()}
    del graph["unblind"]
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name not in done:
            for target in sorted(graph.get(name, ())):
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


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
