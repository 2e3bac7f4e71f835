"""unblind pretrain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unblind.recipe import PretrainOptions


def pretrain(
    *,
    out: Path,
    recipe: str | None = None,
    options: Annotated[PretrainOptions, Parameter(name="*")] = PretrainOptions(),
) -> None:
    """Make the embedded tiny model again, from nothing. It takes up to three hours on two cores.

    Example: `unblind pretrain --recipe tiny-base --out base`

    Args:
        out: the output folder. The same command continues after an interruption.
        recipe: a YAML file with any of these options; flags override it.
        options: options of the three stages.
    """
    del recipe  # read by the command line before
    from unblind.tiny.pretrain import pretrain as run

    run(out, options)
    print(f"{out / 'checkpoint'}: use it with --model {out / 'checkpoint'}")
