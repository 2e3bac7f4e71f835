"""Scoring rules: when does a free reply count as the answer? Ours, and those that others publish with.

They disagree (docs/scoring.md has a table), so a number is cited with its rule. Where a rule is not ours, it
is what the named file does, written anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from unblind.errors import RecipeError
from unblind.tasks.prompts import parse_letter

Rule = Callable[[str, str], bool]  # (reply, answer) -> right or wrong

_BRACES = re.compile(r"\{(.*?)\}")
_LETTER = re.compile(r"[a-z]")


def exact(reply: str, answer: str) -> bool:
    """Ours: the reply is the answer in its case; brackets, quotes, dots and spaces around it do not count."""
    return answer in (parse_letter(reply), reply.strip())


def any_case(reply: str, answer: str) -> bool:
    """Ours: as `exact`, upper and lower case alike."""
    return exact(reply.lower(), answer.lower())


def paper(reply: str, answer: str) -> bool:
    """BlindTest's: the answer in curly brackets, upper and lower case alike.

    Source: Rahmanzadehgervi et al. 2024 (arXiv 2407.06581): the prompts ask for curly brackets, and circled
    letters are compared regardless of case. The repository (anguyen8/vision-llms-are-blind) holds the replies
    sorted into right and wrong, and no code that sorts them; a reply without brackets is wrong here.
    """
    found = _BRACES.search(reply)
    return found is not None and found.group(1).strip().lower() == answer.lower()


def vlmevalkit(reply: str, answer: str) -> bool:
    """VLMEvalKit's: what the first curly brackets hold is the answer, in its case, to the character.

    Source: open-compass/VLMEvalKit, vlmeval/dataset/image_mcq.py, class VLMBlind.
    """
    found = _BRACES.search(reply)
    return found is not None and found.group(1) == answer


def lmms_eval(reply: str, answer: str) -> bool:
    """lmms-eval's: the first letter a-z anywhere in the lower-cased reply is the answer.

    The brackets in its pattern are optional, so they never matter: "The letter is {k}." reads as `t`.
    Source: EvolvingLMMs-Lab/lmms-eval, lmms_eval/tasks/vlmsareblind/utils.py, parse_response.
    """
    found = _LETTER.search(reply.lower())
    return found is not None and found.group() == answer.strip().lower()


RULES: dict[str, Rule] = {
    "exact": exact,
    "any-case": any_case,
    "paper": paper,
    "vlmevalkit": vlmevalkit,
    "lmms-eval": lmms_eval,
}


def rule_named(name: str, flag: str = "--rule") -> Rule:
    """The rule of a name. Raises RecipeError, naming `flag`, for a name that is not in `RULES`."""
    if name not in RULES:
        raise RecipeError(f"unknown rule {name}; choose {', '.join(RULES)} ({flag})")
    return RULES[name]
