"""What the golden tests compare: measured through the command line and the public names of `unblind` alone.

Nothing here knows how the code is laid out inside, so that modules may move. `make.py` writes what these
functions return as JSON, and the tests compare it with what they return later.
"""

from __future__ import annotations

import csv
import hashlib
import inspect
import io
import json
import math
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

import small_model
import unblind
from unblind.cli import command_line, main

HERE = Path(__file__).parent
COLUMNS = ("id", "image", "prompt", "answer", "word", "letter", "index", "font", "ambiguous", "scene")
METADATA = ("file_name", "word", "circled_letter", "circled_index", "image_path")
TEXTS = ("free", "restricted", "blank", "uncircled")
PREDICTIONS = ("id", "answer", "free", "restricted", "probability", "top5", "blank", "uncircled")
COMMANDS = (
    "quickstart", "generate", "train", "evaluate", "score", "compare", "predict", "report", "demo", "export",
    "push", "fonts", "doctor", "pretrain",
)  # fmt: skip
OPTIONS_OF = {  # of `unblind generate`
    "default": "--train 16 --validation 8 --test 8",
    "mixed": "--train 24 --validation 4 --test 4 --seed 1 --case mixed --random-strings 0.5"
    " --text-color random --background random --ellipse-color random",
    "read": "--train 16 --validation 4 --test 8 --seed 2 --answer word --prompt read",
    "notebook": "--preset notebook --train 16 --validation 4 --test 12 --seed 3",
    "blindtest": "--preset blindtest",  # needs fonts that not every system has
}
FOLDER = "--layout imagefolder --train 16 --validation 4 --test 8 --seed 4 --case mixed"
QUESTIONS = "--train 0 --validation 0 --test 32 --seed 5 --case mixed"
COLOURED = (
    "--train 0 --validation 0 --test 32 --seed 15 --case mixed --prompt word"
    " --text-color random --background random --ellipse-color random"
)
NEAR = 2e-3  # probabilities, between two processors
ROWS = 24  # of a split, at most: the benchmark has 1,248


def read_golden(name: str) -> Any:
    """What `make.py` has written."""
    return json.loads((HERE / f"{name}.json").read_text("utf-8"))


def run(*arguments: object) -> int:
    """Run a command in this process; returns its exit code."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    raise AssertionError("main returned")


def generate(out: Path, options: str) -> Path:
    """A dataset by the command line."""
    assert run("generate", "--out", out, "--workers", 1, *options.split()) == 0
    return out


def sha256(data: bytes) -> str:
    """Its hash, in hex."""
    return hashlib.sha256(data).hexdigest()


def splits(dataset: Path) -> dict[str, pa.Table]:
    """The first rows of each split of a folder of Parquet shards."""
    found = {}
    for name in ("train", "validation", "test"):
        if shards := sorted((dataset / "data").glob(f"{name}-*.parquet")):
            found[name] = pa.concat_tables(pq.read_table(shard) for shard in shards).slice(0, ROWS)
    return found


def hashes(dataset: Path) -> dict[str, dict[str, str]]:
    """Of each split, a hash of each column; of the images both the files' bytes and the pixels."""
    return {split: _columns(table) for split, table in splits(dataset).items()}


def font_digests(dataset: Path) -> list[str]:
    """The SHA-256 of the font files that a dataset was drawn with."""
    scenes = [json.loads(text) for table in splits(dataset).values() for text in table["scene"].to_pylist()]
    return sorted({scene["font"]["digest"] for scene in scenes})


def _columns(table: pa.Table) -> dict[str, str]:
    files = [image["bytes"] for image in table["image"].to_pylist()]
    found = {name: _values(table[name].to_pylist()) for name in COLUMNS if name != "image"}
    return found | {"image": sha256(b"".join(files)), "pixels": sha256(b"".join(map(_pixels, files)))}


def _values(values: list[Any]) -> str:
    return sha256(json.dumps(values).encode())


def _pixels(file: bytes) -> bytes:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).tobytes()


def folder_hashes(dataset: Path) -> dict[str, dict[str, str]]:
    """Of each split of an image folder, a hash of each column of metadata.csv and of each PNG file."""
    found = {}
    for path in sorted(dataset.glob("*/metadata.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {name: _values([row[name] for row in rows]) for name in METADATA}
        images = {row["file_name"]: (path.parent / row["file_name"]).read_bytes() for row in rows}
        files = {name: sha256(data) for name, data in images.items()}
        pixels = {f"{name} (pixels)": sha256(_pixels(data)) for name, data in images.items()}
        found[path.parent.name] = columns | files | pixels
    return found


def options() -> dict[str, dict[str, dict[str, Any]]]:
    """Of each command, its options: names, type, default and panel."""
    return {command: _options(command) for command in COMMANDS}


def _options(command: str) -> dict[str, dict[str, Any]]:
    found = {}
    for argument in command_line()[command].assemble_argument_collection():
        if argument.name == "*":  # a class of options; they follow
            continue
        kind, choices = _type(argument.hint)
        found[argument.name] = {
            "names": list(argument.names),
            "type": kind,
            "choices": choices,
            "required": argument.required,
            "default": _default(argument.field_info.default),
            "panel": [group.name for group in argument.parameter.group],
        }
    return found


def _type(hint: Any) -> tuple[str, list[str]]:
    """A type as one writes it, whatever module it is from; and its choices, if it has some."""
    if get_origin(hint) is Literal:
        return "choice", list(get_args(hint))
    if get_origin(hint) is Annotated:
        return _type(get_args(hint)[0])
    if hint in (type(None), ...):
        return {type(None): "None"}.get(hint, "..."), []
    parts = [_type(part) for part in get_args(hint)]
    names = [name for name, _ in parts]
    if get_origin(hint) in (Union, types.UnionType):
        return " | ".join(names), [choice for _, choices in parts for choice in choices]
    return hint.__name__ + (f"[{', '.join(names)}]" if names else ""), []


def _default(value: Any) -> str | None:
    if value is inspect.Parameter.empty:
        return None
    return value.as_posix() if isinstance(value, Path) else repr(value)


def small_checkpoint(folder: Path) -> Path:
    """Random weights, large enough that the answers depend on image and question."""
    model = small_model.model(seed=7)
    quiet = [id_ for text, id_ in small_model.VOCABULARY.items() if text.startswith("<") or not text.strip()]
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("embed_tokens.weight"):
                weight[quiet] *= 0.4  # else the newline before the answer is the answer
            elif weight.dim() > 1 and "position" not in name:
                weight *= 6
    model.save_pretrained(folder)
    small_model.processor().save_pretrained(folder)
    return folder


def random_answers(checkpoint: Path, data: Path, dtype: str = "float32") -> pa.Table:
    """What random weights answer."""
    loaded = unblind.load(str(checkpoint), device="cpu", dtype=dtype)
    rows = unblind.read(data, "test")
    return unblind.evaluate(loaded, rows, batch_size=8, max_new_tokens=6, blank=True, uncircled=True)


def tiny_answers(out: Path, data: Path, dtype: str = "float32") -> pa.Table:
    """What the base that comes along answers, by the command line; `out` then holds the files."""
    flags = ("--device", "cpu", "--dtype", dtype, "--batch-size", 16, "--uncircled", "--occlusion")
    assert run("evaluate", "--model", "tiny", "--data", data, "--out", out, *flags) == 0
    return pq.read_table(out / "predictions.parquet")


def answers(table: pa.Table) -> dict[str, list[Any]]:
    """The columns of predictions that are compared."""
    return {name: table[name].to_pylist() for name in PREDICTIONS if name in table.column_names}


def margin(top5: str) -> float:
    """How far the likeliest letter is ahead of the next."""
    (_, first), (_, second), *_ = json.loads(top5)
    return float(first - second)


def close(old: Any, new: Any, tolerance: float, where: str = "") -> Iterable[str]:
    """Where `new` lacks what is in `old`, or differs by more than `tolerance`; what is new is passed over."""
    if isinstance(old, Mapping):
        for key, value in old.items():
            if not isinstance(new, Mapping) or key not in new:
                yield f"{where}/{key} is gone"
            else:
                yield from close(value, new[key], tolerance, f"{where}/{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from close(one, other, tolerance, f"{where}/{number}")
    elif isinstance(old, float) and isinstance(new, float):
        if not math.isclose(old, new, rel_tol=0, abs_tol=tolerance):
            yield f"{where} was {old}, is {new}"
    elif old != new:
        yield f"{where} was {old!r}, is {new!r}"
