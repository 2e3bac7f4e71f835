"""The command line: names -> functions, each imported only when it is called."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Dict

from unblind.errors import UnblindError

HELP = """Cure a vision-language model of a known blindness: which letter of a word is circled?

See it happen on this machine, in minutes:  unblind quickstart
"""

COMMANDS = {
    "quickstart": "Draw, measure the blind model, fine-tune it, measure again, report. On a CPU, in minutes.",
    "generate": "Make a dataset: words with one letter circled.",
    "train": "Fine-tune a model on a dataset, with LoRA.",
    "evaluate": "Measure how often a model names the right letter.",
    "score": "Score saved predictions again under any rule, without the model.",
    "compare": "Compare two models on the same samples, pair by pair.",
    "predict": "Name the circled letter in images.",
    "report": "Make an HTML report of finished runs.",
    "demo": "Try it in the browser: type a word, circle a letter, compare the blind and the cured model.",
    "fonts": "List the fonts that can be drawn with.",
    "doctor": "Say what this machine can run, and what is missing.",
    "pretrain": "Make the embedded tiny model again, from nothing.",
}

# What the operating system refuses, and the user can mend.
_MENDABLE = {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EPERM, errno.EROFS}

app = App(
    name="unblind",
    help=HELP,
    version=version("unblind"),
    help_format="plaintext",
    default_parameter=Parameter(consume_multiple=True, negative_iterable=(), negative_none=()),
)
for _name, _help in COMMANDS.items():
    app.command(f"unblind.commands.{_name}:{_name}", name=_name, help=_help, sort_key=len(list(app)))


def main(tokens: Sequence[str] | None = None) -> NoReturn:
    """Run a command; exit with 0 when it is done, 2 when the user can mend it, 1 for a bug of ours."""
    tokens = sys.argv[1:] if tokens is None else tokens
    try:
        app.config = _recipe(tokens)
        app(tokens, exit_on_error=False, print_error=False)
    except (UnblindError, CycloptsError) as error:
        _fail(" ".join(str(error).split()))
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        _fail(f"{error.filename or 'the disk'}: {error.strerror}; free space, or name another place (--out)")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _recipe(tokens: Sequence[str]) -> tuple[Dict, ...]:
    """The recipe file's keys as defaults of the command's options; flags override them."""
    for token, value in zip(tokens, [*tokens[1:], ""], strict=True):
        name, _, inline = token.partition("=")
        if name == "--recipe":
            from unblind.recipe import PretrainOptions, TrainOptions, load_recipe

            path = inline or value
            options = load_recipe(path, PretrainOptions if tokens[0] == "pretrain" else TrainOptions)
            return (Dict(options, source=path, use_commands_as_keys=False),)
    return ()


def _fail(message: str) -> NoReturn:
    print(f"unblind: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
