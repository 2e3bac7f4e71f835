"""The command line: names -> functions, each imported only when it is called."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from cyclopts import App, ArgumentCollection, CycloptsError, Parameter
from cyclopts.config import Dict

from unblind.errors import UnblindError
from unblind.help import HelpFormatter, show_default
from unblind.runtime.broken_pipe import quiet_where_nobody_reads
from unblind.runtime.distributed import check_launch, leave_process_group, register_failure
from unblind.runtime.sigterm import Stopped, on_sigterm
from unblind.runtime.versions import DISTRIBUTION

_HELP_ALL = "--help-all"

HELP = """Cure a vision-language model of known blindnesses: which letter is circled?

See it happen on this machine, in minutes: `unblind quickstart`
"""

COMMANDS = {
    "quickstart": "All of it on a CPU: draw, measure, fine-tune, measure, report.",
    "generate": "Make a dataset: words with one letter circled, or of another task.",
    "train": "Fine-tune a model on a dataset, with LoRA.",
    "evaluate": "Measure how often a model is right, task by task.",
    "score": "Score saved predictions again by any rule, without the model.",
    "compare": "Compare two models on the same samples, pair by pair.",
    "predict": "Ask a question about images: which letter is circled?",
    "report": "Make an HTML report of finished runs.",
    "demo": "Try it in the browser: draw a picture, ask both models.",
    "export": "Merge an adapter into its base, for plain transformers.",
    "push": "Upload an adapter, a merged model or a dataset to the hub.",
    "fonts": "List the fonts that Unblind can draw with.",
    "doctor": "Say what this machine can run, and what is missing.",
    "pretrain": "Make the embedded tiny model again, from nothing.",
}

# What the operating system refuses, and how the user can mend that.
_ADVICE = {
    errno.ENOSPC: "free some space, or name another place (--out)",
    errno.EDQUOT: "free some space, or name another place (--out)",
    errno.EROFS: "name another place (--out)",
    errno.EACCES: "change its permissions, or name another",
    errno.EPERM: "change its permissions, or name another",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENAMETOOLONG: "take a shorter name",
    errno.EIO: "the disk, or the way to it, fails; copy the data to another one",
}


def main(tokens: Sequence[str] | None = None) -> NoReturn:
    """Run a command; exit with 0 when it is done, 2 when the user can mend it, 1 for a bug of ours.

    SIGTERM ends it with 143, and leaves nothing half-written. Whoever stops reading what it prints, as `head`
    does, ends it with 141.
    """
    tokens = sys.argv[1:] if tokens is None else tokens
    try:
        check_launch(tokens[0] if tokens else "")
        app = command_line(tokens)
        arguments = ["--help" if token == _HELP_ALL else token for token in tokens]
        with quiet_where_nobody_reads(), on_sigterm(_stop):
            app(arguments, exit_on_error=False, print_error=False)
    except (UnblindError, CycloptsError) as error:
        _fail(" ".join(str(error).split()))
    except OSError as error:
        if error.errno not in _ADVICE:
            raise
        _fail(f"{error.filename or 'the disk'}: {error.strerror}; {_ADVICE[error.errno]}")
    except Stopped as stopped:
        if register_failure():
            print(f"unblind: {stopped.message}", file=sys.stderr, flush=True)
        raise
    except Exception:
        if not register_failure():  # but lost a process that had
            sys.exit(2)
        raise
    leave_process_group()
    sys.exit(0)


def command_line(tokens: Sequence[str] = ()) -> App:
    """All commands, none of them imported yet.

    Args:
        tokens: what was typed. The command that it names has its docstring for a help, where the list of
            commands has its line; --help-all explains every option.
    """
    app = App(
        name="unblind",
        help=HELP,
        version=version(DISTRIBUTION),
        help_format="markdown",
        help_formatter=HelpFormatter(everything=_HELP_ALL in tokens),
        config=_recipe,
        default_parameter=Parameter(
            consume_multiple=True, negative_iterable=(), negative_none=(), show_default=show_default
        ),
    )
    for number, (name, line) in enumerate(COMMANDS.items()):
        called = name in tokens[:1]
        app.command(
            f"unblind.commands.{name}:{name}", name=name, help=None if called else line, sort_key=number
        )
    app["--version"].show = False  # it works, but the list has to fit a screen
    return app


def _stop() -> NoReturn:
    raise Stopped(
        "stopped by SIGTERM, with nothing half-written;"
        " the same command continues where it can (`unblind train` with --resume)"
    )


def _recipe(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Take the keys of the file behind --recipe for what no flag says."""
    told = next((argument for argument in arguments if argument.name == "--recipe"), None)
    if told and told.tokens:
        from unblind.recipe import PretrainOptions, TrainOptions, load_recipe

        path = told.tokens[-1].value
        options = load_recipe(path, PretrainOptions if commands == ("pretrain",) else TrainOptions)
        Dict(options, source=path, use_commands_as_keys=False)(app, commands, arguments)


def _fail(message: str) -> NoReturn:
    if register_failure():
        print(f"unblind: {message}", file=sys.stderr, flush=True)
    sys.exit(2)
