"""unblind quickstart: the whole story on a CPU, in the order of the flow."""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import Any

from rich.console import Console

from unblind.commands.evaluate import show
from unblind.recipe import TrainOptions, load_recipe

console = Console(highlight=False)


def quickstart(
    *,
    out: Path = Path("unblind-quickstart"),
    seed: int = 0,
    train: int = 8000,
    validation: int = 256,
    test: int = 1000,
    model: str = "tiny",
) -> None:
    """Draw a dataset, measure the blind model, fine-tune it, measure it again, and make the report.

    All on an embedded model, on a CPU, in minutes. The same call goes on after an interruption.

    Example: `unblind quickstart --out demo`

    Args:
        out: the folder for data, runs, metrics.json and report.html.
        seed: of the drawing and of the training.
        train: images to learn from, half of them with random strings.
        validation: images to watch the training with.
        test: held-out images, of words and font families that no training has seen.
        model: tiny, or tiny-unmarked, its twin whose tower was never taught to mark circled letters.
    """
    from unblind.data.dataset_options import GenerateOptions
    from unblind.data.generation import generate
    from unblind.report import write_report
    from unblind.runtime.outputs import claim, write_json
    from unblind.tasks.circled_letter.scene import SceneOptions
    from unblind.training.run import train as fine_tune

    settings = {"seed": seed, "train": train, "validation": validation, "test": test, "model": model}
    with claim(out, settings, made_by="unblind quickstart"):
        _tell(1, f"Drawing {train + validation + test:,} words, one letter of each circled.")
        data = out / "data"
        scene = SceneOptions(case="mixed")  # capitals are rare in words as they are
        images = GenerateOptions(
            train=train, validation=validation, test=test, seed=seed, random_strings=0.5, scene=scene
        )
        generate(data, images)

        _tell(2, "Asking the blind model. It learnt to read printed words, but never what a circle means.")
        blind = _evaluate(out / "blind", model, data, adapter=None)

        _tell(3, "Fine-tuning: LoRA adapters on vision tower, projector and language model.")
        options = TrainOptions(
            **load_recipe("tiny")
            | {"model": model, "data": str(data), "out": out / "train", "seed": seed, "resume": True}
        )
        run = fine_tune(options)

        _tell(4, "Asking again, on words and font families that no training has seen.")
        after = _evaluate(out / "after", model, data, adapter=run.adapter)

        _tell(5, "Writing the report.")
        keys = ("samples", "seconds", "samples_per_second", "trainable_parameters")
        training = {key: run.metrics[key] for key in keys}
        write_json(out / "metrics.json", {"blind": blind, "after": after, "train": training})
        report = write_report(out / "report.html", [out])
    show({"blind": blind, "after fine-tuning": after})
    print(f"\nReport: {report}")
    print(f"Try it:  unblind predict --adapter {quote(str(out / 'train'))} IMAGE...")


def _evaluate(out: Path, model: str, data: Path, adapter: Path | None) -> dict[str, Any]:
    """Measure on the held-out split, or read what was measured before an interruption."""
    from unblind.data.reading import read
    from unblind.evaluation.run import evaluate_to
    from unblind.models.loading import load

    if (out / "metrics.json").exists():
        metrics: dict[str, Any] = json.loads((out / "metrics.json").read_text("utf-8"))
        return metrics
    return evaluate_to(out, load(model, adapter=adapter), read(data, "test"), data=str(data), blank=True)


def _tell(step: int, text: str) -> None:
    console.print(f"[bold]{step}/5[/bold] {text}")
