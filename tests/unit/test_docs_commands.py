"""The commands in README and docs are real: the command line takes them; files, targets and extras exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from unblind.cli import COMMANDS, command_line
from unblind.errors import UnblindError
from unblind.tasks import registry

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
OTHERS = {"apt", "hf", "inspect", "ls", "xargs"}  # of other programs
EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"])
TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
LAUNCHED = re.compile(r"^(?:accelerate launch|torchrun) .* -m (unblind .*)$")


@pytest.fixture
def own_task(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The task of docs/add-a-task.md, as if examples/own_task were installed."""
    monkeypatch.syspath_prepend(ROOT / "examples" / "own_task")
    monkeypatch.setitem(registry.TASKS, "longer-bar", "longer_bar")
    yield
    registry.task_named.cache_clear()


def shell_lines(text: str) -> list[str]:
    """Every line of the ```sh blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def named(text: str) -> list[str]:
    """What a page names in the middle of a sentence: `unblind train --resume`, often without its values."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`(unblind [a-z][^`]*)`", re.sub(r"\s+", " ", prose))


@lru_cache
def options(command: str) -> set[str]:
    """Every option of a command."""
    return {
        name for argument in command_line()[command].assemble_argument_collection() for name in argument.names
    }


def wrong(line: str) -> str | None:
    """What is wrong with a line of shell, if anything."""
    words = shlex.split(LAUNCHED.sub(r"\1", line), comments=True)
    while words and (words[0] == "time" or re.match(r"[A-Z_]+=", words[0])):
        words = words[1:]
    match words:
        case ["unblind", *tokens]:
            try:
                command_line().parse_args(tokens, exit_on_error=False, print_error=False)
            except (CycloptsError, UnblindError) as error:
                return " ".join(str(error).split())
        case ["python", script, *_]:
            return None if (ROOT / script).is_file() else f"there is no {script}"
        case ["make", target, *_]:
            return None if target in TARGETS else f"the Makefile has no {target}"
        case ["pip", "install", *what]:
            extra = re.search(r"\[(\w+)\]", what[-1])
            folder = ROOT / what[-1].partition("[")[0]
            return (
                None if folder.is_dir() and (not extra or extra[1] in EXTRAS) else f"{what[-1]} is not there"
            )
        case [program, *_] if program not in OTHERS:
            return f"no test knows {program}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_of_a_page_is_one(page: Path, request: pytest.FixtureRequest) -> None:
    if page.name == "add-a-task.md":
        request.getfixturevalue("own_task")
    found = {line: why for line in shell_lines(page.read_text("utf-8")) if (why := wrong(line))}
    assert not found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_options_in_sentences_are_there(page: Path) -> None:
    missing = []
    for code in named(page.read_text("utf-8")):
        command = code.split()[1]
        flags = set(re.findall(r"(?<!\S)--[a-z][a-z-]*", code)) - {"--help", "--help-all"}
        if command not in COMMANDS or flags - options(command):
            missing.append(code)
    assert not missing


def test_there_are_commands_to_check() -> None:
    texts = [page.read_text("utf-8") for page in PAGES]
    assert sum(len(shell_lines(text)) for text in texts) > 60
    assert sum(len(named(text)) for text in texts) > 60


@pytest.mark.parametrize(
    "line",
    [
        "unblind evaluate --data circles --out after --bogus 3",
        "unblind fry --data circles",
        "unblind train --data circles --max-steps many --out run",
        "torchrun --nproc-per-node 8 -m unblind train --data circles --no-such-flag",
        "python benchmarks/nothing.py",
        "make coffee",
        'pip install -e ".[nothing]"',
        "curl https://example.com | sh",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    assert wrong(line)


def test_every_page_of_the_docs_ends_with_its_next_step() -> None:
    ends = {page.name: page.read_text("utf-8").rstrip().split("\n\n")[-1] for page in ROOT.glob("docs/*.md")}
    assert not [name for name, end in ends.items() if not re.match(r"Next: .*\]\(\w", end)]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120
