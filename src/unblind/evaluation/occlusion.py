"""Where a model looks, asked by covering: the ellipse, the circled letter, another letter."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from unblind.errors import DatasetError
from unblind.evaluation.run import letter_probabilities
from unblind.models.collate import Row, prepared
from unblind.runtime.progress import progress
from unblind.scoring.intervals import proportion
from unblind.tasks.circled_letter.draw import draw
from unblind.tasks.circled_letter.redraw import without_letter
from unblind.tasks.fonts import FontLibrary
from unblind.tasks.redraw import scene_of
from unblind.tasks.words import LETTERS

VIEWS = ("whole", "ellipse", "letter", "other")


def scenes_needed(dataset: datasets.Dataset) -> None:
    """Raise DatasetError unless the dataset tells how its images were drawn."""
    if "scene" not in dataset.column_names:
        raise DatasetError(
            "covering needs the column 'scene', which Parquet datasets by `unblind generate` have;"
            " name one (--data), or leave out --occlusion and --uncircled"
        )


def cover(row: Mapping[str, Any], library: FontLibrary | None = None) -> dict[str, NDArray[np.uint8]]:
    """Draw a row whole and with parts covered by the background.

    A covered letter keeps the ellipse around it. The other letter is the one half the word away.

    Args:
        row: with `scene`, whose word has two letters at least.
        library: where its font is looked up; None: the fonts of a plain install, and the benchmark's.

    Returns:
        `whole`, and without `ellipse`, `letter` and `other`: (height, width, 3) uint8 RGB each.

    Raises:
        DatasetError: the row has no scene, or a damaged one, or a word of one letter.
        FontsError: its font is not there.
    """
    task, scene = scene_of(row)
    font = (library or task.known_resources()).get(scene.font.digest)
    count = len(scene.word)
    if count < 2:
        raise DatasetError(f"row {row.get('id', '?')}: {scene.word!r} has no other letter to cover")
    other = (scene.index + count // 2) % count
    bare = draw(scene, font, circled=False)
    letters = (without_letter(scene, font, index) for index in (scene.index, other))
    return dict(zip(VIEWS, (draw(scene, font), bare, *letters), strict=True))


def occlusion_check(
    loaded: Any,
    dataset: datasets.Dataset,
    *,
    prompt: str | None = None,
    batch_size: int = 32,
    library: FontLibrary | None = None,
) -> dict[str, Any]:
    """How restricted answers change as parts of the images are covered.

    A model that sees the ellipse falls back to its prior without it, and hardly minds another letter's
    absence. Words of one letter are left out.

    Args:
        loaded: the model, an `unblind.models.loading.Loaded`.
        dataset: with image, prompt, answer and scene.
        prompt: instead of the dataset's own.
        batch_size: images a forward pass; each sample has four.
        library: where fonts are looked up; None: the fonts of a plain install, and the benchmark's.

    Returns:
        `n`, and for each of `VIEWS` `accuracy` ({"value", "low", "high"}, Wilson's 95 %), `probability` (mean
        share of the right answer among the 52 letters), `drop` (of it, against `whole`) and `changed` (share
        of answers that differ from those to `whole`).

    Raises:
        DatasetError: no scene, no sample that can be covered, an answer that is no letter.
        FontsError: a font is not there.
        ModelError: letters are no single tokens of this model.
    """
    scenes_needed(dataset)
    rows = [row for row in prepared(dataset) if len(scene_of(row)[1].word) > 1]
    if not rows:
        raise DatasetError("no word has two letters, so that one could be covered; name another dataset")
    wrong = next((row for row in rows if row["answer"] not in set(LETTERS)), None)
    if wrong is not None:
        raise DatasetError(
            f"row {wrong.get('id', '?')}: the answer {wrong['answer']!r} is no letter A-Z, a-z"
        )
    found = []
    size = max(1, batch_size // len(VIEWS))
    with progress("occlusion", len(rows)) as advance:
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            views = list(chain.from_iterable(_views(row, library) for row in part))
            shares = letter_probabilities(loaded, views, prompt)
            found.append(shares.view(len(part), len(VIEWS), len(LETTERS)))
            advance(len(part))
    right = torch.tensor([LETTERS.index(row["answer"]) for row in rows])
    return _summary(torch.cat(found), right)


def _views(row: Row, library: FontLibrary | None) -> list[Row]:
    return [{**row, "image": Image.fromarray(image)} for image in cover(row, library).values()]


def _summary(shares: torch.Tensor, right: torch.Tensor) -> dict[str, Any]:
    """Numbers of (N, views, 52) probabilities and (N,) right letters."""
    best = shares.argmax(-1)
    of_right = shares[torch.arange(len(right)), :, right].double().mean(0)
    whole = float(of_right[0])
    result: dict[str, Any] = {"n": len(right)}
    for i, name in enumerate(VIEWS):
        result[name] = {
            "accuracy": proportion(int((best[:, i] == right).sum()), len(right)),
            "probability": float(of_right[i]),
            "drop": whole - float(of_right[i]),
            "changed": float((best[:, i] != best[:, 0]).double().mean()),
        }
    return result
