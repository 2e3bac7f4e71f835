"""Files that no user should have, made on the spot: a corpus for each class of input."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image
from safetensors.torch import save_file

Corpus = dict[str, Path]

FINE = {"one pixel", "animated", "CMYK", "16 bits", "alpha", "wrong extension", "palette", "49 megapixels"}
FINE_FONTS = {"variable"}
SECRET_FILE = "the pickle was run"


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.folder / SECRET_FILE,)


def packed(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, data: bytes = b"", depth: int = 8, kind: int = 2) -> bytes:
    """A PNG of that size, whatever its data."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _zeros(count: int) -> bytes:
    """So many zero bytes, compressed without ever being whole in memory."""
    packer = zlib.compressobj(1)
    block = bytes(2**20)
    parts = [packer.compress(block) for _ in range(count // 2**20)]
    return b"".join([*parts, packer.compress(bytes(count % 2**20)), packer.flush()])


@cache
def images() -> dict[str, tuple[str, bytes]]:
    """Name -> file name and content."""
    red = Image.new("RGB", (64, 48), "red")
    frames = [Image.new("RGB", (64, 48), color) for color in ("red", "blue")]
    deep = Image.fromarray(np.full((48, 64), 40_000, np.uint16))
    return {
        "truncated PNG": ("a.png", packed(red)[:-40]),
        "truncated JPEG": ("a.jpg", packed(red, "JPEG")[:300]),
        "truncated WebP": ("a.webp", packed(red, "WEBP")[:40]),
        "truncated GIF": ("a.gif", packed(red, "GIF")[:60]),
        "truncated TIFF": ("a.tiff", packed(red, "TIFF")[:200]),
        "0 x 0": ("a.png", png(0, 0)),
        "0 x 0 PPM": ("a.ppm", b"P6 0 0 255\n"),
        "enormous dimensions": ("a.png", png(2**31 - 1, 2**31 - 1)),
        "enormous PPM": ("a.ppm", b"P6 60000 60000 255\n"),
        "enormous GIF": (
            "a.gif",
            b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x00;",
        ),
        "decompression bomb": ("a.png", png(20_000, 20_000, _zeros(2**26))),
        "text bomb": ("a.png", _with_text_bomb(packed(red))),
        "not an image": ("a.png", b"<!doctype html><title>404</title>"),
        "empty": ("a.png", b""),
        "PostScript": ("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        "SVG": ("a.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        "zeros": ("a.png", bytes(1000)),
        "one pixel": ("a.png", packed(Image.new("RGB", (1, 1), "red"))),
        "animated": ("a.gif", packed(frames[0], "GIF", save_all=True, append_images=frames[1:])),
        "CMYK": ("a.jpg", packed(Image.new("CMYK", (64, 48), (0, 255, 255, 0)), "JPEG")),
        "16 bits": ("a.png", packed(deep)),
        "alpha": ("a.png", packed(Image.new("RGBA", (64, 48), (255, 0, 0, 90)))),
        "palette": ("a.png", packed(red.convert("P"))),
        "wrong extension": ("a.png", packed(red, "JPEG")),
        "49 megapixels": ("a.png", png(7_000, 7_000, _zeros(7_000 * 14_001), depth=16, kind=0)),
    }


def _with_text_bomb(data: bytes) -> bytes:
    content = b"Comment\0\0" + _zeros(2**25)
    chunk = (
        struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    )
    return data[:33] + chunk + data[33:]


def image_files(folder: Path) -> Corpus:
    """Each image as a file, and what is no file."""
    made = {}
    for name, (file, content) in images().items():
        path = folder / name.replace(" ", "-") / file
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        made[name] = path
    made["directory"] = folder
    made["absent"] = folder / "absent.png"
    made["loop of links"] = folder / "loop.png"
    made["loop of links"].symlink_to(folder / "loop.png")
    made["device"] = folder / "device.png"
    made["device"].symlink_to("/dev/zero")
    made["pipe"] = folder / "pipe.png"
    os.mkfifo(made["pipe"])
    made["2 GiB"] = folder / "large.png"
    with made["2 GiB"].open("wb") as file:
        file.truncate(2 * 2**30)  # a hole: it takes no room on the disk
    return made


def image_datasets(folder: Path) -> Corpus:
    """Each image but the largest, which takes seconds, in a row of a Parquet file, between good ones."""
    good = packed(Image.new("RGB", (64, 48), "blue"))
    made = {}
    for number, (name, (_, content)) in enumerate(images().items()):
        if name == "49 megapixels":
            continue
        path = folder / f"{number}.parquet"
        rows = [good, content, good]
        write(path, image=[{"bytes": row, "path": None} for row in rows])
        made[name] = path
    return made


def write(path: Path, **columns: object) -> None:
    """A dataset of three rows; `columns` replace its own, None leaves one out."""
    good = packed(Image.new("RGB", (28, 28), "blue"))
    table: dict[str, object] = {
        "id": ["a", "b", "c"],
        "image": [{"bytes": good, "path": None}] * 3,
        "prompt": ["Dark?"] * 3,
        "answer": ["A", "b", "A"],
    }
    kept = {name: value for name, value in (table | columns).items() if value is not None}
    pq.write_table(pa.table(kept), path)


def parquets(folder: Path) -> Corpus:
    """Datasets that are none, or lead outside their folder."""
    (folder.parent / "secret.png").write_bytes(packed(Image.new("RGB", (8, 8), "red")))
    path = {"bytes": None}
    columns: dict[str, dict[str, object]] = {
        "image of numbers": {"image": [1, 2, 3]},
        "image of lists": {"image": [[1], [2], [3]]},
        "image of other structs": {"image": [{"x": 1}] * 3},
        "prompt of lists": {"prompt": [["a"]] * 3},
        "answer of bytes": {"answer": [b"\xff\xfe"] * 3},
        "image null": {"image": pa.array([None] * 3, pa.struct({"bytes": pa.binary(), "path": pa.string()}))},
        "images null": {"image": pa.nulls(3)},
        "prompt null": {"prompt": ["a", None, "b"]},
        "answer null": {"answer": ["a", None, "b"]},
        "answer empty": {"answer": ["a", "  ", "b"]},
        "id null": {"id": ["a", None, "b"]},
        "no image": {"image": None},
        "no prompt": {"prompt": None},
        "no answer": {"answer": None},
        "path above": {"image": [path | {"path": "../secret.png"}] * 3},
        "path absolute": {"image": ["/etc/passwd"] * 3},
        "path to a device": {"image": ["/dev/zero"] * 3},
        "path with NUL": {"image": ["a\0.png"] * 3},
        "path through a link": {"image": ["link/secret.png"] * 3},
        "path of a loop": {"image": ["loop/a.png"] * 3},
        "path to nothing": {"image": ["nothing.png"] * 3},
        "image token in the prompt": {"prompt": ["a <image> b"] * 3},
    }
    (folder / "link").symlink_to(folder.parent)
    (folder / "loop").symlink_to(folder / "loop")
    made = {}
    for number, (name, changes) in enumerate(columns.items()):
        made[name] = folder / f"{number}.parquet"
        write(made[name], **changes)
    whole = folder / "whole.parquet"
    write(whole)
    data = whole.read_bytes()
    contents = {
        "truncated": data[: len(data) // 2],
        "without an end": data[:-8],
        "without a beginning": data[100:],
        "only the magic": b"PAR1PAR1",
        "length of the end overflows": data[:-8] + b"\xff\xff\xff\x7fPAR1",
        "empty file": b"",
        "text": b"id,image\n1,2\n",
    }
    for name, content in contents.items():
        made[name] = folder / f"{name.replace(' ', '-')}.parquet"
        made[name].write_bytes(content)
    made["no rows"] = folder / "none.parquet"
    pq.write_table(pq.read_table(whole).slice(0, 0), made["no rows"])
    made["30 million rows"] = folder / "million.parquet"
    _millions(made["30 million rows"])
    made["pipe"] = folder / "pipe.parquet"
    os.mkfifo(made["pipe"])
    made["folder of pipes"] = folder / "pipes"
    made["folder of pipes"].mkdir()
    os.mkfifo(made["folder of pipes"] / "train.parquet")
    return made


def _millions(path: Path) -> None:
    """A small file of very many rows: the same value over and over."""
    names = ("id", "image", "prompt", "answer")
    block = pa.table(
        {name: pa.DictionaryArray.from_arrays(np.zeros(10**7, np.int8), ["a"]) for name in names}
    )
    with pq.ParquetWriter(path, block.schema, compression="zstd", write_statistics=False) as writer:
        for _ in range(3):
            writer.write_table(block, row_group_size=10**7)


def predictions(folder: Path) -> Corpus:
    """Folders that look like finished evaluations."""
    from unblind.scoring.predictions import FILE

    columns = {name: ["a", "b"] for name in ("id", "answer", "free", "restricted")}
    tables: dict[str, dict[str, object]] = {
        "no answer": {name: values for name, values in columns.items() if name != "answer"},
        "answers null": columns | {"answer": [None, "a"]},
        "numbers": columns | {"answer": [1, 2]},
        "an id twice": columns | {"id": ["a", "a"]},
        "no rows": dict.fromkeys(columns, pa.array([], pa.string())),
    }
    made = {}
    for name, table in tables.items():
        made[name] = folder / name.replace(" ", "-")
        made[name].mkdir()
        pq.write_table(pa.table(table), made[name] / FILE)
    for name, content in {"truncated": b"PAR1 and no more", "empty": b""}.items():
        made[name] = folder / name
        made[name].mkdir()
        (made[name] / FILE).write_bytes(content)
    for path in made.values():
        (path / "metrics.json").write_text("{}")
    return made


def fonts(folder: Path) -> Corpus:
    """Fonts that cannot draw our letters, or are none."""
    from unblind.tasks.fonts import find_fonts

    data = find_fonts().fonts[0].path.read_bytes()
    made = {
        name: folder / f"{name.replace(' ', '-')}.ttf" for name in ("truncated", "head only", "text", "empty")
    }
    for name, content in zip(made, (data[: len(data) // 2], data[:40], b"no font at all", b""), strict=True):
        made[name].write_bytes(content)
    made["no Latin glyphs"] = folder / "greek.ttf"
    squares(made["no Latin glyphs"], "αβγ")
    made["blank glyphs"] = folder / "blank.ttf"
    squares(made["blank glyphs"], _letters(), ink=False)
    made["all glyphs alike"] = folder / "alike.ttf"
    squares(made["all glyphs alike"], _letters())
    made["bitmap only"] = folder / "bitmap.ttf"
    made["bitmap only"].write_text(_bdf())
    made["variable"] = folder / "variable.ttf"
    variable(made["variable"])
    made["loop of links"] = folder / "loop.ttf"
    made["loop of links"].symlink_to(folder / "loop.ttf")
    made["device"] = folder / "device.ttf"
    made["device"].symlink_to("/dev/zero")
    made["pipe"] = folder / "pipe.ttf"
    os.mkfifo(made["pipe"])
    made["too large"] = folder / "large.ttf"
    with made["too large"].open("wb") as file:
        file.truncate(2**31)
    (folder / "around").mkdir()
    (folder / "around" / "again").symlink_to(folder)  # a loop of folders
    return made


def _letters() -> str:
    from unblind.tasks.words import LETTERS

    return LETTERS


def squares(path: Path, letters: str, *, ink: bool = True) -> None:
    """A font that draws a square for each of these letters."""
    names = [".notdef", *(f"uni{ord(letter):04X}" for letter in letters)]
    pen = TTGlyphPen(None)
    if ink:
        pen.moveTo((50, 0))
        for point in ((50, 600), (550, 600), (550, 0)):
            pen.lineTo(point)
        pen.closePath()
    glyph = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, glyph))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (600, 50)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


def variable(path: Path) -> None:
    """A good font with an axis added; its default is drawn."""
    from fontTools.ttLib import TTFont

    from unblind.tasks.fonts import find_fonts

    font = TTFont(next(font.path for font in find_fonts().fonts if font.path.suffix == ".ttf"))
    builder = FontBuilder(font=font)
    builder.setupFvar([("wght", 100, 400, 900, "Weight")], [])
    builder.setupGvar({})
    font.save(path)


def _bdf() -> str:
    """A font of bitmaps alone, all of them one dot."""
    glyphs = "".join(
        f"STARTCHAR {letter}\nENCODING {ord(letter)}\nSWIDTH 500 0\nDWIDTH 8 0\n"
        "BBX 8 1 0 0\nBITMAP\n80\nENDCHAR\n"
        for letter in _letters()
    )
    head = "STARTFONT 2.1\nFONT -x-dots-medium-r-normal--16-160-75-75-c-80-iso10646-1\nSIZE 16 75 75\n"
    return f"{head}FONTBOUNDINGBOX 8 16 0 0\nCHARS {len(_letters())}\n{glyphs}ENDFONT\n"


def word_files(folder: Path) -> Corpus:
    """Word lists that are none."""
    contents = {
        "Unicode": "naïve\nголова\n".encode(),
        "NUL": b"good\nba\0d\n",
        "10,000 letters": b"a" * 10_000,
        "empty": b"",
        "blank lines": b"\n \n\t\n",
        "UTF-16": "word\nother\n".encode("utf-16"),
        "Latin-1": "für\n".encode("latin-1"),
        "binary": bytes(range(256)),
        "terminal codes": b"\x1b[2Jclear\n",
        "lone surrogate": b"\xed\xa0\x80\n",
    }
    made = {}
    for name, content in contents.items():
        made[name] = folder / f"{name.replace(' ', '-')}.txt"
        made[name].write_bytes(content)
    made["directory"] = folder
    made["absent"] = folder / "absent.txt"
    made["device"] = Path("/dev/zero")
    made["pipe"] = folder / "pipe.txt"
    os.mkfifo(made["pipe"])
    made["too large"] = folder / "large.txt"
    with made["too large"].open("wb") as file:
        file.truncate(2**31)
    return made


RECIPES = {
    "unknown key": "learning_rat: 0.1",
    "wrong type": "rank: many",
    "list for a number": "rank: [1, 2]",
    "bool for a number": "rank: true",
    "null": "rank: null",
    "fraction": "rank: 1.5",
    "infinity": "learning_rate: .inf",
    "not a number": "learning_rate: .nan",
    "huge number": "rank: 1" + "0" * 400,
    "huge for a float": "alpha: 1" + "0" * 400,
    "negative": "batch_size: -1",
    "too large a seed": "seed: 99999999999999",
    "date": "data: 2020-01-01",
    "no date": "data: 2020-99-99",
    "python tag": "rank: !!python/object/apply:os.system ['touch {folder}/ran']",
    "unknown tag": "rank: !mine 3",
    "binary": "data: !!binary aGFsbG8=",
    "set": "rank: !!set {{a, b}}",
    "laughs": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "rank: *i\n",
    "laughs under a known key": "rank: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "deep": "rank: " + "[" * 3_000,
    "itself": "rank: &a [*a]",
    "list": "- rank",
    "two documents": "rank: 1\n---\nrank: 2",
    "list as key": "? [a, b]\n: 1",
    "number as key": "1: 2",
    "tabs": "rank:\t\t1\n\tbad: 2",
    "NUL": "rank: 1\0",
    "empty": "",
}


def recipes(folder: Path) -> Corpus:
    """Recipes that are none."""
    made = {}
    for name, text in RECIPES.items():
        made[name] = folder / f"{name.replace(' ', '-')}.yaml"
        made[name].write_text(text.replace("{folder}", str(folder)).replace("{{", "{").replace("}}", "}"))
    for name, content in {"no text": b"\xff\xfe\x00\x01", "Latin-1": "rank: für".encode("latin-1")}.items():
        made[name] = folder / f"{name.replace(' ', '-')}.yaml"
        made[name].write_bytes(content)
    made["directory"] = folder
    made["absent"] = folder / "absent.yaml"
    made["pipe"] = folder / "pipe.yaml"
    os.mkfifo(made["pipe"])
    return made


# Adapters that only their base can tell from a good one; push doesn't load it.
FITS_ITS_WEIGHTS = {"other rank", "other modules", "no such modules", "broken pattern", "other base"}


def adapters(folder: Path, good: Path, other: Path) -> Corpus:
    """Spoilt copies of a good adapter; `other` belongs to a base of another shape."""
    config = json.loads((good / "adapter_config.json").read_text())

    def copy(name: str, **changes: object) -> Path:
        path = folder / name.replace(" ", "-")
        shutil.copytree(good, path)
        (path / "adapter_config.json").write_text(json.dumps(config | changes))
        return path

    made = {
        "other rank": copy("other rank", r=config["r"] * 2),
        "enormous rank": copy("enormous rank", r=10**9),
        "rank of text": copy("rank of text", r="four"),
        "other modules": copy("other modules", target_modules=["lm_head"]),
        "no such modules": copy("no such modules", target_modules=["nothing"]),
        "endless pattern": copy("endless pattern", target_modules="([a-z_.0-9]+)+!"),
        "broken pattern": copy("broken pattern", target_modules="(("),
        "endless rank pattern": copy("endless rank pattern", rank_pattern={"([a-z_.0-9]+)+!": 4}),
        "other method": copy("other method", peft_type="PREFIX_TUNING"),
        "unknown method": copy("unknown method", peft_type="MAGIC"),
        "no method": copy("no method", peft_type=None),
        "other base": other,
        "nothing": folder / "nothing",
        "a file": good / "adapter_config.json",
    }
    made["nothing"].mkdir()
    weights = {
        "truncated weights": (good / "adapter_model.safetensors").read_bytes()[:-100],
        "pickled in disguise": pickle.dumps(Bomb(folder)),
        "weights of a long header": struct.pack("<Q", 2**62) + b"{}",
        "no weights": b"",
        "weights of text": b"hello",
    }
    for name, content in weights.items():
        made[name] = copy(name)
        (made[name] / "adapter_model.safetensors").write_bytes(content)
    made["not numbers"] = copy("not numbers")
    save_file({"a": torch.zeros(1)}, made["not numbers"] / "adapter_model.safetensors")
    made["pickled weights"] = copy("pickled weights")
    (made["pickled weights"] / "adapter_model.safetensors").unlink()
    with (made["pickled weights"] / "adapter_model.bin").open("wb") as file:
        torch.save({"a": Bomb(folder)}, file)
    for name, text in {
        "config of text": "no JSON",
        "config of a list": "[]",
        "config of nulls": "\0",
    }.items():
        made[name] = copy(name)
        (made[name] / "adapter_config.json").write_text(text)
    return made


def each(corpus: Callable[..., Corpus], *arguments: Path) -> Corpus:
    """The corpus, in a new folder of its own inside the first argument."""
    folder = arguments[0] / corpus.__name__
    folder.mkdir()
    return corpus(folder, *arguments[1:])
