"""unblind score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from unblind.commands.evaluate import counted, percent


def score(
    predictions: Path,
    *,
    rule: str | None = None,
    columns: tuple[str, ...] = (),
    task: str | None = None,
    out: Path | None = None,
) -> None:
    """Score saved replies by any rule, without the model: replies of `unblind evaluate` or of other programs.

    Example: `unblind score after --rule vlmevalkit`

    Args:
        predictions: a predictions.parquet, or the folder of `unblind evaluate` that holds one; or a Parquet,
            CSV, JSON or JSON-lines file, such as lmms-eval's samples, VLMEvalKit's workbook (.xlsx), or an
            Inspect log.
        rule: exact, any-case, lenient, paper, vlmevalkit or lmms-eval (docs/scoring.md explains them). The
            default is all of them, side by side.
        columns: the names of another program's columns, if they are not recognised: reply=text,answer=label
            (and id, prompt, task).
        task: the task of another program's file, if the file does not name it.
        out: also write the numbers to this JSON file.
    """
    from unblind.data.columns import columns_named
    from unblind.errors import DatasetError
    from unblind.evaluation.saved_replies import read_replies
    from unblind.runtime.outputs import write_json
    from unblind.scoring.predictions import by_task
    from unblind.scoring.rules import check_rule
    from unblind.tasks.registry import task_named

    if rule is not None:
        check_rule(rule)
    if task is not None:
        task = task_named(task).name
    named = columns_named(columns, ("reply", "answer", "id", "prompt", "task"))
    parts = by_task(read_replies(predictions, named, task))
    tasks = {name: _numbers(answered, rule) for name, answered in parts.items()}
    if all(numbers["rules"] is None for numbers in tasks.values()):
        raise DatasetError(
            f"{predictions} has no free answers, which rules are for; evaluate again without --no-free"
        )
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for name, numbers in tasks.items():
        prefix = f"{name}: " if len(tasks) > 1 else ""
        console.print(f"{prefix}{counted(numbers['n'])}, free answers by rule", _table(numbers), sep="\n")
    if out is not None:
        numbers = next(iter(tasks.values())) if len(tasks) == 1 else {"tasks": tasks}
        write_json(out, {"predictions": str(predictions), **numbers})
        print(out)


def _numbers(answered: Any, rule: str | None) -> dict[str, Any]:
    from unblind.scoring.metrics import accuracies, by_rules

    return {
        "n": len(answered),
        "restricted": accuracies(answered)["restricted"],
        "rules": by_rules(answered, rule),
    }


def _table(numbers: dict[str, Any]) -> Table:
    table = Table("", "right (95 %)", box=None, pad_edge=False)
    for name, value in (numbers["rules"] or {}).items():
        table.add_row(name, percent(value))
    if numbers["restricted"]:
        table.add_row("restricted, no rule", percent(numbers["restricted"]))
    return table
