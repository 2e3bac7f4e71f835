"""How BlindTest's paper, VLMEvalKit and lmms-eval read a reply, by the kind of answer; a task names its own.

The paper (Rahmanzadehgervi et al. 2024, arXiv 2407.06581) extracts what its prompts ask for, mostly what is
in curly brackets, and compares; letters regardless of case. Its repository (anguyen8/vision-llms-are-blind)
holds replies sorted into right and wrong, and no code that sorts them. The others are what their code does,
written anew: open-compass/VLMEvalKit, vlmeval/dataset/image_mcq.py, class VLMBlind; and
EvolvingLMMs-Lab/lmms-eval, lmms_eval/tasks/vlmsareblind/utils.py, parse_response.
"""

from __future__ import annotations

import re

from unblind.tasks.base import Rule

_BRACES = re.compile(r"\{(.*?)\}")
_BARE = " \t\n.{}()[]\"'"  # around an answer that stands alone
_PAIR = re.compile(r"[({\[]\s*(\d+)\s*,\s*(\d+)\s*[)}\]]|\{(\d+)\}\D*\{(\d+)\}")
_LMMS_PAIRS = (r"\{(\d+)\}\s*\{(\d+)\}", r"\((\d+)\s*,\s*(\d+)\)", r"rows=\{(\d+)\}\scolumns=\{(\d+)\}")
_ROWS, _COLUMNS = re.compile(r"[Rr]ows?[^{}]*\{(\d+)\}"), re.compile(r"[Cc]olumns?[^{}]*\{(\d+)\}")
_ROUND = re.compile(r"\((\d+),\s*(\d+)\)")


def in_brackets(reply: str) -> str | None:
    """What the first curly brackets hold."""
    found = _BRACES.search(reply)
    return found.group(1) if found else None


def brackets_hold(reply: str, answer: str) -> bool:
    """What the first curly brackets hold is the answer, in its case, to the character."""
    return in_brackets(reply) == answer


def brackets_hold_any_case(reply: str, answer: str) -> bool:
    """The answer stands in the first curly brackets, upper and lower case alike; without them it is wrong."""
    return (in_brackets(reply) or "").strip().lower() == answer.lower()


def first_letter(reply: str, answer: str) -> bool:
    """The first letter a-z anywhere in the lower-cased reply is the answer.

    The brackets in lmms-eval's pattern are optional, so they never matter: "The letter is {k}." reads as `t`.
    """
    found = re.search("[a-z]", reply.lower())
    return found is not None and found.group() == answer.strip().lower()


def number_asked_for(reply: str, answer: str) -> bool:
    """The number in the first curly brackets is the answer; without them, the reply is."""
    inside = in_brackets(reply)
    return (reply if inside is None else inside).strip(_BARE) == answer


def first_number(reply: str, answer: str) -> bool:
    """The first number anywhere in the reply is the answer."""
    found = re.search(r"\d+", reply)
    return found is not None and found.group() == answer.strip()


def holds(reply: str, answer: str) -> bool:
    """The answer occurs in the reply, upper and lower case alike: `1` in `10`, `no` in `I do not know`."""
    return answer.lower() in reply.lower()


def is_the_word(reply: str, answer: str) -> bool:
    """The reply is the answer and nothing else, upper and lower case alike."""
    return reply.strip().lower() == answer.strip().lower()


def is_the_word_in_brackets_or_not(reply: str, answer: str) -> bool:
    """The reply is the answer in any case; brackets, quotes and dots around it don't count."""
    return reply.strip(_BARE).lower() == answer.lower()


def pair_in_brackets(reply: str, answer: str) -> bool:
    """The first pair of numbers, `(5, 6)` or `{5} ... {6}`, is the answer `5,6`."""
    found = _PAIR.search(reply)
    return found is not None and [n for n in found.groups() if n is not None] == _numbers(answer)


def rows_and_columns(reply: str, answer: str) -> bool:
    """`rows ... {5}` and `columns ... {6}`, or else `(5, 6)`, are the answer `5,6`."""
    rows, columns, pair = _ROWS.search(reply), _COLUMNS.search(reply), _ROUND.search(reply)
    if rows and columns:
        return [rows.group(1), columns.group(1)] == _numbers(answer)
    return pair is not None and list(pair.groups()) == _numbers(answer)


def pair_as_lmms_eval(reply: str, answer: str) -> bool:
    """What the first of `{5} {6}`, `(5, 6)`, `rows={5} columns={6}` that occurs holds is the answer `5,6`."""
    matches = (re.search(pattern, reply.lower()) for pattern in _LMMS_PAIRS)
    found = next((match for match in matches if match), None)
    return found is not None and list(found.groups()) == _numbers(answer)


def _numbers(answer: str) -> list[str]:
    return [part.strip() for part in answer.split(",")]


LETTER_RULES = {
    "paper": Rule("the letter in curly brackets, in any case", brackets_hold_any_case),
    "vlmevalkit": Rule("the letter in curly brackets, in its case", brackets_hold),
    "lmms-eval": Rule("the first letter of the reply, in any case", first_letter),
}
YES_NO_RULES = {
    "paper": Rule("the word alone, in any case", is_the_word_in_brackets_or_not),
    "vlmevalkit": Rule("the word anywhere in the reply, even inside another", holds),
    "lmms-eval": Rule("the word alone, in any case, without even a dot", is_the_word),
}
COUNT_RULES = {
    "paper": Rule("the number in curly brackets, or alone", number_asked_for),
    "vlmevalkit": Rule("the number in curly brackets", brackets_hold),
    "lmms-eval": Rule("the first number of the reply", first_number),
}
# VLMEvalKit reads the counts of the two Olympic kinds otherwise.
LOOSE_COUNT_RULES = COUNT_RULES | {"vlmevalkit": Rule("the number anywhere, even inside another", holds)}
PAIR_RULES = {
    "paper": Rule("both numbers, as `rows={5} columns={6}` or `(5,6)`", pair_in_brackets),
    "vlmevalkit": Rule("both numbers, as `rows={5} columns={6}` or `(5,6)`", rows_and_columns),
    "lmms-eval": Rule("both numbers, as `{5} {6}`, `(5,6)` or `rows={5} columns={6}`", pair_as_lmms_eval),
}
