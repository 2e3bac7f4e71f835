"""The figures of README, docs and cards are those of docs/numbers.json, which docs/make_numbers.py writes."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from unblind.errors import UnblindError

ROOT = Path(__file__).parents[2]
SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "make_numbers.py"))
NUMBERS = json.loads((ROOT / "docs" / "numbers.json").read_text("utf-8"))
KNOWN = SCRIPT["known"](NUMBERS)
MARK, forms, renewed = SCRIPT["MARK"], SCRIPT["forms"], SCRIPT["renewed"]
SHARE = {"value": 0.987, "low": 0.9779, "high": 0.9924}


@pytest.mark.parametrize("page", SCRIPT["pages"](), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_shows_the_measured_figures(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.count("<!-- n:") == len(MARK.findall(text)), "a mark is not closed by <!-- -->"
    wrong = [
        f"{mark['name']}: {mark['shown']} instead of {KNOWN.get(mark['name'])}"
        for mark in MARK.finditer(text)
        if mark["shown"] not in forms(KNOWN.get(mark["name"], ""))
    ]
    assert not wrong, "docs/make_numbers.py puts the figures in"
    # a line that begins with a comment ends the paragraph before it
    assert not [line for line in text.splitlines() if line.lstrip().startswith("<!-- n:")]


def test_the_pages_take_their_main_figures_from_there() -> None:
    used = {mark["name"] for page in SCRIPT["pages"]() for mark in MARK.finditer(page.read_text("utf-8"))}
    assert {"quickstart.blind.restricted", "quickstart.after.restricted"} <= used
    assert {run.partition(".")[0] for run in NUMBERS} <= {name.partition(".")[0] for name in used}


def test_the_card_of_tiny_has_the_figures_of_the_blind_model() -> None:
    card = " ".join((ROOT / "src/unblind/tiny/checkpoint/README.md").read_text("utf-8").split())
    for name in ("quickstart.blind.restricted", "quickstart.blind.base_rates.first_letter"):
        assert KNOWN[name] in card


def test_the_published_figures_are_those_of_the_package() -> None:
    assert NUMBERS["published"]["figures"] == dict(SCRIPT["published"]())


def test_figures_of_one_task_and_of_several() -> None:
    one = {
        "n": 1000,
        "accuracy": {"free": None, "restricted": SHARE},
        "by": {"font": {"Roboto": SHARE | {"n": 200}}, "length": {"5": SHARE | {"n": 9}}},
        "rules": {"exact": SHARE},
        "base_rates": {"chance": 0.1126},
        "task": "grid",
        "train": {"seconds": 171.6, "samples_per_second": 54.3, "samples": 8000},
    }
    figures = {
        "n": "1,000",
        "restricted": "98.7 % (97.8–99.2)",
        "font.Roboto": "98.7 % (97.8–99.2)",
        "font.Roboto.right": "197 of 200",
        "base_rates.chance": "11.3 %",
        "train.seconds": "2 min 52 s",
        "train.samples_per_second": "54",
        "train.samples": "8,000",
    }
    assert dict(SCRIPT["figures"](one)) == figures
    several = {"tasks": {"grid": one}, "mean": {"restricted": SHARE, "free": None}}
    found = dict(SCRIPT["figures"](several))
    assert found == {f"grid.{name}": text for name, text in figures.items()} | {
        "mean.restricted": "98.7 % (97.8–99.2)"
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.0 % (0.5–2.0)", "98.7 % (97.8–99.2)"),
        ("1.0 %", "98.7 %"),
        ("0.5–2.0", "97.8–99.2"),
        ("", "98.7 % (97.8–99.2)"),
    ],
)
def test_a_new_figure_takes_the_form_of_the_old_one(old: str, new: str) -> None:
    page = "It reaches <!-- n:a.after -->{}<!-- --> here."
    assert renewed(page.format(old), {"a.after": "98.7 % (97.8–99.2)"}, "page") == page.format(new)


def test_a_figure_without_an_interval_is_shown_whole() -> None:
    assert renewed("<!-- n:a -->7<!-- -->", {"a": "8,000"}, "page") == "<!-- n:a -->8,000<!-- -->"


def test_a_run_is_written_and_the_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, page = tmp_path / "numbers.json", tmp_path / "page.md"
    monkeypatch.setitem(SCRIPT["main"].__globals__, "NUMBERS", numbers)
    monkeypatch.setitem(SCRIPT["main"].__globals__, "pages", lambda: [page])
    numbers.write_text(json.dumps({"twin": {"command": "", "figures": {"after.n": "7"}}}), "utf-8")
    page.write_text("<!-- n:quickstart.n -->8<!-- --> and <!-- n:twin.after.n -->7<!-- -->", "utf-8")
    (tmp_path / "metrics.json").write_text('{"n": 1000}', "utf-8")
    SCRIPT["main"]([f"quickstart={tmp_path}"])
    written = json.loads(numbers.read_text("utf-8"))
    assert written["quickstart"] == {"command": "unblind quickstart --out DIR", "figures": {"n": "1,000"}}
    assert (
        page.read_text("utf-8") == "<!-- n:quickstart.n -->1,000<!-- --> and <!-- n:twin.after.n -->7<!-- -->"
    )


def test_a_mark_or_run_that_nobody_measured_is_refused() -> None:
    with pytest.raises(UnblindError, match=r"no figure is called a\.b"):
        renewed("<!-- n:a.b -->7<!-- -->", {}, "page")
    with pytest.raises(UnblindError, match="no such run"):
        SCRIPT["main"](["nothing=folder"])
    with pytest.raises(UnblindError, match="NAME=FOLDER"):
        SCRIPT["main"](["folder"])
