"""Splits that are mapped from Arrow files: made once, made again when the data changes, never half there."""

from __future__ import annotations

import base64
import errno
import json
import pickle
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unblind.data import arrow_cache
from unblind.data.images import encode_png
from unblind.data.reading import read
from unblind.errors import DatasetError, OutputError

ROWS = 40
PNGS = [encode_png(np.full((8, 8, 3), number, np.uint8)) for number in range(ROWS)]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """All splits are large, and their pieces small."""
    monkeypatch.setattr(arrow_cache, "IN_MEMORY", -1)
    monkeypatch.setattr(arrow_cache, "PIECE", 1000)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache" / "unblind"


def table(images: list[object] | None = None, **columns: list[object]) -> pa.Table:
    images = [{"bytes": png, "path": None} for png in PNGS] if images is None else images
    answers = ["ab"[number % 2] for number in range(ROWS)]
    return pa.table({"image": images, "prompt": ["?"] * ROWS, "answer": answers, **columns})


def saved(path: Path, content: pa.Table) -> Path:
    pq.write_table(content, path)
    return path


def arrow_files(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.arrow"))


def images(path: Path) -> list[bytes]:
    rows = read(path).cast_column("image", datasets.Image(decode=False))
    return [row["image"]["bytes"] for row in rows]


def test_a_large_split_is_written_once_and_mapped(tmp_path: Path, cache: Path) -> None:
    path = saved(tmp_path / "a.parquet", table())
    assert images(path) == PNGS
    (file,) = arrow_files(cache)
    with pa.ipc.open_stream(file) as stream:
        assert len(list(stream)) > 1, "piece by piece"
    written = file.stat().st_mtime_ns
    assert images(path) == PNGS
    assert file.stat().st_mtime_ns == written
    allocated = pa.total_allocated_bytes()
    dataset = read(path)
    assert pa.total_allocated_bytes() - allocated < sum(map(len, PNGS)), "images are not copied"
    assert [row["image"].getpixel((0, 0))[0] for row in pickle.loads(pickle.dumps(dataset))] == [*range(ROWS)]


def test_a_file_that_has_changed_is_written_again(tmp_path: Path, cache: Path) -> None:
    path = saved(tmp_path / "a.parquet", table())
    read(path)
    saved(path, table(answer=["z"] * ROWS))
    assert set(read(path)["answer"]) == {"z"}
    assert len(arrow_files(cache)) == 1, "the older ones are gone"
    assert set(read(path, columns={"prompt": "Which is it?"})["prompt"]) == {"Which is it?"}


def test_what_fails_leaves_nothing_that_is_taken_for_whole(tmp_path: Path, cache: Path) -> None:
    rows = [{"image": base64.b64encode(png).decode(), "prompt": "?", "answer": "a"} for png in PNGS]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([*map(json.dumps, rows), "{torn"]))
    with pytest.raises(DatasetError, match=f"a.jsonl, line {ROWS + 1}: not JSON"):
        read(path)
    assert not arrow_files(cache)
    path.write_text("\n".join(map(json.dumps, rows)))
    assert images(path) == PNGS


def test_a_full_disk_is_explained(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = saved(tmp_path / "a.parquet", table())
    monkeypatch.setattr(arrow_cache, "_write", no_room)
    with pytest.raises(OutputError, match=r"a\.parquet is mapped .* \(No space left.*HF_DATASETS_CACHE"):
        read(path)
    assert not arrow_files(cache)


def test_rows_are_named_by_their_numbers_in_the_file(tmp_path: Path) -> None:
    turns = [[{"role": "user", "content": "?"}, {"role": "assistant", "content": "a"}] for _ in range(ROWS)]
    turns[33] = turns[33][:1]
    rows = [{"image": "x.png", "messages": turn} for turn in turns]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DatasetError, match=r"a\.jsonl, row 33: its messages are from user"):
        read(tmp_path / "a.jsonl")
    paths = [{"bytes": None, "path": "../x.png" if row == 31 else "x.png"} for row in range(ROWS)]
    with pytest.raises(DatasetError, match=r"b\.parquet, row 31: the image path"):
        read(saved(tmp_path / "b.parquet", table(paths)))


def test_a_table_with_base64_images_comes_in_pieces(tmp_path: Path, cache: Path) -> None:
    """Numbers that turn out to be words, late in the file, make a column of text."""
    numbers = ["seven" if row == 35 else str(row) for row in range(ROWS)]
    lines = [f"{base64.b64encode(png).decode()}\t?\ta\t{n}" for png, n in zip(PNGS, numbers, strict=True)]
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(["image\tquestion\tanswer\tnumber", *lines, ""]), encoding="utf-16")
    assert images(path) == PNGS
    assert read(path)["number"][:] == numbers


def test_rows_of_a_large_table_are_parted_without_copies(tmp_path: Path) -> None:
    splits = ["train" if row % 8 < 4 else "test" for row in range(ROWS)]
    path = saved(tmp_path / "a.parquet", table(split=splits))
    wanted = [png for png, split in zip(PNGS, splits, strict=True) if split == "test"]
    assert images(path) == wanted
