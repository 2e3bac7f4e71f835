"""unblind generate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unblind.data import generation
from unblind.data.dataset_options import GenerateOptions
from unblind.data.generation import Engine
from unblind.flags import Machine


def generate(
    *,
    out: Path,
    workers: Machine[int] = 0,
    engine: Machine[Engine] = "local",
    options: Annotated[GenerateOptions, Parameter(name="*")] = GenerateOptions(),
) -> None:
    """Make a dataset: words with one letter circled, in splits that share neither words nor font families.

    `--task` draws other tasks, in splits that share no scene.

    Example: `unblind generate --out circles --train 10000 --validation 500 --test 1000`

    Args:
        out: the dataset's folder. The same command completes it after an interruption.
        workers: number of processes; 0 means all cores. The bytes do not depend on it.
        engine: `local`, or `ray` for all machines of the Ray cluster that RAY_ADDRESS names (or of a new one
            on this machine). Each must see the dataset's folder. The bytes are the same.
        options: what to draw.
    """
    generation.generate(out, options, workers=workers, engine=engine)
    counts = ", ".join(f"{count:,} {split}" for split, count in options.rows.items() if count)
    for remark in generation.remarks(options):
        print(remark)
    print(f"{out}: {counts}. Load it with: datasets.load_dataset({str(out)!r})")
