"""unblind train."""

from __future__ import annotations

from shlex import quote
from typing import Annotated

from cyclopts import Parameter

from unblind.recipe import TrainOptions


def train(*, recipe: str | None = None, options: Annotated[TrainOptions, Parameter(name="*")]) -> None:
    """Fine-tune a model with LoRA, on a dataset's split `train`, watched on its split `validation`.

    Example: `unblind train --data circles --out run --recipe tiny`

    Args:
        recipe: a YAML file with any of these options, or the name of one that comes along (tiny,
            paligemma2-3b-qlora, ...); flags override it.
        options: the run.
    """
    del recipe  # read by the command line before
    from unblind.runtime.distributed import is_main_process
    from unblind.training.run import train as run

    result = run(options)
    if not is_main_process():
        return
    metrics = result.metrics
    best = metrics["best_accuracy"]
    watched = "" if best is None else f", {best:.1%} of the validation samples right"
    print(f"{result.adapter}: {metrics['samples']:,} samples in {metrics['seconds']:.0f} s{watched}.")
    run_folder, base = quote(str(result.out)), quote(options.model)
    print(f"Next: unblind evaluate --adapter {run_folder} --model {base} --data DATA --out DIR")
