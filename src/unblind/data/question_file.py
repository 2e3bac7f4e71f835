"""A file of questions without answers: about images that it names, or about any."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unblind.data.columns import with_our_columns
from unblind.data.image_column import is_text
from unblind.data.tables import SUFFIXES, read_pieces
from unblind.errors import DatasetError

_TABLES = tuple(ending for ending in SUFFIXES if ending != ".tar")


def read_questions(source: Path) -> list[tuple[Path | None, str]]:
    """The questions in a file, each with the path of its image, or None: it is about any.

    Args:
        source: a text file with a question a line; or a CSV, TSV, JSON, JSON-lines or Parquet file with the
            column `prompt` or `question`, and perhaps `image`, paths as seen from the file's folder.

    Raises:
        DatasetError: missing, damaged, no questions, images that are no paths, a row without one.
    """
    if not source.is_file():
        raise DatasetError(f"{source}: no such file; name one with questions (--questions)")
    if source.suffix.lower() in _TABLES:
        found = _from_table(source)
    else:
        try:
            lines = source.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(
                f"{source}: not a readable UTF-8 text file ({error}); name another (--questions)"
            ) from None
        found = [(None, line.strip()) for line in lines if line.strip()]
    if not found:
        raise DatasetError(f"{source}: has no questions; write one a line (--questions)")
    return found


def _from_table(source: Path) -> list[tuple[Path | None, str]]:
    table = with_our_columns(next(read_pieces(source)), {}, str(source))
    if "prompt" not in table.column_names:
        there = ", ".join(table.column_names) or "none"
        raise DatasetError(f"{source}: has no column prompt or question; it has {there}: rename one")
    prompts = _texts(table["prompt"].to_pylist(), "prompt", source)
    if "image" not in table.column_names:
        return [(None, prompt) for prompt in prompts]
    if not is_text(table["image"].type):
        raise DatasetError(f"{source}: the column image holds no paths; write the images' files there")
    images = _texts(table["image"].to_pylist(), "image", source)
    return [(source.parent / image, prompt) for image, prompt in zip(images, prompts, strict=True)]


def _texts(values: Sequence[object], name: str, source: Path) -> list[str]:
    for row, value in enumerate(values):
        if value is None or not str(value).strip():
            raise DatasetError(f"{source}, row {row}: no {name}; fill it in, or remove the row")
    return [str(value).strip() for value in values]
