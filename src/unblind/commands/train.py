"""unblind train."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Annotated

from cyclopts import Parameter

from unblind.errors import HubError
from unblind.flags import Watching
from unblind.recipe import TrainOptions


def train(
    *,
    recipe: str | None = None,
    push_to: Watching[str | None] = None,
    options: Annotated[TrainOptions, Parameter(name="*")],
) -> None:
    """Fine-tune a model with LoRA on a dataset's split `train`, and watch it on the split `validation`.

    Example: `unblind train --data circles --out run --recipe tiny`

    Args:
        recipe: a YAML file with any of these options, or the name of one in the package (tiny,
            paligemma2-3b-qlora, ...). Flags override it.
        push_to: USER/NAME, a private repository on the hub, which gets each checkpoint's adapter with a card,
            one commit each.
        options: options of the run.
    """
    del recipe  # read by the command line before
    from unblind.runtime.distributed import is_main_process
    from unblind.training.run import train as run

    if push_to:
        from unblind.sharing.upload import check_target

        check_target(push_to)
    result = run(options, on_checkpoint=partial(_push, push_to) if push_to else None)
    if not is_main_process():
        return
    metrics = result.metrics
    best = metrics["best_accuracy"]
    watched = "" if best is None else f", {best:.1%} of the validation samples right"
    print(f"{result.adapter}: {metrics['samples']:,} samples in {metrics['seconds']:.0f} s{watched}.")
    run_folder, base = quote(str(result.out)), quote(options.model)
    print(f"Next: unblind evaluate --adapter {run_folder} --model {base} --data DATA --out DIR")


def _push(repo: str, checkpoint: Path) -> None:
    """Upload a checkpoint's adapter. Training goes on without, if the hub is out of reach."""
    from unblind.sharing import upload as sharing

    try:
        page = sharing.push(sharing.prepare(checkpoint, repo), repo, private=True)
    except HubError as error:
        print(f"{checkpoint.name} was not pushed: {error}", file=sys.stderr, flush=True)
    else:
        print(f"{checkpoint.name} is at {page}", file=sys.stderr, flush=True)
