"""unblind predict."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from glob import glob, has_magic
from itertools import chain, islice
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter
from cyclopts.validators import Number

from unblind.errors import DatasetError
from unblind.flags import Machine
from unblind.recipe import Quantization

if TYPE_CHECKING:
    from PIL.Image import Image

    from unblind.evaluation.answers import Answer
    from unblind.models.loading import Loaded
    from unblind.tasks.base import Row, Task

T = TypeVar("T")


def predict(
    *images: Path,
    model: str = "tiny",
    adapter: Path | None = None,
    task: str = "circled-letter",
    prompt: str = "circled",
    questions: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    batch_size: Machine[Annotated[int, Parameter(validator=Number(gte=1))]] = 8,
    device: Machine[str] = "auto",
    dtype: Machine[str] = "auto",
    revision: Machine[str | None] = None,
    quantization: Machine[Quantization | None] = None,
    max_pixels: Machine[int | None] = None,
) -> None:
    """Answer a question about images, such as which letter is circled, with the answer's probability.

    Example: `unblind predict --adapter run photo.png`

    If an image cannot be read, the command answers the others and ends with exit code 2.

    Args:
        images: PNG, JPEG, WebP, GIF, BMP or TIFF files, folders of them, or quoted patterns ("scans/*.png").
        model: `tiny`, a folder with a checkpoint, or the id of a model on the hub.
        adapter: an adapter's folder, or a run folder of `unblind train`. Without it, the model is blind.
        task: the task whose answers the model chooses from.
        prompt: the question: the name of one of the task's (for letters: circled, highlighted,
            circled-braces, highlighted-braces, read), or any text. The default is the task's first.
        questions: a file of questions instead. In a text file, each line is asked about every image. A CSV,
            JSON or JSON-lines file has the columns prompt and image, with paths relative to the file.
        json: print a JSON object for each image, with the five likeliest answers.
        batch_size: images a batch; halved each time that memory runs out.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32, bfloat16 or float16.
        revision: the model's revision on the hub.
        quantization: quantize the language model, with bitsandbytes.
        max_pixels: scale larger images down to this many pixels, for models that keep image sizes (Qwen). The
            default is what the adapter was trained with, or else the checkpoint's own.
    """
    from unblind.evaluation.batches import BatchSize
    from unblind.models.loading import load
    from unblind.tasks.registry import DEFAULT_TASK, task_named

    asker = task_named(task)
    if task != DEFAULT_TASK and prompt == task_named(DEFAULT_TASK).default_prompt:
        prompt = asker.default_prompt
    failures: dict[str, DatasetError] = {}
    asked = _asked(_about(images, prompt, questions), failures)
    first = next(asked, None)  # a model is worth loading only for something to ask about
    if first is not None:
        loaded = load(
            model,
            adapter=adapter,
            device=device,
            dtype=dtype,
            revision=revision,
            quantization=quantization,
            max_pixels=max_pixels,
        )
        size = BatchSize(batch_size)
        every = chain([first], asked)
        while part := list(islice(every, batch_size)):
            rows = [{"image": one.picture, "prompt": one.prompt} for one in part]
            ask = partial(_ask, loaded, rows, asker)
            for one, given in zip(part, size.apply(ask, len(rows)), strict=True):
                shown = one if questions else replace(one, prompt="")
                print(_as_json(shown, task, given) if json else _as_text(shown, given), flush=True)
    _refuse(failures)


@dataclass(frozen=True)
class _Asked:
    """A question about a picture, and the file that it is in."""

    path: Path
    picture: Image
    prompt: str


def _about(
    images: Sequence[Path], prompt: str, questions: Path | None
) -> list[tuple[Sequence[Path], Sequence[str]]]:
    """Images, and the questions about each of them. Raises DatasetError where there are none."""
    from unblind.data.question_file import read_questions

    read = read_questions(questions) if questions else [(None, prompt)]
    named = [([image], [text]) for image, text in read if image]
    if named and images:
        raise DatasetError(f"{questions} names its own images; leave out {images[0]}, or its column image")
    if not named and not images:
        raise DatasetError("no image named; write: unblind predict IMAGE...")
    return list(named) or [(images, [text for _, text in read])]


def _ask(loaded: Loaded, rows: Sequence[Row], task: Task[Any], start: int, stop: int) -> list[Answer]:
    from unblind.evaluation.answers import answer

    return answer(loaded, rows[start:stop], task=task)


def _asked(
    about: Sequence[tuple[Sequence[Path], Sequence[str]]], failures: dict[str, DatasetError]
) -> Iterator[_Asked]:
    """The questions about images that can be read; why the others cannot be goes to `failures`."""
    from unblind.data.images import decode_image

    for images, prompts in about:
        for name in images:
            for path in _or_none(partial(_files, name), name, failures) or []:
                picture = _or_none(partial(decode_image, path, str(path)), path, failures)
                if picture is not None:
                    yield from (_Asked(path, picture, prompt) for prompt in prompts)


def _or_none(read: Callable[[], T], name: Path, failures: dict[str, DatasetError]) -> T | None:
    try:
        return read()
    except DatasetError as error:
        failures[str(name)] = error
        return None


def _files(name: Path) -> list[Path]:
    """What a name stands for: a file, the images in a folder and below it, or what matches a pattern.

    Raises DatasetError for a folder or pattern without images.
    """
    if name.is_dir():
        from PIL import Image

        from unblind.data.images import FORMATS

        suffixes = {suffix for suffix, format_ in Image.registered_extensions().items() if format_ in FORMATS}
        files = sorted(path for path in name.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
        if not files:
            raise DatasetError(f"{name}: no image in this folder; name one that holds PNG or JPEG files")
        return files
    if has_magic(str(name)) and not name.exists():
        matches = sorted(glob(str(name), recursive=True))  # noqa: PTH207  (Path.glob takes no absolute pattern)
        if not matches:
            raise DatasetError(f"{name}: nothing matches this pattern; check it")
        return list(chain.from_iterable(_files(Path(match)) for match in matches))
    return [name]


def _as_json(asked: _Asked, task: str, given: Answer) -> str:
    row: dict[str, Any] = {"image": str(asked.path), "task": task, "answer": given.restricted}
    row |= {"probability": given.probability} | ({"prompt": asked.prompt} if asked.prompt else {})
    if task == "circled-letter":
        row["letter"] = given.restricted  # as it was called when there was one task alone
    return dumps(row | {"free": given.free, "top5": given.top})


def _as_text(asked: _Asked, given: Answer) -> str:
    start = f"{asked.path}: {asked.prompt} " if asked.prompt else f"{asked.path}: "
    if given.restricted is None:
        return f"{start}{given.free}"
    return f"{start}{given.restricted} ({given.probability:.1%}); says {given.free!r}"


def _refuse(failures: dict[str, DatasetError]) -> None:
    """Raise DatasetError if some images could not be read; a line on stderr for each says why, before."""
    if len(failures) == 1:
        raise next(iter(failures.values()))
    for error in failures.values():
        print(f"unblind: {error}", file=sys.stderr)
    if failures:
        first = ", ".join(list(failures)[:3])
        rest = f" and {len(failures) - 3} more" if len(failures) > 3 else ""
        raise DatasetError(f"{len(failures)} images have no answer, for the reasons above: {first}{rest}")
