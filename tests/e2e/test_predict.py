"""`unblind predict`: files, folders, patterns; text and JSON lines; one bad image among good ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import small_model
from e2e.conftest import Run
from e2e.test_bad_input import assert_refused


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model.checkpoint(tmp_path_factory.mktemp("base"))


@pytest.fixture
def folder(image: Path, tmp_path: Path) -> Path:
    """Three images and a text, some in a folder below."""
    (tmp_path / "scans" / "more").mkdir(parents=True)
    for name in ("a.png", "b.PNG", "more/c.png"):
        shutil.copy(image, tmp_path / "scans" / name)
    (tmp_path / "scans" / "notes.txt").write_text("none of it")
    return tmp_path / "scans"


def test_folders_and_patterns(unblind: Run, base: Path, folder: Path) -> None:
    done = unblind("predict", folder, "--model", base, "--json", "--batch-size", 2)
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["image"] for line in lines] == [str(folder / n) for n in ("a.png", "b.PNG", "more/c.png")]
    for line in lines:
        assert line["task"] == "circled-letter" and line["top5"][0] == [line["answer"], line["probability"]]
        assert isinstance(line["free"], str)
    done = unblind("predict", folder / "*.png", folder / "more", "--model", base)
    assert done.code == 0 and [line.partition(":")[0] for line in done.out.splitlines()] == [
        str(folder / "a.png"),
        str(folder / "more" / "c.png"),
    ]


def test_a_file_of_questions(unblind: Run, base: Path, folder: Path, tmp_path: Path) -> None:
    """One a line about every image; or rows that name their own, from the file's folder."""
    (tmp_path / "asked.txt").write_text("Which letter?\n\nWhat is it?\n")
    line = ("--model", base, "--json", "--batch-size", 2, "--questions")
    done = unblind("predict", folder / "a.png", folder / "more", *line, tmp_path / "asked.txt")
    assert done.code == 0, done.err
    told = [(Path(row["image"]).name, row["prompt"]) for row in map(json.loads, done.out.splitlines())]
    assert told == [
        (name, asked) for name in ("a.png", "c.png") for asked in ("Which letter?", "What is it?")
    ]
    rows = [{"image": "scans/a.png", "question": "Which?"}, {"image": "gone.png", "question": "What?"}]
    (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = unblind("predict", *line, tmp_path / "asked.jsonl")
    assert_refused(done, "gone.png")
    (row,) = map(json.loads, done.out.splitlines())
    assert (row["image"], row["prompt"]) == (str(folder / "a.png"), "Which?")


def test_a_file_of_questions_that_makes_no_sense(unblind: Run, image: Path, tmp_path: Path) -> None:
    for name, text, says in (
        ("a.csv", "image,prompt\na.png,What?\n", "names its own images"),
        ("b.csv", "image,text\na.png,What?\n", "has no column prompt or question"),
        ("c.csv", "prompt,n\n,1\n", "row 0: no prompt"),
        ("d.txt", "\n", "has no questions"),
    ):
        (tmp_path / name).write_text(text)
        assert_refused(unblind("predict", image, "--questions", tmp_path / name), says)
    assert_refused(unblind("predict", "--questions", tmp_path / "gone"), "no such file")
    (tmp_path / "e.txt").write_text("What?")
    assert_refused(unblind("predict", "--questions", tmp_path / "e.txt"), "no image named")


def test_one_bad_image_does_not_end_the_others(unblind: Run, base: Path, folder: Path) -> None:
    (folder / "b.PNG").write_bytes(b"no image")
    done = unblind("predict", folder / "absent.png", folder, folder / "*.jpg", "--model", base)
    assert_refused(done, "3 images have no answer", "absent.png", "b.PNG", "*.jpg")
    assert [line.partition(":")[0] for line in done.out.splitlines()] == [
        str(folder / "a.png"),
        str(folder / "more" / "c.png"),
    ]
    for reason in ("no image file", "nothing matches this pattern", "b.PNG: "):
        assert reason in done.err


def test_a_folder_without_images(unblind: Run, base: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(unblind("predict", tmp_path / "empty", "--model", base), "no image in this folder")


def test_an_unknown_task(unblind: Run, image: Path) -> None:
    assert_refused(unblind("predict", image, "--task", "circled-leter"), "did you mean circled-letter?")
