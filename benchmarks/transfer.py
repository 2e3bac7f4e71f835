"""What does the cure of one task do to the others, and how many images does a cure take?

Cures a base of each task alone, of all at once, and of all with LoRA in one part only; then asks every cured
model about held-out scenes of every task, and to read words. Prints the matrix: a row for each cure, blind
first, with free accuracies in percent and Wilson's 95 % intervals. `--curve` prints accuracies after cures of
two tasks on 32 to 8,192 images instead. What is done is kept in `--out`, and the same call goes on.

    python benchmarks/transfer.py --out transfer
    python benchmarks/transfer.py --out transfer --curve
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unblind.data.dataset_options import GenerateOptions
from unblind.data.generation import generate
from unblind.data.reading import read
from unblind.evaluation.run import evaluate_to
from unblind.models.loading import configuration, load
from unblind.recipe import TrainOptions, load_recipe
from unblind.tasks.base import EACH
from unblind.tasks.circled_letter.scene import SceneOptions
from unblind.tasks.registry import DEFAULT_TASK, TASKS
from unblind.training.run import train

READING = "reading"
PARTS = ("language", "projector", "vision")
CURVE = ("two-circles", DEFAULT_TASK)
COUNTS = (32, 128, 512, 2048, 8192)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for data, runs and measurements")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--train", type=int, default=4096, help="images of each task")
    parser.add_argument("--test", type=int, default=500, help="held-out images of each task")
    parser.add_argument("--curve", action="store_true", help="accuracy against the number of images")
    arguments = parser.parse_args()
    (curve if arguments.curve else matrix)(arguments)


def matrix(arguments: argparse.Namespace) -> None:
    tasks = tuple(TASKS)
    cures: dict[str, Path | None] = {"blind": None}
    cures |= {task: cured(arguments, task, (task,), arguments.train) for task in tasks}
    cures["all"] = cured(arguments, "all", tasks, arguments.train)
    for part in PARTS:
        others = dict.fromkeys(set(PARTS) - {part}, "frozen")
        cures[f"all, {part} alone"] = cured(arguments, f"all-{part}", tasks, arguments.train, **others)
    columns = (*tasks, READING)
    print("| cured of |", " | ".join(columns), "|")
    print("| --- |" + " ---: |" * len(columns))
    for name, adapter in cures.items():
        cells = [shown(measured(arguments, name, adapter, column)) for column in columns]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


def curve(arguments: argparse.Namespace) -> None:
    print("| images |", " | ".join(CURVE), "|")
    print("| ---: |" + " ---: |" * len(CURVE))
    for count in COUNTS:
        cells = []
        for task in CURVE:
            name = f"{task}-{count}"
            adapter = cured(arguments, name, (task,), count, epochs=max(1, 2048 // count))
            cells.append(shown(measured(arguments, name, adapter, task)))
        print(f"| {count:,} |", " | ".join(cells), "|", flush=True)


def cured(arguments: argparse.Namespace, name: str, tasks: Sequence[str], count: int, **options: Any) -> Path:
    """The adapter of a cure, trained now or before."""
    data = drawn(
        arguments, "-".join(["train", *tasks, str(count)]), task=tuple(tasks), train=count * len(tasks)
    )
    recipe = load_recipe("tiny") | {"eval_every": 0} | options
    out = arguments.out / "cures" / name
    told = TrainOptions(**recipe | {"model": arguments.model, "data": str(data), "out": out, "resume": True})
    return train(told).adapter


def drawn(arguments: argparse.Namespace, name: str, **options: Any) -> Path:
    """A folder of images as large as the model sees them."""
    out: Path = arguments.out / "data" / name
    size = int(configuration(arguments.model).vision_config.image_size)
    letters = DEFAULT_TASK in options["task"]
    scene = SceneOptions(image_size=size, case="mixed" if letters else "as-is")
    given = {"train": 0, "validation": 0, "test": 0, "prompt": EACH, "scene": scene} | options
    generate(out, GenerateOptions(**given))
    return out


def measured(arguments: argparse.Namespace, name: str, adapter: Path | None, column: str) -> dict[str, float]:
    """The free accuracy of a cured model on held-out scenes, measured now or before."""
    out = arguments.out / "measured" / name / column
    if not (out / "metrics.json").exists():
        asked = {"prompt": "read", "answer": "word"} if column == READING else {}
        task = DEFAULT_TASK if column == READING else column
        data = drawn(arguments, f"test-{column}", task=(task,), test=arguments.test, **asked)
        evaluate_to(out, load(arguments.model, adapter=adapter), read(data, "test"), data=str(data))
    accuracy: dict[str, float] = json.loads((out / "metrics.json").read_text("utf-8"))["accuracy"]["free"]
    return accuracy


def shown(accuracy: dict[str, float]) -> str:
    return "{value:.1f} ({low:.1f}–{high:.1f})".format(
        **{key: 100 * share for key, share in accuracy.items()}
    )


if __name__ == "__main__":
    main()
