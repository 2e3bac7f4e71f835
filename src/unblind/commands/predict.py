"""unblind predict."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from unblind.errors import DatasetError
from unblind.flags import Machine
from unblind.recipe import Quantization


def predict(
    *images: Path,
    model: str = "tiny",
    adapter: Path | None = None,
    prompt: str = "circled",
    json: Annotated[bool, Parameter(negative=())] = False,
    device: Machine[str] = "auto",
    dtype: Machine[str] = "auto",
    revision: Machine[str | None] = None,
    quantization: Machine[Quantization | None] = None,
) -> None:
    """Name the circled letter in images, with its probability among the 52 letters.

    Example: `unblind predict --adapter run photo.png`

    Args:
        images: PNG, JPEG, WebP, GIF, BMP or TIFF files.
        model: `tiny`, a folder with a checkpoint, or the id of a model on the hub.
        adapter: an adapter's folder, or a run folder of `unblind train`; without one the model is blind.
        prompt: the question: circled, highlighted, circled-braces, highlighted-braces, read, or a text.
        json: print one JSON object an image, with the five likeliest letters.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32, bfloat16 or float16.
        revision: of the model on the hub.
        quantization: of the model's language side, with bitsandbytes.
    """
    if not images:
        raise DatasetError("no image named; write: unblind predict IMAGE...")
    from unblind.data.images import decode_image
    from unblind.evaluation.answers import answer
    from unblind.models.loading import load
    from unblind.tasks.prompts import prompt_text

    pictures = [decode_image(path, str(path)) for path in images]
    loaded = load(
        model, adapter=adapter, device=device, dtype=dtype, revision=revision, quantization=quantization
    )
    for path, picture in zip(images, pictures, strict=True):
        (found,) = answer(loaded, [{"image": picture, "prompt": prompt_text(prompt)}])
        if json:
            row = {"image": str(path), "letter": found.restricted, "probability": found.probability}
            print(dumps(row | {"free": found.free, "top5": found.top}))
        else:
            print(f"{path}: {found.restricted} ({found.probability:.1%}); says {found.free!r}")
