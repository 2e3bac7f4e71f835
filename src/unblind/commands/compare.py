"""unblind compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from unblind.commands.evaluate import counted, percent


def compare(
    a: str, b: str, *, by: str = "restricted", prompt: str | None = None, out: Path | None = None
) -> None:
    """Compare two models on the same samples, pair by pair.

    Example: `unblind compare after published:GPT-4o`

    Args:
        a: a predictions.parquet, the folder of `unblind evaluate` that holds one, or published:MODEL, whose
            answers to the benchmark's images came with these.
        b: likewise; one of the two must be predictions.
        by: which answers count: restricted, free, or free ones by a rule (exact, any-case, paper, vlmevalkit,
            lmms-eval). A published record is as published.
        prompt: which question the published model answered: circled, highlighted, or a text; by default the
            samples' own.
        out: a JSON file to write the numbers to as well.
    """
    from unblind.runtime.outputs import write_json
    from unblind.scoring.compare import compare_sources

    found = compare_sources(a, b, by=by, prompt=prompt)
    show(found)
    if out is not None:
        write_json(out, found)
        print(out)


def show(found: dict[str, Any]) -> None:
    """Both accuracies, their difference with its interval, and the test."""
    console = Console(highlight=False, markup=False, soft_wrap=True)  # paths may hold brackets
    name = Column(overflow="fold")  # a path cut short would name nothing
    table = Table("", name, "right (95 %)", "alone right", box=None, pad_edge=False)
    for side in ("a", "b"):
        alone = f"{found[f'only_{side}']:,}"
        table.add_row(side.upper(), found[side], percent(found["accuracy"][side]), alone)
    difference = {name: f"{100 * value:+.1f}" for name, value in found["difference"].items()}
    note = " (published ones as published)" if "published:" in found["a"] + found["b"] else ""
    console.print(f"{counted(found['n'])}, {found['by']} answers{note}", table, sep="\n")
    console.print(
        f"A - B: {difference['value']} points, 95 % {difference['low']} to {difference['high']}"
        " (Newcombe's paired interval)"
    )
    console.print(f"McNemar's exact test, two-sided: p = {found['p_value']:.2g}")
