"""Datasets of others through the command line: relative paths, their columns, outputs inside them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from e2e.conftest import Run


@pytest.fixture
def roboflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of annotations, named from its parent."""
    folder = tmp_path / "letters"
    folder.mkdir()
    for split in ("train", "test"):
        rows = [{"photo": f"{split}_{n}.png", "prefix": "Which?", "suffix": "a\n"} for n in range(2)]
        for row in rows:
            Image.new("RGB", (32, 32), "white").save(folder / row["photo"])
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"_annotations.{split}.jsonl").write_text(text)
    monkeypatch.chdir(tmp_path)
    return "letters"


def test_others_annotations_are_evaluated(unblind: Run, roboflow: str, tmp_path: Path) -> None:
    command = ["evaluate", "--data", roboflow, "--no-blank", "--device", "cpu", "--out", tmp_path / "out"]
    done = unblind(*command)
    assert done.code == 2
    assert "lacks image" in done.err
    assert "--columns" in done.err
    done = unblind(*command, "--columns", "image=photo")
    assert done.code == 0, done.err
    rows = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    assert [(row["id"], row["answer"]) for row in rows] == [("test_0", "a"), ("test_1", "a")]


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize("out", ["letters/out", "letters", "./letters/../letters/a/b"])
def test_an_output_inside_the_data_is_refused(unblind: Run, roboflow: str, command: str, out: str) -> None:
    before = sorted(Path(roboflow).rglob("*"))
    done = unblind(command, "--data", roboflow, "--out", out, "--columns", "image=photo")
    assert done.code == 2
    assert "lies in the data's folder letters; name a folder outside of it (--out)" in done.err
    assert sorted(Path(roboflow).rglob("*")) == before
