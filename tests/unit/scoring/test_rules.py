"""Where the scoring rules disagree; docs/scoring.md shows the same table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from unblind.errors import RecipeError
from unblind.scoring.rules import RULES, rule_named, rules_of
from unblind.tasks import replies
from unblind.tasks.base import AnswerSpace, Rule
from unblind.tasks.circled_letter.task import TASK
from unblind.tasks.generic import GENERIC, Generic
from unblind.tasks.registry import TASKS, task_named

# reply, answer, and which rules count it as right
DISAGREEMENTS = [
    ("k", "k", {"exact", "any-case", "lenient", "lmms-eval"}),
    ("K", "k", {"any-case", "lenient", "lmms-eval"}),
    ("{k}", "k", {"exact", "any-case", "lenient", "paper", "vlmevalkit", "lmms-eval"}),
    ("{K}", "k", {"any-case", "lenient", "paper", "lmms-eval"}),
    ("{ k }", "k", {"exact", "any-case", "lenient", "paper", "lmms-eval"}),
    ('"k".', "k", {"exact", "any-case", "lenient", "lmms-eval"}),
    ("The letter is {k}.", "k", {"lenient", "paper", "vlmevalkit"}),
    ("The letter is k.", "k", {"lenient"}),
    ("The letter is k.", "t", {"lmms-eval"}),
    ("It is {t}, not {k}.", "k", set()),
    ("It is {t}, not {k}.", "t", {"lenient", "paper", "vlmevalkit"}),
    ("knowledge", "k", {"lmms-eval"}),
    ("{knowledge}", "k", {"lmms-eval"}),
    ("{\nk\n}", "k", {"exact", "any-case", "lenient", "lmms-eval"}),
    ("", "k", set()),
    ("{}", "k", set()),
    ("7", "k", set()),
]


@pytest.mark.parametrize(("reply", "answer", "right"), DISAGREEMENTS)
def test_which_rules_count_a_reply_as_right(reply: str, answer: str, right: set[str]) -> None:
    assert {name for name, rule in rules_of(TASK).items() if rule.right(reply, answer)} == right


def test_the_documented_table_is_the_tested_one() -> None:
    page = (Path(__file__).parents[3] / "docs" / "scoring.md").read_text("utf-8")
    for reply, answer, right in DISAGREEMENTS:
        if "\n" in reply or not reply:
            continue
        marks = " | ".join("yes" if name in right else "–" for name in RULES)
        assert f"| `{reply}` | `{answer}` | {marks} |" in page


def test_our_rules_take_words_too() -> None:
    for task in (TASK, GENERIC):
        exact, any_case = rule_named("exact", task), rule_named("any-case", task)
        assert exact(" hello\n", "hello") and not exact("Hello", "hello")
        assert any_case("Hello", "hello")


# The replies are of the kinds that BlindTest's prompts ask for.
OTHERS = [
    (replies.YES_NO_RULES, "Yes", "Yes", {"paper", "vlmevalkit", "lmms-eval"}),
    (replies.YES_NO_RULES, "yes.", "Yes", {"paper", "vlmevalkit"}),
    (replies.YES_NO_RULES, "Yes, they touch.", "Yes", {"vlmevalkit"}),
    (replies.YES_NO_RULES, "I do not know", "No", {"vlmevalkit"}),
    (replies.YES_NO_RULES, "No", "Yes", set()),
    (replies.COUNT_RULES, "{3}", "3", {"paper", "vlmevalkit", "lmms-eval"}),
    (replies.COUNT_RULES, "3", "3", {"paper", "lmms-eval"}),
    (replies.COUNT_RULES, "The 2 lines meet {3} times", "3", {"paper", "vlmevalkit"}),
    (replies.COUNT_RULES, "The 2 lines meet {3} times", "2", {"lmms-eval"}),
    (replies.COUNT_RULES, "{13}", "3", set()),
    (replies.LOOSE_COUNT_RULES, "15", "5", {"vlmevalkit"}),
    (replies.LOOSE_COUNT_RULES, "There are 5 circles", "5", {"vlmevalkit", "lmms-eval"}),
    (replies.PAIR_RULES, "rows={5} columns={6}", "5,6", {"paper", "vlmevalkit", "lmms-eval"}),
    (replies.PAIR_RULES, "(5, 6)", "5,6", {"paper", "vlmevalkit", "lmms-eval"}),
    (replies.PAIR_RULES, "Rows: {5}, columns: {6}", "5,6", {"paper", "vlmevalkit"}),
    (replies.PAIR_RULES, "{5} {6}", "5,6", {"paper", "lmms-eval"}),
    (replies.PAIR_RULES, "(6, 5)", "5,6", set()),
    (replies.PAIR_RULES, "5,6", "5,6", set()),
]


@pytest.mark.parametrize(("rules", "reply", "answer", "right"), OTHERS)
def test_how_others_read_other_kinds_of_answers(
    rules: dict[str, Rule], reply: str, answer: str, right: set[str]
) -> None:
    assert {name for name, rule in rules.items() if rule.right(reply, answer)} == right


# Ours, and letters without brackets, which two of the others do not read.
NOT_READ_BY_ALL = {"short", "short-overlap", "read", "word", "circled", "highlighted"}


@pytest.mark.parametrize("name", TASKS)
def test_what_training_teaches_is_right_by_every_rule(name: str) -> None:
    """Each answer, written as the published prompts ask for it."""
    task = task_named(name)
    asked = [prompt for name, prompt in task.prompts.items() if name not in NOT_READ_BY_ALL]
    assert len(asked) == 2
    for prompt in asked:
        for answer in task.answers.choices or ():
            for rule in rules_of(task).values():
                assert rule.right(prompt.reply(answer), answer), (rule.counts, prompt.reply(answer))


def test_a_choice_is_read_in_any_case() -> None:
    class YesNo(Generic):
        answers = AnswerSpace(("Yes", "No"), lambda reply: {"yes": "Yes", "no": "No"}.get(reply.strip(" .")))

    any_case = rule_named("any-case", YesNo())
    assert any_case("YES.", "Yes") and any_case("no", "No") and not any_case("no", "Yes")


def test_a_rule_that_is_not_there_is_met_with_those_that_are() -> None:
    class Plain(Generic):
        rules: ClassVar[Any] = {}

    with pytest.raises(RecipeError, match=r"unknown rule loose; choose exact, .*lmms-eval \(--rule\)"):
        rule_named("loose", TASK)
    with pytest.raises(
        RecipeError, match=r"no rule paper for the task generic; choose exact, any-case, lenient \("
    ):
        rule_named("paper", Plain())
