"""The documentation builds without a warning, needs no other host, and has every command and public name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import unblind
from unblind.cli import COMMANDS
from unblind.runtime.versions import DISTRIBUTION

ROOT = Path(__file__).parents[2]
# what a browser fetches by itself, as links are not
FETCHED = re.compile(
    r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"?((?:https?:)?//[^\s\">]+)", re.IGNORECASE
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly."""
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", out],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return out


def test_no_page_fetches_anything_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    fetched = {page.name: found for page in pages if (found := FETCHED.findall(page.read_text("utf-8")))}
    assert not fetched
    styles = [
        path for path in site.rglob("*.css") if re.search(r"url\([\"']?(https?:)?//", path.read_text("utf-8"))
    ]
    assert not styles


def test_the_pattern_finds_what_a_browser_would_fetch() -> None:
    assert FETCHED.findall('<link rel="stylesheet" href="https://fonts.example/css">')
    assert FETCHED.findall("<script src=//cdn.example/x.js></script>")
    assert not FETCHED.findall(
        '<a href="https://arxiv.org/abs/2407.06581">paper</a> <img src="images/a.png">'
    )


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    page = (site / "commands.html").read_text("utf-8")
    for name in COMMANDS:
        assert f'<h2 id="unblind-{name}">' in page
        assert f"Example: <code>unblind {name}" in page
    assert "--gradient-checkpointing" in page  # --help itself only names it


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    page = (site / "api.html").read_text("utf-8")
    assert not [name for name in unblind.__all__ if f'id="unblind.{name}"' not in page]


def test_pages_and_readme_name_files_that_exist() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("dev/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#|commands\.md)([^)#\s]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


# an installer and the bare name, or the name with extras; a path (./unblind) and a URL (.../unblind) are ours
SOMEBODY_ELSES = re.compile(
    r"(?<![\w./-])unblind\["
    r"|\b(?:pip|pipx|uv|poetry|conda)\d? +(?:add|install|run)\b[^\n`;&|#]*?(?<![\w./-])unblind(?![\w-])"
)


def test_no_command_installs_the_other_project_called_unblind() -> None:
    folders = ("src", "docs", "dev", "notebooks", "tests", "benchmarks", "examples", ".ci")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")] + list(ROOT.iterdir())
    kinds = {".md", ".py", ".ipynb", ".j2", ".toml", ".yaml", ".yml", ".cff", ".html", ""}
    read = [path for path in paths if path.is_file() and path.suffix in kinds and path != Path(__file__)]
    assert len(read) > 150
    found = {
        str(path.relative_to(ROOT)): lines
        for path in read
        if (lines := SOMEBODY_ELSES.findall(path.read_text("utf-8", errors="replace")))
    }
    assert not found


def test_that_pattern_finds_such_commands() -> None:
    for line in ("pip install unblind", '%pip install -q "unblind[gpu]"', "uv add unblind", "unblind[ray]"):
        assert SOMEBODY_ELSES.search(line), line
    for line in (
        "pip install -e '.[gpu]'  # in a checkout of Unblind",
        "pip install unblind-vlm",
        "pip install ./unblind[gpu]",
        "`pip install -e .`, then `unblind quickstart`",
        "pip install 'unblind-vlm[gpu] @ git+https://host/unblind'",
    ):
        assert not SOMEBODY_ELSES.search(line), line


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == version(DISTRIBUTION)
    assert citation["authors"] == [{"name": "The Unblind developers"}]
