"""Draw docs/images/tiny-base.png: how the embedded base learnt, from the log of `unblind pretrain`.

python docs/curve.py DIR/log.jsonl
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from matplotlib import pyplot as plt

# Key in the log, what the legend calls it, color.
LINES = (
    ("letters", "letters named by the tower's head", "#0969da"),
    ("circles", "circled letters found by the tower's head", "#cf222e"),
    ("read letters", "letters read aloud, each after the right ones", "#1a7f37"),
    ("read words", "whole answers read aloud", "#8250df"),
)
READ_ALONE = {"read letters": "letters", "read words": "words"}  # how they are called where the head rests
STAGES = ("see", "read", "polish")


def main() -> None:
    """One axis of minutes, with the three stages one after the other."""
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text("utf-8").splitlines()]
    figure, axes = plt.subplots(figsize=(9, 3.6), dpi=130, layout="constrained")
    began = 0.0
    for stage in STAGES:
        own = [row for row in rows if row["stage"] == stage]
        minutes = [began + row["seconds"] / 60 for row in own]
        for key, label, color in LINES:
            name = READ_ALONE.get(key) if stage == "read" else key
            if name in own[0]:
                axes.plot(minutes, [100 * row[name] for row in own], color=color, linewidth=1.4, label=label)
        axes.text((began + minutes[-1]) / 2, 103, stage, ha="center", color="#57606a")
        began = minutes[-1]
        axes.axvline(began, color="#d0d7de", linewidth=1)
    axes.set(xlim=(0, began), ylim=(0, 100), xlabel="minutes", ylabel="% right on training lessons")
    axes.spines[["top", "right"]].set_visible(False)
    handles = {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    names = [name for _, name, _ in LINES]
    axes.legend([handles[name] for name in names], names, loc="lower right", frameon=False)
    figure.savefig(Path(__file__).parent / "images" / "tiny-base.png")


if __name__ == "__main__":
    main()
