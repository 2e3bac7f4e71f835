"""The command line: names -> functions, each imported only when it is called."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import NoReturn

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Dict

from unblind.errors import UnblindError
from unblind.help import HelpFormatter, show_default
from unblind.runtime.distributed import check_launch, first_to_fail, leave
from unblind.runtime.sigterm import Stopped, on_sigterm
from unblind.runtime.versions import DISTRIBUTION

HELP = """Cure a vision-language model's blindness: which letter of a word is circled?

See it happen on this machine, in minutes: `unblind quickstart`
"""

COMMANDS = {
    "quickstart": "All of it on a CPU: draw, measure, fine-tune, measure, report.",
    "generate": "Make a dataset: words with one letter circled, or of another task.",
    "train": "Fine-tune a model on a dataset, with LoRA.",
    "evaluate": "Measure how often a model names the right letter.",
    "score": "Score saved predictions again by any rule, without the model.",
    "compare": "Compare two models on the same samples, pair by pair.",
    "predict": "Name the circled letter in images.",
    "report": "Make an HTML report of finished runs.",
    "demo": "Try it in the browser: type a word, circle a letter.",
    "export": "Merge an adapter into its base, for plain transformers.",
    "push": "Upload an adapter, a merged model or a dataset to the hub.",
    "fonts": "List the fonts that can be drawn with.",
    "doctor": "Say what this machine can run, and what is missing.",
    "pretrain": "Make the embedded tiny model again, from nothing.",
}

# What the operating system refuses, and the user can mend.
_MENDABLE = {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EPERM, errno.EROFS}

app = App(
    name="unblind",
    help=HELP,
    version=version(DISTRIBUTION),
    help_format="markdown",
    default_parameter=Parameter(
        consume_multiple=True, negative_iterable=(), negative_none=(), show_default=show_default
    ),
)
for _name, _help in COMMANDS.items():
    app.command(f"unblind.commands.{_name}:{_name}", name=_name, help=_help, sort_key=len(list(app)))
app["--version"].show = False  # it works, but the list has to fit a screen


def main(tokens: Sequence[str] | None = None) -> NoReturn:
    """Run a command; exit with 0 when it is done, 2 when the user can mend it, 1 for a bug of ours.

    Ctrl-C ends it with 130, SIGTERM with 143; both leave nothing half-written.
    """
    tokens = sys.argv[1:] if tokens is None else tokens
    try:
        check_launch(tokens[0] if tokens else "")
        app.config = _recipe(tokens)
        with on_sigterm(_stop), _help_as_asked(tokens) as arguments:
            app(arguments, exit_on_error=False, print_error=False)
    except (UnblindError, CycloptsError) as error:
        _fail(" ".join(str(error).split()))
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        _fail(f"{error.filename or 'the disk'}: {error.strerror}; free space, or name another place (--out)")
    except Stopped as stopped:
        if first_to_fail():
            print(f"unblind: {stopped.message}", file=sys.stderr, flush=True)
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        if not first_to_fail():  # but lost a process that had
            sys.exit(2)
        raise
    leave()
    sys.exit(0)


@contextmanager
def _help_as_asked(tokens: Sequence[str]) -> Iterator[Sequence[str]]:
    """Let a command's docstring be its help, where COMMANDS gives it a line; and all of it for --help-all."""
    command = app[tokens[0]] if tokens and tokens[0] in COMMANDS else App()
    line, command.help = command.help, None
    app.help_formatter = HelpFormatter(everything="--help-all" in tokens)
    try:
        yield ["--help" if argument == "--help-all" else argument for argument in tokens]
    finally:
        command.help = line


def _stop() -> NoReturn:
    raise Stopped(
        "stopped by SIGTERM, with nothing half-written;"
        " the same command goes on where it can (`unblind train` with --resume)"
    )


def _recipe(tokens: Sequence[str]) -> tuple[Dict, ...]:
    """The recipe file's keys as defaults of the command's options; flags override them."""
    for token, value in zip(tokens, [*tokens[1:], ""], strict=False):
        name, _, inline = token.partition("=")
        if name == "--recipe":
            from unblind.recipe import PretrainOptions, TrainOptions, load_recipe

            path = inline or value
            options = load_recipe(path, PretrainOptions if tokens[0] == "pretrain" else TrainOptions)
            return (Dict(options, source=path, use_commands_as_keys=False),)
    return ()


def _fail(message: str) -> NoReturn:
    if first_to_fail():
        print(f"unblind: {message}", file=sys.stderr, flush=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
