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
        a: a predictions.parquet; the folder of `unblind evaluate` that holds one; a file of another program,
            as for `unblind score`; or published:MODEL, a model that the benchmark's own files record.
        b: the same. At least one of the two must be predictions.
        by: the answers to compare: restricted, free, or free answers by a rule (exact, any-case, lenient,
            paper, vlmevalkit, lmms-eval). It applies only to your predictions, not to published ones.
        prompt: the question that the published model answered: the name of a task's prompt (circled,
            highlighted), or any text. The default is the samples' own.
        out: also write the numbers to this JSON file.
    """
    from unblind.evaluation.saved_replies import read_replies
    from unblind.runtime.outputs import write_json
    from unblind.scoring.compare import compare_sources

    comparison = compare_sources(a, b, by=by, prompt=prompt, reader=read_replies)
    show(comparison)
    if out is not None:
        write_json(out, comparison)
        print(out)


def show(comparison: dict[str, Any]) -> None:
    """Both accuracies, their difference with its interval, and the test; the same by task, if several."""
    console = Console(highlight=False, markup=False, soft_wrap=True)  # paths may hold brackets
    name = Column(overflow="fold")  # a path cut short would name nothing
    table = Table("", name, "right (95 %)", "alone right", box=None, pad_edge=False)
    for side in ("a", "b"):
        alone = f"{comparison[f'only_{side}']:,}"
        table.add_row(side.upper(), comparison[side], percent(comparison["accuracy"][side]), alone)
    published = any(comparison[side].startswith("published:") for side in ("a", "b"))
    note = " (published ones as published)" if published else ""
    console.print(f"{counted(comparison['n'])}, {comparison['by']} answers{note}", table, sep="\n")
    console.print(f"A - B: {_difference(comparison)} (Newcombe's paired interval)")
    console.print(f"McNemar's exact test, two-sided: p = {comparison['p_value']:.2g}")
    if "tasks" in comparison:
        console.print("By task:", _by_task(comparison["tasks"]), sep="\n")


def _by_task(tasks: dict[str, dict[str, Any]]) -> Table:
    table = Table("", "samples", "A", "B", "A - B", "p", box=None, pad_edge=False)
    for name, one in tasks.items():
        shares = (percent(one["accuracy"][side]) for side in ("a", "b"))
        table.add_row(name, f"{one['n']:,}", *shares, _difference(one), f"{one['p_value']:.2g}")
    return table


def _difference(comparison: dict[str, Any]) -> str:
    points = {name: f"{100 * value:+.1f}" for name, value in comparison["difference"].items()}
    return f"{points['value']} points, 95 % {points['low']} to {points['high']}"
