"""unblind score."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from unblind.commands.evaluate import counted, percent


def score(predictions: Path, *, rule: str | None = None, out: Path | None = None) -> None:
    """Score saved predictions again under any rule, without the model.

    Example: `unblind score after --rule vlmevalkit`

    Args:
        predictions: a predictions.parquet, or the folder of `unblind evaluate` that holds one.
        rule: exact, any-case, paper, vlmevalkit or lmms-eval (docs/scoring.md says what each counts); all of
            them side by side if none is named.
        out: a JSON file to write the numbers to as well.
    """
    from unblind.errors import DatasetError
    from unblind.runtime.outputs import write_json
    from unblind.scoring.intervals import proportion
    from unblind.scoring.metrics import by_rules
    from unblind.scoring.predictions import read_predictions, restricted_hits
    from unblind.scoring.rules import rule_named

    if rule is not None:
        rule_named(rule)
    table = read_predictions(predictions)
    found = by_rules(table)
    if found is None:
        raise DatasetError(
            f"{predictions} has no free answers, which rules are for; evaluate again without --no-free"
        )
    rules = found if rule is None else {rule: found[rule]}
    restricted = None
    if not table["restricted"].null_count:
        restricted = proportion(sum(restricted_hits(table)), table.num_rows)
    shown = Table("", "right (95 %)", box=None, pad_edge=False)
    for name, value in rules.items():
        shown.add_row(name, percent(value))
    if restricted:
        shown.add_row("restricted, no rule", percent(restricted))
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{counted(table.num_rows)}, free answers by rule", shown, sep="\n")
    if out is not None:
        numbers = {
            "predictions": str(predictions),
            "n": table.num_rows,
            "restricted": restricted,
            "rules": rules,
        }
        write_json(out, numbers)
        print(out)
