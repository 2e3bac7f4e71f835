"""Question texts, and how a reply is read as a letter."""

import re

PROMPTS: dict[str, str] = {
    # BlindTest's two questions, without and with its request for curly brackets (vlmsareblind.github.io)
    "circled": "Which letter is being circled?",
    "highlighted": "Which character is being highlighted with a red oval?",
    "circled-braces": (
        "Which letter is being circled? Please provide your answer in curly brackets, e.g. {a}"
    ),
    "highlighted-braces": (
        "Which character is being highlighted with a red oval? "
        "Please provide your answer in curly brackets, e.g. {a}"
    ),
    # what the tiny base was pre-trained with
    "read": "Read the word.",
    # the original notebook's: the word itself. It leaks the spelling; kept for comparison only
    "word": "{word}",
}
DEFAULT_PROMPT = "circled"

_ONE_LETTER = re.compile(r"[\s{}()\[\]\"'`“”‘’.:*]*([A-Za-z])[\s{}()\[\]\"'`“”‘’.:*]*")


def prompt_text(prompt: str, word: str = "") -> str:
    """The question of a name in `PROMPTS`, or the text itself; `{word}` in it becomes `word`."""
    return PROMPTS.get(prompt, prompt).replace("{word}", word)


def parse_letter(text: str) -> str | None:
    """The letter that a reply names, or None.

    The reply has to be one letter A-Z or a-z; braces, brackets, quotes, dots and spaces around it are
    ignored. A sentence is no answer: rules that search one for a letter read the `t` of "The letter is k.".
    """
    match = _ONE_LETTER.fullmatch(text)
    return match.group(1) if match else None
