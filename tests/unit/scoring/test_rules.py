"""Where the scoring rules disagree; docs/scoring.md shows the same table."""

from __future__ import annotations

from pathlib import Path

import pytest

from unblind.errors import RecipeError
from unblind.scoring.rules import RULES, rule_named

# reply, answer, and which rules count it as right
DISAGREEMENTS = [
    ("k", "k", {"exact", "any-case", "lmms-eval"}),
    ("K", "k", {"any-case", "lmms-eval"}),
    ("{k}", "k", {"exact", "any-case", "paper", "vlmevalkit", "lmms-eval"}),
    ("{K}", "k", {"any-case", "paper", "lmms-eval"}),
    ("{ k }", "k", {"exact", "any-case", "paper", "lmms-eval"}),
    ('"k".', "k", {"exact", "any-case", "lmms-eval"}),
    ("The letter is {k}.", "k", {"paper", "vlmevalkit"}),
    ("The letter is k.", "k", set()),
    ("The letter is k.", "t", {"lmms-eval"}),
    ("It is {t}, not {k}.", "k", set()),
    ("It is {t}, not {k}.", "t", {"paper", "vlmevalkit"}),
    ("knowledge", "k", {"lmms-eval"}),
    ("{knowledge}", "k", {"lmms-eval"}),
    ("{\nk\n}", "k", {"exact", "any-case", "lmms-eval"}),
    ("", "k", set()),
    ("{}", "k", set()),
    ("7", "k", set()),
]


@pytest.mark.parametrize(("reply", "answer", "right"), DISAGREEMENTS)
def test_which_rules_count_a_reply_as_right(reply: str, answer: str, right: set[str]) -> None:
    assert {name for name, rule in RULES.items() if rule(reply, answer)} == right


def test_the_documented_table_is_the_tested_one() -> None:
    page = (Path(__file__).parents[3] / "docs" / "scoring.md").read_text("utf-8")
    for reply, answer, right in DISAGREEMENTS:
        if "\n" in reply or not reply:
            continue
        marks = " | ".join("yes" if name in right else "–" for name in RULES)
        assert f"| `{reply}` | `{answer}` | {marks} |" in page


def test_our_rules_take_words_too() -> None:
    assert RULES["exact"](" hello\n", "hello") and not RULES["exact"]("Hello", "hello")
    assert RULES["any-case"]("Hello", "hello")


@pytest.mark.parametrize("name", RULES)
def test_every_rule_names_itself_and_says_what_it_does(name: str) -> None:
    assert rule_named(name).__doc__


def test_an_unknown_rule_is_met_with_those_there_are() -> None:
    with pytest.raises(RecipeError, match=r"unknown rule loose; choose exact, .*lmms-eval \(--rule\)"):
        rule_named("loose")
