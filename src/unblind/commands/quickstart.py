"""unblind quickstart: the whole story, in the order of the flow; on a CPU with a model that comes along."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from rich.console import Console

from unblind.commands.evaluate import show
from unblind.recipe import TrainOptions
from unblind.tasks.registry import DEFAULT_TASK

if TYPE_CHECKING:
    import torch

    from unblind.data.dataset_options import GenerateOptions

console = Console(highlight=False)

_FAMILIAR = {  # what a step says of a model that comes along, and of any other
    True: "Asking the blind model. It can read printed words, but has never seen these questions.",
    False: "Asking the model before fine-tuning, with each question that it may know. The best one counts.",
}


def quickstart(
    *,
    out: Path = Path("unblind-quickstart"),
    task: tuple[str, ...] = (DEFAULT_TASK,),
    seed: int = 0,
    train: int = 8000,
    validation: int = 256,
    test: int = 1000,
    model: str = "tiny",
) -> None:
    """Draw a dataset, measure the blind model, fine-tune it, measure it again, and make the report.

    The embedded model takes minutes on a CPU. A real model needs a GPU, and gets the recipe that fits it.
    The same command continues after an interruption.

    Example: `unblind quickstart --out demo`

    Args:
        out: the folder for data, runs, metrics.json and report.html.
        task: the task to learn: one, several, or `all`; NAME=2 gives one a double share.
        seed: seed of the drawing and the training.
        train: training images of each task. Half of the circled words are random strings.
        validation: images to watch the training with.
        test: held-out images, with scenes, words and font families that no training has seen.
        model: tiny; tiny-unmarked, its twin whose vision tower was not pre-trained to detect circled
            letters; a folder with a checkpoint; or a model id on the hub (google/paligemma2-3b-pt-224).
    """
    from unblind.data.generation import generate
    from unblind.models.embedded import EMBEDDED
    from unblind.models.loading import choose_device
    from unblind.report import write_report
    from unblind.runtime.device_memory import give_back
    from unblind.runtime.outputs import claim, write_json
    from unblind.training.plan import fitting_recipe
    from unblind.training.run import train as fine_tune

    images = _images(model, task=task, seed=seed, train=train, validation=validation, test=test)
    settings = {"seed": seed, "train": train, "validation": validation, "test": test, "model": model}
    settings |= {"task": list(images.task)} if images.task != (DEFAULT_TASK,) else {}  # as it was before
    comes_along = model in EMBEDDED
    with claim(out, settings, made_by="unblind quickstart"):
        data, device = out / "data", choose_device()
        recipe, values = fitting_recipe(model, device, tasks=len(images.tasks))
        values |= {"data": str(data), "out": out / "train", "seed": seed, "resume": True}
        options = TrainOptions(**values)
        if comes_along:
            _announce_minutes(options, device, images)
        else:
            _announce(recipe, options, device, images)

        _tell(1, f"Drawing {sum(images.rows.values()):,} images: {_named(images)}")
        generate(data, images)

        _tell(2, _FAMILIAR[comes_along])
        each = not comes_along and len(images.tasks) == 1
        blind = _evaluate(out / "blind", options, adapter=None, each=each)
        give_back()

        _tell(3, "Fine-tuning: LoRA adapters on vision tower, projector and language model.")
        run = fine_tune(options)
        give_back()

        _tell(4, "Asking again, about scenes, words and fonts that no training has seen.")
        after = _evaluate(out / "after", options, adapter=run.adapter)

        _tell(5, "Writing the report.")
        keys = ("samples", "seconds", "samples_per_second", "trainable_parameters")
        training = {key: run.metrics[key] for key in keys}
        write_json(out / "metrics.json", {"blind": blind, "after": after, "train": training})
        report = write_report(out / "report.html", [out])
    show({"blind": blind, "after fine-tuning": after})
    print(f"\nReport: {report}")
    base = "" if model == "tiny" else f" --model {quote(model)}"
    print(f"Try it:  unblind predict --adapter {quote(str(out / 'train'))}{base} IMAGE...")


def _images(model: str, *, train: int, **options: Any) -> GenerateOptions:
    """What is drawn for a model: its tasks in all their wordings, at the size that its tower sees."""
    from unblind.data.dataset_options import GenerateOptions
    from unblind.tasks.base import EACH
    from unblind.tasks.circled_letter.scene import SceneOptions

    names = GenerateOptions(task=options["task"]).shares
    scene = SceneOptions(image_size=_image_size(model))
    letters: dict[str, Any] = {"scene": scene}
    if DEFAULT_TASK in names:  # capitals are rare in words as they are
        letters = {"scene": replace(scene, case="mixed"), "random_strings": 0.5}
    return GenerateOptions(train=train * len(names), prompt=EACH, **letters, **options)


def _named(images: GenerateOptions) -> str:
    """The questions that the images are about, as a list."""
    return " ".join(task.title for task in images.tasks)


def _announce_minutes(options: TrainOptions, device: torch.device, images: GenerateOptions) -> None:
    """Say how long a model that comes along will take on this machine, by a measurement of seconds."""
    from unblind.training.plan import seconds_needed

    seconds = seconds_needed(options, device, train=images.train, asked=4 * images.test)  # white images too
    console.print(
        f"Five steps, about {math.ceil(seconds / 60):,} min on this machine. Nothing is downloaded;"
        " --train NUMBER with fewer images is faster. After Ctrl-C, the same command continues.",
        soft_wrap=True,
    )


def _announce(recipe: str, options: TrainOptions, device: torch.device, images: GenerateOptions) -> None:
    """Say what will be done with a model that takes a GPU, and how long that will take."""
    from unblind.evaluation.prompts import offered_prompts
    from unblind.models.loading import configuration
    from unblind.models.registry import family_of
    from unblind.models.speed import expected_share
    from unblind.training.callbacks import duration
    from unblind.training.plan import seconds_needed

    before = 1
    if len(images.tasks) == 1:
        before = len(offered_prompts(images.tasks[0], family_of(configuration(options.model))))
    seconds = seconds_needed(options, device, train=images.train, asked=(before + 1) * images.test)
    console.print(
        f"{options.model} on {device}: recipe {recipe}, {options.accumulation} x {options.batch_size} samples"
        f" a step; {before} prompts before, one after. About {duration(seconds)}, if it reaches"
        f" {expected_share(options):.0%} of this device's rate; training says what it measures.",
        soft_wrap=True,
    )


def _image_size(model: str) -> int:
    """Pixels a side of what the model's tower sees; of tiny where it does not say."""
    from unblind.models.loading import configuration
    from unblind.tasks.circled_letter.scene import SceneOptions

    vision = getattr(configuration(model), "vision_config", None)
    return int(getattr(vision, "image_size", SceneOptions.image_size))


def _evaluate(
    out: Path, options: TrainOptions, *, adapter: Path | None, each: bool = False
) -> dict[str, Any]:
    """Measure on the held-out split, or read what was measured before an interruption.

    The model is loaded as it is trained; `each` of the prompts offered is asked, or the dataset's own.
    """
    from unblind.data.reading import read
    from unblind.evaluation.prompts import evaluate_each
    from unblind.evaluation.run import evaluate_to
    from unblind.models.loading import load_as_trained

    if (out / "metrics.json").exists():
        metrics: dict[str, Any] = json.loads((out / "metrics.json").read_text("utf-8"))
        return metrics
    ask, loaded = evaluate_each if each else evaluate_to, load_as_trained(options, adapter)
    return ask(out, loaded, read(options.data, "test"), data=options.data, blank=True)


def _tell(step: int, text: str) -> None:
    console.print(f"[bold]{step}/5[/bold] {text}")
