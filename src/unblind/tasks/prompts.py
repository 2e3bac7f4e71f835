"""The questions of circled letters, for those who do not ask the task yet."""

from __future__ import annotations

from unblind.tasks.circled_letter.task import TASK, parse_letter

__all__ = ["DEFAULT_PROMPT", "PROMPTS", "parse_letter", "prompt_text"]

PROMPTS = {name: prompt.text for name, prompt in TASK.prompts.items()}
DEFAULT_PROMPT = TASK.default_prompt


def prompt_text(prompt: str, word: str = "") -> str:
    """The question of a name in `PROMPTS`, or the text itself; `{word}` in it becomes `word`."""
    return PROMPTS.get(prompt, prompt).replace("{word}", word)
