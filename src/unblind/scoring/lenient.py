r"""The rule `lenient`: the answer that a chatty reply declares, in words, Markdown, LaTeX or JSON. No torch.

Thoughts are removed first. What is left is searched in steps for the answer; the first step that finds one
counts, and in it the last one:

1. it is set apart: `\boxed{k}`, `<answer>k</answer>`, or in curly brackets, as BlindTest's prompts ask;
2. it is called the answer: `**Final answer:** k`, `{"answer": "k"}`;
3. a sentence of its kind states it: `there are 5`, `k is circled`, `5 rows and 6 columns`;
4. it is mentioned: of letters those in quotes or bold before others.

`not k` declares nothing, and neither does `k or l`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from unblind.tasks.base import AnswerSpace

_LONGEST = 20_000  # characters of a reply that are read, the last ones
_NUMBER_WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
_AS_NUMBER = {word: number for number, word in enumerate(_NUMBER_WORDS)} | {
    "once": 1,
    "twice": 2,
    "thrice": 3,
}

_TAGS = r"think|thinking|thoughts?|reasoning|analysis|reflection|scratchpad"
_OPENS = rf"<(?:{_TAGS})>|◁think▷|\[THINK\]|<\|channel\|>(?:analysis|commentary)(?:<\|message\|>)?"
_CLOSES = rf"</(?:{_TAGS})>|◁/think▷|\[/THINK\]|<\|channel\|>final(?:<\|message\|>)?"
_THOUGHT = re.compile(f"({_OPENS})|({_CLOSES})", re.IGNORECASE)
_SET_APART = re.compile(
    r"\\f?boxed\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}|<answer>([^<]*)|<\|begin_of_box\|>([^<]*)", re.IGNORECASE
)
_LATEX_TEXT = re.compile(r"\\(?:text|math|operator|emph)[a-z]*\s*\{([^{}]*)\}")
_LATEX = (
    (re.compile(r"\\times\b"), "×"),
    (re.compile(r"\\(?:rightarrow|to|implies|Rightarrow)\b"), "→"),
    (re.compile(r"\\([{}])"), r"\1"),
    (re.compile(r"\\[()\[\],;! ]|\$+|\\q?quad\b|~"), " "),
)
_MARKS = re.compile(r"\*+|__+|`+|[“”„«»\"]|(?<!\w)['‘’_]|['‘’_](?!\w)")
_SPECIAL = re.compile(r"<\|[^|<>]{1,40}\|>|</?(?:s|eos|bos|answer|end_of_turn|start_of_turn)>", re.IGNORECASE)


@dataclass(frozen=True)
class Kind:
    """How the answers of a kind are found in a reply.

    Attributes:
        value: an expression with the groups that `read` takes.
        read: the answer, for comparing, of a match's groups.
        steps: of expressions that state it; `VALUE` stands for `value`.
    """

    value: str
    read: Callable[[Sequence[str]], str]
    steps: tuple[tuple[str, ...], ...]

    def find(self, text: str) -> str | None:
        """The last answer of the first step that finds one. None: there is none, or one of two."""
        for expressions in self._compiled():
            found = chain.from_iterable(expression.finditer(text) for expression in expressions)
            matches = [match for match in found if not _is_denied(text, _value_start(match))]
            if matches:
                last = max(matches, key=lambda match: match.end())
                return None if self._is_one_of_two(text, last) else self._value_of(last)
        return None

    def _compiled(self) -> Iterable[Sequence[re.Pattern[str]]]:
        return ([_compiled(e.replace("VALUE", self.value)) for e in step] for step in self.steps)

    def _value_of(self, match: re.Match[str]) -> str:
        return self.read([group for group in match.groups() if group is not None])

    def _is_one_of_two(self, text: str, match: re.Match[str]) -> bool:
        """Whether it stands beside `or` and another answer."""
        either = _compiled(
            rf"{self.value}\W{{0,3}}\bor\b\W{{0,3}}(?:(?:an?|the|letter) ){{0,2}}\W?{self.value}"
        )
        return any(
            found.start() <= match.end() <= found.end()
            and len({self.read([group]) for group in found.groups() if group is not None}) > 1
            for found in either.finditer(text)
        )


_DENIED = re.compile(r"\bnot\W{1,3}(?:the\s+)?(?:letter\s+)?\W?$", re.IGNORECASE)


def _is_denied(text: str, start: int) -> bool:
    return _DENIED.search(text, max(0, start - 30), start) is not None


def _value_start(match: re.Match[str]) -> int:
    return next(start for start, _ in map(match.span, range(1, len(match.groups()) + 1)) if start >= 0)


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE)


_SO = (
    r"(?:(?:therefore|thus|so|then|exactly|only|just|about|likely|probably|clearly|indeed|actually"
    r"|a total of|at|in|the)\s+)*"
)
_BRACES = r"\{\s*VALUE\s*\}"
_CALLED = (
    r"\b(?:answer|result|conclusion|solution|prediction|final)\b[^.\n:=]{0,60}?"
    rf"(?:\bis\b|\bare\b|:|=|→)\W*{_SO}(?:(?:letter|character|number)\s+)?\W*VALUE"
)
_ADJECTIVES = (
    r"(?:(?:the|an?|lower-?case|upper-?case|capital|small|letter|character|first|second|third|fourth|fifth"
    r"|last|likely|probably|clearly|actually|indeed|definitely|now|therefore|thus)\b\W*)*"
)
_RINGED = r"(?:circled|encircled|highlighted|marked|enclosed|surrounded|ringed|outlined)"
_RINGS = r"(?:encircl|circl|highlight|mark|enclos|surround|ring|outlin|around)(?:e?[sd]|ing)?"
_UNLIKE_A_WORD = r"(?![\w'’-])(?!(?<=[aAI])\s+\w)"  # "a" and "I" are words before others
LETTER = Kind(
    rf"(?<![\w'’-])([A-Z]){_UNLIKE_A_WORD}",
    lambda found: found[0].lower(),
    (
        (_BRACES,),
        (_CALLED,),
        (
            r"\b(?:letter|character|one)\b[^.\n]{0,70}?(?:\bis\b|\bas\b|\bwas\b|:|=)\W*"
            rf"{_ADJECTIVES}\W*VALUE",
            rf"VALUE\W*\s(?:is|was|has been|appears to be)\s(?:(?!not\b)\w+\s){{0,4}}?{_RINGED}",
            rf"\b{_RINGS}\b\W+{_ADJECTIVES}\W*VALUE",
            rf"\b(?:it|this|that)(?:\s+is|'s|’s)\s+{_ADJECTIVES}\W*VALUE",
        ),
        (r"[\"({\[]\s*VALUE\s*[\")}\]]",),
        (r"(?<![\w'’-])([B-HJ-Z])(?![\w'’-])", r"^\W*VALUE"),
    ),
)

_COUNTED = r"(?:intersect|cross|meet|touch|overlap|connect|join|link)(?:e?s|ed|ing)?"
_COUNT_NOUN = r"(?:intersection|crossing|meeting|route|path|connection|overlap|way|line|track)s?"
_NUMBER = r"(?<![\w.,/])(?:(\d{1,6})(?:\.0+)?(?![\w/]|[.,]\d)|(" + "|".join(_AS_NUMBER) + r")(?![\w-]))"
_ZERO = (
    r"\bthere(?:\s+is|\s+are|'s)\s+(no)\b(?!\s+(?:other|more|further|additional))",
    rf"\b(?:do|does|did)(?:\s+(not)|n['’](t))\s+(?:\w+\s+)?{_COUNTED}\b",
    rf"\b(never)\s+{_COUNTED}\b",
    rf"\b(no)\s+(?!other|more|further|additional)(?:[\w-]+\s+){{0,2}}?{_COUNT_NOUN}\b",
)


def _number(found: Sequence[str]) -> str:
    text = found[0].lower()
    return str(int(text)) if text.isdigit() else str(_AS_NUMBER.get(text, 0))


NUMBER = Kind(
    _NUMBER,
    _number,
    (
        (_BRACES,),
        (_CALLED,),
        (
            r"\b(?:total|altogether|sum|overall|number|count)\b[^.\n:=]{0,80}?(?:\bis\b|\bare\b|:|=|→)"
            rf"[^\w\n]*{_SO}VALUE",
            r"\btotal\s+of\W*VALUE",
            r"VALUE(?:\W+[a-z]+){0,3}?\W+(?:in\s+total|altogether|in\s+all|overall)\b",
            r"=\W*VALUE(?!\s*[+*/×-])",
        ),
        (
            rf"\bthere\s+(?:is|are|were|appears?\s+to\s+be|seems?\s+to\s+be)\W+{_SO}VALUE",
            rf"\b{_COUNTED}\s+(?:each\s+other\s+|one\s+another\s+)?{_SO}VALUE",
            rf"\b(?:count|counted|see|seen|shows?|contains?|has|have|depicts?|form|nested)\s+{_SO}VALUE",
            *_ZERO,
        ),
        ("VALUE",),
    ),
)

_FOLLOWED = r"(?=\W*$|\s*[,.!;:\"*)\]}\n—–-]|\s+(?:they|the|there|it|both|these|those|this|because|since)\b)"
YES_NO = Kind(
    r"\b(yes|no|true|false)\b",
    lambda found: "yes" if found[0].lower() in ("yes", "true") else "no",
    (
        (_BRACES,),
        (_CALLED,),
        (rf"(?:^|[.!?:\n\"(—–,]|\b(?:so|therefore|thus|hence|is))\W*\b(yes|no)\b{_FOLLOWED}",),
    ),
)


def _labelled(name: str) -> str:
    return rf"\b{name}\b\W{{0,4}}(?:is|are|of)?\W{{0,4}}{_NUMBER}"


def _numbered(name: str) -> str:
    return rf"{_NUMBER}[ \t\")]{{1,3}}(?:\w+\s+){{0,2}}?\b{name}\b"


_NAMED = (
    (_labelled("rows"), _labelled("col(?:umn)?s")),
    (_numbered("rows?"), _numbered("col(?:umn)?s?")),
)
_N = r"(\d{1,4})"
_WRITTEN_PAIR = (
    rf"[(\[{{]\s*{_N}\s*[,;x×]\s*{_N}\s*[)\]}}]|\{{{_N}\}}\W{{0,3}}\{{{_N}\}}"
    rf"|(?<![\w.,]){_N}\s*(?:x|×|by)\s*{_N}\b"
)
_BARE_PAIR = rf"(?<![\w.,]){_N}\s*,\s*{_N}\W*$"


def _pair(text: str) -> str | None:
    """The last pair of rows and columns that is written as a pair, or that words name one by one."""
    written = _compiled(_WRITTEN_PAIR).finditer(text)
    found: list[tuple[int, Sequence[str | None]]] = [(pair.end(), pair.groups()) for pair in written]
    for named in _NAMED:
        last = [match for match in (_last(expression, text) for expression in named) if match]
        if len(last) == 2:
            found.append((max(match.end() for match in last), [n for match in last for n in match.groups()]))
    found = found or [(bare.end(), bare.groups()) for bare in _compiled(_BARE_PAIR).finditer(text)]
    if not found:
        return None
    _, numbers = max(found, key=lambda one: one[0])
    return ",".join(_number([number]) for number in numbers if number is not None)


def _last(expression: str, text: str) -> re.Match[str] | None:
    return next(iter([*_compiled(expression).finditer(text)][-1:]), None)


def lenient(answers: AnswerSpace, reply: str, answer: str) -> bool:
    """Ours: the last answer that the reply declares is this one, upper and lower case alike.

    What kind of answer is looked for, the answer space tells; where it lists none, the right answer does.
    """
    text, set_apart = plain(spoken(reply[-_LONGEST:]))
    find = _finder(answers.choices, answer)
    found = next(filter(None, map(find, reversed(set_apart))), None) or find(text)
    return found is not None and found == (find(answer) or _bare(answer))


def spoken(reply: str) -> str:
    """A reply without thoughts: in tags, before a lone closing tag, or cut off."""
    kept: list[str] = []
    thinks = False
    start = 0
    for tag in _THOUGHT.finditer(reply):
        if not thinks:
            kept.append(reply[start : tag.start()])
        if tag[2] and not thinks:
            kept.clear()
        thinks, start = bool(tag[1]), tag.end()
    return "".join(kept if thinks else [*kept, reply[start:]])


def plain(text: str) -> tuple[str, list[str]]:
    """A text without LaTeX, every quote and emphasis as `"`; and what it sets apart, likewise."""
    text = unicodedata.normalize("NFKC", text)
    for _ in range(3):  # one may stand in another
        text = _LATEX_TEXT.sub(r"\1", text)
    set_apart = [_inner(found) for found in _SET_APART.finditer(text)]
    return _without_marks(_SET_APART.sub(_inner, text)), [_without_marks(one) for one in set_apart]


def _inner(found: re.Match[str]) -> str:
    return f" {next(filter(None, found.groups()), '')} "


def _without_marks(text: str) -> str:
    for expression, replacement in _LATEX:
        text = expression.sub(replacement, text)
    text = re.sub(r"(?m)^\s*(?:#+|>|[-*+])\s+", "", _SPECIAL.sub(" ", text))
    return _MARKS.sub('"', text).strip()


def _finder(choices: Sequence[str] | None, answer: str) -> Callable[[str], str | None]:
    """What finds an answer of these choices, or of the right one's kind where there are none."""
    known = set(choices or (answer,))
    if all(re.fullmatch(r"\d+", one) for one in known):
        return NUMBER.find
    if all(re.fullmatch(r"[A-Za-z]", one) for one in known):
        return LETTER.find
    if {one.lower() for one in known} <= {"yes", "no"}:
        return YES_NO.find
    if all(re.fullmatch(r"\d+,\s*\d+", one) for one in known):
        return _pair
    return _text if choices is None else _words(tuple(choices)).find


@cache
def _words(choices: tuple[str, ...]) -> Kind:
    longest_first = sorted((_bare(choice) for choice in choices), key=len, reverse=True)
    value = r"(?<!\w)(" + "|".join(map(re.escape, longest_first)) + r")(?!\w)"
    return Kind(value, lambda found: found[0].lower(), ((_BRACES,), (_CALLED,), (r'"VALUE"',), ("VALUE",)))


_CALLED_TEXT = re.compile(
    r"\banswer\b[^.\n:=]{0,60}?(?:\bis\b|:|=)\W*(?:the\s|an?\s)?([^\n\"}]+)", re.IGNORECASE
)


def _text(text: str) -> str | None:
    """What is called the answer, or else all of it, without what may stand around it."""
    called = list(_CALLED_TEXT.finditer(text))
    return _bare(called[-1][1] if called else text) or None


def _bare(text: str) -> str:
    return " ".join(text.split()).strip(" .,;:!\"'{}()[]").lower()
