"""Columns as peers call them -> image, prompt, answer: Roboflow's, VQAv2's, LLaVA's, and chat messages."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unblind.errors import DatasetError, RecipeError
from unblind.tasks.base import ACCEPTED

# What others call our columns; the first that is there counts, and only where ours is not.
NAMES = {
    "prompt": ("question", "prefix"),
    "answer": ("groundtruth", "suffix", "circled_letter"),
    "index": ("circled_index",),
}
OURS = ("image", "prompt", "answer", "id", "task", "split")
_ASKS, _ANSWERS = {"human", "user"}, {"gpt", "assistant", "model", "chatgpt", "bing", "bard"}


def columns_named(texts: Iterable[str], ours: Sequence[str] = OURS) -> dict[str, str]:
    """Texts like "image=photo,answer=label" as a mapping from our columns to theirs.

    Args:
        texts: each with one column, or several and commas between them.
        ours: those that there are.

    Raises:
        RecipeError: no such text, or a column that we do not have.
    """
    columns: dict[str, str] = {}
    for text in texts:
        for pair in re.split(rf",(?=\s*(?:{'|'.join(ours)})=)", text):  # a prompt may hold commas
            name, equals, theirs = (part.strip() for part in pair.partition("="))
            if not equals or not theirs or name not in ours:
                raise RecipeError(
                    f"--columns {pair!r} names no column; write OURS=THEIRS, and ours are {', '.join(ours)}"
                )
            columns[name] = theirs
    return columns


def with_our_columns(
    table: pa.Table, columns: Mapping[str, str], source: str, first_row: int = 0
) -> pa.Table:
    """The table with `image`, `prompt` and `answer`, as far as it has them under other names or in a chat.

    Args:
        table: a raw one.
        columns: ours to theirs, as the user names them. For `prompt` also a text of several words: the
            question of every row.
        source: what an error names.
        first_row: the number that it gives to the table's first row.

    Raises:
        DatasetError: no such column, more than one turn or image in a row.
    """
    for ours, theirs in columns.items():
        table = _named(table, ours, theirs, source)
    for chat in ("conversations", "messages"):
        if chat in table.column_names and not {"prompt", "answer"} <= set(table.column_names):
            table = _from_chat(table, chat, source, first_row)
            break
    if "images" in table.column_names and "image" not in table.column_names:
        images = _only_images(table["images"], source, first_row)
        table = _put(table, "image", images).drop_columns(["images"])
    for ours, others in NAMES.items():
        known = next((name for name in others if name in table.column_names), None)
        if known and ours not in table.column_names:
            table = renamed(table, known, ours)
    if "answers" in table.column_names and "answer" not in table.column_names:
        given = table["answers"].to_pylist()
        table = _put(table, "answer", pa.array(map(commonest, given), pa.string()))
        several = pa.array(map(texts_of, given), pa.list_(pa.string()))
        table = _put(table.drop_columns(["answers"]), ACCEPTED, several)
    return table


def _named(table: pa.Table, ours: str, theirs: str, source: str) -> pa.Table:
    if theirs in table.column_names:
        if theirs == ours:
            return table
        table = table.drop_columns([ours]) if ours in table.column_names else table
        return renamed(table, theirs, ours)
    if ours == "prompt" and " " in theirs.strip():
        return _put(table, ours, pa.array([theirs] * len(table), pa.string()))
    raise DatasetError(
        f"{source}: has no column {theirs!r}; it has {', '.join(table.column_names)}: name one of these"
        " (--columns)"
    )


def renamed(table: pa.Table, old: str, new: str) -> pa.Table:
    """The table with a column under a new name."""
    note = table.schema.metadata  # of features, which renaming would drop
    names = [new if name == old else name for name in table.column_names]
    return table.rename_columns(names).replace_schema_metadata(note)


def _put(table: pa.Table, name: str, column: Any) -> pa.Table:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)


def _from_chat(table: pa.Table, chat: str, source: str, first_row: int) -> pa.Table:
    rows = enumerate(table[chat].to_pylist(), first_row)
    turns = [_turn(messages, f"{source}, row {row}") for row, messages in rows]
    prompts, answers, images = (
        (list(column) for column in zip(*turns, strict=True)) if turns else ([], [], [])
    )
    table = table.drop_columns([chat])
    table = _put(table, "prompt", pa.array(prompts, pa.string()))
    table = _put(table, "answer", pa.array(answers, pa.string()))
    if any(images) and not {"image", "images"} & set(table.column_names):
        table = _put(table, "image", pa.array(images, pa.string()))
    return table


def _turn(messages: Any, source: str) -> tuple[str, str, str | None]:
    """The question, the answer, and the image's path if the chat names it. Raises DatasetError."""
    if isinstance(messages, str):
        try:
            messages = json.loads(messages)
        except ValueError:
            messages = None
    spoken = [_message(message) for message in messages or [] if isinstance(message, Mapping)]
    roles = [role for role, _, _ in spoken]
    if len(roles) != 2 or roles[0] not in _ASKS or roles[1] not in _ANSWERS:
        raise DatasetError(
            f"{source}: its messages are from {', '.join(roles) or 'no one'}; one question of the user and"
            " one answer of the assistant are supported: leave the others out"
        )
    (_, prompt, images), (_, answer, _) = spoken
    if len(images) > 1 or prompt.count("<image>") > 1:
        raise DatasetError(f"{source}: asks about several images; one image a row is supported")
    return prompt, answer, images[0] if images else None


def _message(message: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """Who says what, and the paths of the images in it."""
    role = str(message.get("role") or message.get("from") or "no one")
    content = message.get("content") if message.get("content") is not None else message.get("value")
    if isinstance(content, str):
        return role, content, []
    parts = [part for part in content or [] if isinstance(part, Mapping)]
    texts = [str(part["text"]) for part in parts if part.get("text")]
    return role, "\n".join(texts), [image for part in parts if (image := _image_of(part))]


def _image_of(part: Mapping[str, Any]) -> str | None:
    image = part.get("image") or part.get("image_url") or part.get("path") or part.get("url")
    image = image.get("url") if isinstance(image, Mapping) else image
    return image if isinstance(image, str) else None


def _only_images(column: pa.ChunkedArray, source: str, first_row: int) -> Any:
    """A list of one image a row as a column of images."""
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        return column
    counts = pc.fill_null(pc.list_value_length(column), 0)
    row = pc.index(pc.equal(counts, pa.scalar(1, counts.type)), False).as_py()
    if row >= 0:
        raise DatasetError(
            f"{source}, row {first_row + row}: has {counts[row]} images; one image a row is supported"
        )
    return pc.list_flatten(column)


def texts_of(answers: Any) -> list[str]:
    """Several people's answers to one question, as VQAv2 has them: texts, or objects with an `answer`."""
    if not isinstance(answers, Sequence) or isinstance(answers, str):
        return [answers] if isinstance(answers, str) else []
    texts = [one.get("answer") if isinstance(one, Mapping) else one for one in answers]
    return [str(text).strip() for text in texts if text is not None]


def commonest(answers: Any) -> str | None:
    """Of several people's answers the most frequent one, the first of these."""
    counts = Counter(texts_of(answers))
    return counts.most_common(1)[0][0] if counts else None
