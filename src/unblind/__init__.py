"""Unblind: cure a vision-language model of a known blindness.

The flow: words and fonts -> scene -> draw -> dataset -> train -> evaluate -> report. Names are imported when
they are first used, so that `import unblind` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unblind.data.dataset_options import GenerateOptions
    from unblind.data.generation import generate
    from unblind.data.reading import read
    from unblind.errors import UnblindError
    from unblind.evaluation.run import evaluate
    from unblind.models.loading import load
    from unblind.recipe import TrainOptions, load_recipe
    from unblind.report import write_report
    from unblind.scoring.metrics import score
    from unblind.tasks.redraw import redraw
    from unblind.training.run import train

__all__ = [
    "GenerateOptions",
    "TrainOptions",
    "UnblindError",
    "evaluate",
    "generate",
    "load",
    "load_recipe",
    "read",
    "redraw",
    "score",
    "train",
    "write_report",
]

_HOMES = {
    "GenerateOptions": "data.dataset_options",
    "TrainOptions": "recipe",
    "UnblindError": "errors",
    "generate": "data.generation",
    "read": "data.reading",
    "redraw": "tasks.redraw",
    "load": "models.loading",
    "load_recipe": "recipe",
    "write_report": "report",
    "evaluate": "evaluation.run",
    "score": "scoring.metrics",
    "train": "training.run",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'unblind' has no attribute {name!r}")
    return getattr(import_module(f"unblind.{_HOMES[name]}"), name)
