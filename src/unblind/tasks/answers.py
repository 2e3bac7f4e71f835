"""Answer spaces that several tasks have, and what can be wrong in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from unblind.tasks.base import AnswerSpace, BaseRate, Mistake, Row

_AROUND = r"[\s{}()\[\]\"'`“”‘’.:*]*"
_NUMBER = re.compile(rf"{_AROUND}(\d{{1,6}}){_AROUND}")
_YES_NO = re.compile(rf"{_AROUND}(yes|no){_AROUND}", re.IGNORECASE)


def parse_number(reply: str) -> str | None:
    """The whole number that a reply is, braces, quotes and dots around it ignored; a sentence is none."""
    match = _NUMBER.fullmatch(reply)
    return str(int(match.group(1))) if match else None


def parse_yes_no(reply: str) -> str | None:
    """`Yes` or `No` if that is the reply, in any case; a sentence is none."""
    match = _YES_NO.fullmatch(reply)
    return match.group(1).capitalize() if match else None


YES_NO = AnswerSpace(("Yes", "No"), parse_yes_no)


def counts(low: int, high: int) -> AnswerSpace:
    """The whole numbers from one to another."""
    return AnswerSpace(tuple(map(str, range(low, high + 1))), parse_number)


def yes_no(truth: bool) -> str:
    """`Yes` or `No`."""
    return "Yes" if truth else "No"


def _differs(row: Row, reply: str, by: Sequence[int]) -> bool | None:
    number = parse_number(reply)
    return None if number is None else int(number) - int(row["answer"]) in by


# The ways to miscount; a reply that is no number is none of them.
MISCOUNTS = {
    "one_more": Mistake("one too many", partial(_differs, by=(1,))),
    "one_less": Mistake("one too few", partial(_differs, by=(-1,))),
    "many_more": Mistake("two or more too many", partial(_differs, by=range(2, 1_000_000))),
    "many_less": Mistake("two or more too few", partial(_differs, by=range(-1_000_000, -1))),
}


def chance(answers: AnswerSpace, among: Sequence[str] = ()) -> BaseRate:
    """One answer at random: of all choices, or of those that the benchmark has where no other occurs."""
    everything, usual = len(answers.choices or ()), frozenset(among)

    def rate(rows: Sequence[Row]) -> float:
        return 1 / (len(usual) if usual.issuperset(row["answer"] for row in rows) else everything)

    few = f", or of the {len(usual)} that the benchmark has where there are no others" if usual else ""
    return BaseRate("Chance", rate, f"One of the {everything} possible answers at random{few}.")
