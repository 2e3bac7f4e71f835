"""Building dataset folders: the same bytes, whole shards, resumable, loadable by `datasets` alone."""

import csv
import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest

from unblind.data import generation
from unblind.data.dataset_card import dataset_card
from unblind.data.dataset_options import DatasetOptions, GenerateOptions
from unblind.data.generation import generate
from unblind.data.mixture import mixture_of
from unblind.data.reading import read
from unblind.errors import DatasetError, FontsError, OutputError, RecipeError, WordsError
from unblind.tasks.circled_letter.scene import SceneOptions
from unblind.tasks.circled_letter.task import TASK
from unblind.tasks.fonts import find_fonts, split_of_family
from unblind.tasks.redraw import redraw
from unblind.tasks.words import split_of

OPTIONS = GenerateOptions(train=25, validation=7, test=6, words="random", scene=SceneOptions(image_size=64))
WHOLE = GenerateOptions(train=1_000, validation=0, test=0, words="random", scene=SceneOptions(image_size=128))
COMMAND = """
import sys
from pathlib import Path
from unblind.data import generation
from unblind.data.dataset_options import GenerateOptions
from unblind.tasks.circled_letter.scene import SceneOptions
generation.SHARD_ROWS = 100
if __name__ == "__main__":
    scene = SceneOptions(image_size=128)
    options = GenerateOptions(
        train=1_000, validation=0, test=0, words="random", layout=sys.argv[2], scene=scene
    )
    generation.generate(Path(sys.argv[1]), options, workers=2)
"""


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(generation, "SHARD_ROWS", 10)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def times(folder: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.suffix in (".parquet", ".png")}


def test_the_folder(tmp_path: Path):
    generate(tmp_path, OPTIONS, workers=1)
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == [
        "test-00000-of-00001.parquet",
        "train-00000-of-00003.parquet",
        "train-00001-of-00003.parquet",
        "train-00002-of-00003.parquet",
        "validation-00000-of-00001.parquet",
    ]
    assert {p.name for p in tmp_path.iterdir()} == {"README.md", "settings.json", "data", ".unblind.lock"}


@pytest.mark.parametrize("layout", ["parquet", "imagefolder"])
def test_the_same_bytes_for_any_number_of_workers(tmp_path: Path, layout: str):
    options = replace(OPTIONS, layout=layout)
    generate(tmp_path / "one", options, workers=1)
    generate(tmp_path / "two", options, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    generate(tmp_path / "other", replace(options, seed=1), workers=1)
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


@pytest.mark.parametrize(
    ("layout", "stopped_at"),
    [("parquet", "write_text"), ("imagefolder", "write_text"), ("imagefolder", "join_metadata")],
)
def test_a_run_that_ended_between_the_last_shard_and_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, stopped_at: str
):
    options = replace(OPTIONS, layout=layout)
    generate(tmp_path / "whole", options, workers=1)
    real = getattr(generation, stopped_at)

    def stop_at_the_end(*args: object) -> None:
        if any((tmp_path / "d").rglob("*test*/*" if layout == "imagefolder" else "test-*")):
            raise KeyboardInterrupt
        real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(generation, stopped_at, stop_at_the_end)
        with pytest.raises(KeyboardInterrupt):
            generate(tmp_path / "d", options, workers=1)
    generate(tmp_path / "d", options, workers=1)
    assert contents(tmp_path / "d") == contents(tmp_path / "whole")


def test_more_images_begin_with_the_same_ones(tmp_path: Path):
    generate(tmp_path / "few", OPTIONS, workers=1)
    generate(tmp_path / "more", replace(OPTIONS, train=40), workers=1)
    few, more = read(tmp_path / "few", "train"), read(tmp_path / "more", "train")
    assert few["scene"][:] == more["scene"][:25]


def test_datasets_alone_loads_it(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    generate(tmp_path / "d", OPTIONS, workers=1)
    loaded = datasets.load_dataset(str(tmp_path / "d"), cache_dir=str(tmp_path / "cache"))
    assert not caplog.records, "such as: the card is malformed"
    assert {split: len(part) for split, part in loaded.items()} == {"train": 25, "validation": 7, "test": 6}
    columns = "id task image prompt answer word letter index font ambiguous padding line_width overlap scene"
    assert list(loaded["train"].features) == columns.split()
    row = loaded["test"][0]
    assert row["image"].size == (64, 64)
    assert row["answer"] == row["letter"] == row["word"][row["index"]]
    assert row["prompt"] == "Which letter is being circled?"
    assert row["task"] == "circled-letter"
    assert not row["ambiguous"]
    assert 15 <= row["padding"] <= 200 and 3 <= row["line_width"] <= 7 and 0 <= row["overlap"] <= 1


def test_datasets_refuses_an_incomplete_folder(tmp_path: Path):
    generate(tmp_path / "d", OPTIONS, workers=1)
    (tmp_path / "d" / "data" / "train-00002-of-00003.parquet").unlink()
    with pytest.raises(datasets.exceptions.DatasetsError, match="num_examples=25"):
        datasets.load_dataset(str(tmp_path / "d"), cache_dir=str(tmp_path / "cache"))
    with pytest.raises(DatasetError, match="2 of the 3 files of split train"):
        read(tmp_path / "d", "train")


def load_images(how: dict[str, str], cache: Path) -> datasets.DatasetDict:
    """load_dataset, which leaves its metadata files open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loaded = datasets.load_dataset(**how, cache_dir=str(cache))
        gc.collect()
    return loaded


def test_imagefolder_loads_with_datasets(tmp_path: Path):
    generate(tmp_path / "d", replace(OPTIONS, layout="imagefolder"), workers=1)
    with (tmp_path / "d" / "train" / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file_name", "word", "circled_letter", "circled_index", "image_path"]
    assert len(rows) == 25
    for row in rows:
        assert (tmp_path / "d" / row["image_path"]).samefile(tmp_path / "d" / "train" / row["file_name"])
        assert row["word"][int(row["circled_index"])] == row["circled_letter"]
    for how in ({"path": str(tmp_path / "d")}, {"path": "imagefolder", "data_dir": str(tmp_path / "d")}):
        loaded = load_images(how, tmp_path / "cache")
        assert {split: len(part) for split, part in loaded.items()} == {
            "train": 25,
            "validation": 7,
            "test": 6,
        }
        assert loaded["train"][24]["image"].size == (64, 64)
        assert loaded["train"]["word"][:] == [row["word"] for row in rows]


def test_both_layouts_hold_the_same_images(tmp_path: Path):
    generate(tmp_path / "p", OPTIONS, workers=1)
    generate(tmp_path / "i", replace(OPTIONS, layout="imagefolder"), workers=1)
    for one, other in zip(read(tmp_path / "p", "train"), read(tmp_path / "i", "train"), strict=True):
        assert (np.asarray(one["image"]) == np.asarray(other["image"])).all()
        names = ("id", "prompt", "answer", "word", "index")
        assert [one[name] for name in names] == [other[name] for name in names]


def test_redraw_gives_the_same_pixels(tmp_path: Path):
    colors = SceneOptions(image_size=96, text_color="random", background="random", case="random")
    generate(tmp_path, replace(OPTIONS, scene=colors), workers=1)
    for split in ("train", "validation", "test"):
        for row in read(tmp_path, split):
            assert (redraw(row) == np.asarray(row["image"])).all()
    with pytest.raises(FontsError, match="SHA-256"):
        redraw(row, find_fonts(str(find_fonts().of_split("train")[0].path)))


def test_words_and_families_are_held_out(tmp_path: Path):
    generate(tmp_path, OPTIONS, workers=1)
    for split in ("train", "validation", "test"):
        for row in read(tmp_path, split):
            assert split_of(row["word"]) == split
            assert split_of_family(row["font"]) == split


@pytest.mark.parametrize("layout", ["parquet", "imagefolder"])
def test_a_missing_shard_is_drawn_again_and_no_other(tmp_path: Path, layout: str):
    options = replace(OPTIONS, layout=layout)
    generate(tmp_path, options, workers=1)
    before, made = contents(tmp_path), times(tmp_path)
    gone = tmp_path / ("data/train-00001-of-00003.parquet" if layout == "parquet" else "train/00001")
    if gone.is_dir():
        for file in gone.iterdir():
            file.unlink()
        gone.rmdir()
    else:
        gone.unlink()
    (tmp_path / "train").mkdir(exist_ok=True)
    (tmp_path / "train" / ".00001.0123456789ab.tmp").mkdir()
    generate(tmp_path, options, workers=2)
    assert contents(tmp_path) == before
    changed = {path for path, when in times(tmp_path).items() if made[path] != when}
    assert changed
    assert all(path == gone or path.parent == gone for path in changed)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("layout", ["parquet", "imagefolder"])
def test_a_killed_run_is_completed(tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch):
    script = tmp_path / "command.py"
    script.write_text(COMMAND)
    arguments = [sys.executable, str(script), str(tmp_path / "killed"), layout]
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    while not (made := times(tmp_path / "killed")):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = {path: when for path, when in made.items() if not path.parent.name.startswith(".")}
    if layout == "imagefolder":
        with pytest.raises(DatasetError, match="incomplete"):
            read(tmp_path / "killed", "train")
    subprocess.run(arguments, check=True, capture_output=True)
    now = times(tmp_path / "killed")
    assert all(now[path] == when for path, when in finished.items())
    monkeypatch.setattr(generation, "SHARD_ROWS", 100)
    generate(tmp_path / "whole", replace(WHOLE, layout=layout), workers=1)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_processes_end_with_a_killed_parent(tmp_path: Path):
    script = tmp_path / "command.py"
    script.write_text(COMMAND)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "d"), "parquet"], stderr=subprocess.PIPE, text=True
    )
    while not times(tmp_path / "d"):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    # the workers hold the other end of the pipe, which closes with the last of them
    assert process.stderr is not None
    process.communicate(timeout=30)


def test_a_second_process_is_refused(tmp_path: Path):
    script = tmp_path / "command.py"
    script.write_text(COMMAND)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "d"), "parquet"], stderr=subprocess.DEVNULL
    )
    while not (tmp_path / "d" / "README.md").exists():
        time.sleep(0.01)
    with pytest.raises(OutputError, match=f"in use by process {process.pid}"):
        generate(tmp_path / "d", WHOLE, workers=1)
    process.kill()
    process.wait()


def test_other_settings_are_refused(tmp_path: Path):
    generate(tmp_path, OPTIONS, workers=1)
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=r"seed was 0, now 5, scene.image_size was 64, now 80"):
        generate(tmp_path, replace(OPTIONS, seed=5, scene=SceneOptions(image_size=80)))
    assert contents(tmp_path) == before


def test_another_word_list_under_the_same_name_is_noticed(tmp_path: Path):
    words = tmp_path / "words.txt"
    lists = [[f"word{a}{b}" for a in "abcdefghij" for b in letters] for letters in ("abc", "abd")]
    options = replace(OPTIONS, words=str(words), min_length=1)
    words.write_text("\n".join(lists[0]))
    generate(tmp_path / "d", options, workers=1)
    words.write_text("\n".join(lists[1]))
    with pytest.raises(OutputError, match="words_sha256 was"):
        generate(tmp_path / "d", options, workers=1)


def test_what_cannot_be_drawn_is_refused_before_anything_is_written(tmp_path: Path):
    (tmp_path / "one.txt").write_text("lonely\n")
    for options, error in (
        (replace(OPTIONS, words=str(tmp_path / "one.txt")), WordsError),
        (replace(OPTIONS, words=str(tmp_path / "none.txt")), WordsError),
        (replace(OPTIONS, fonts=(str(tmp_path / "none"),)), FontsError),
    ):
        with pytest.raises(error):
            generate(tmp_path / "d", options, workers=1)
        assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": -1}, "--train -1"),
        ({"train": 0, "validation": 0, "test": 0}, "all 0"),
        ({"seed": -1}, "--seed -1"),
        ({"layout": "zip"}, "--layout zip: need one of parquet, imagefolder"),
        ({"preset": "book"}, "--preset book: need one of notebook"),
        ({"preset": "notebook"}, "leave them out"),
        ({"prompt": " "}, "--prompt is empty"),
    ],
)
def test_options_that_make_no_dataset(changes: dict[str, object], message: str):
    with pytest.raises(RecipeError, match=message):
        replace(OPTIONS, **changes)


def test_a_split_of_no_images_is_left_out(tmp_path: Path):
    generate(tmp_path / "d", replace(OPTIONS, train=0, validation=0), workers=1)
    loaded = datasets.load_dataset(str(tmp_path / "d"), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["test"]


@pytest.mark.parametrize("prompt", ["word", "{word}"])
def test_the_prompt_that_leaks_the_word(tmp_path: Path, prompt: str):
    generate(tmp_path, replace(OPTIONS, prompt=prompt), workers=1)
    dataset = read(tmp_path)
    assert dataset["prompt"][:] == dataset["word"][:]
    assert "no score of sight" in (tmp_path / "README.md").read_text()


def test_the_card_of_several_tasks(tmp_path: Path):
    """A column that is not the same for all is told of each; stations are part of their question, no leak."""
    tasks = ("nested-squares", "subway")
    options = DatasetOptions(train=0, validation=0, test=4, task=tasks)
    generate(tmp_path / "d", options, workers=1)
    card = (tmp_path / "d" / "README.md").read_text()
    widths = "in 1/720 of the image (nested-squares); line width, in 1/1296 of the image (subway)"
    assert f"- `thickness`: line width, {widths}\n" in card
    assert "- `resolution`: image width, px\n" in card and "- `start`: the station" in card
    assert "no score of sight" not in card and "a new sample" not in card
    mixture = mixture_of(replace(options, task=("nested-squares",), preset="blindtest"))
    assert "\n\nNested squares: a new sample by the benchmark's rules.\n\n| split" in dataset_card(
        mixture, {"test": 1}, {}
    )


def test_the_notebooks_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(generation, "SHARD_ROWS", 150)
    options = GenerateOptions(train=0, validation=0, test=400, preset="notebook")
    generate(tmp_path, options, workers=2)
    rows = read(tmp_path)
    scenes = [TASK.from_json(text) for text in rows["scene"]]
    assert len(rows) == 400
    by_word: dict[tuple[str, str], set[tuple[int, float, float]]] = {}
    for scene in scenes:
        assert scene.image_size == 512
        cell = (scene.index, scene.padding, scene.line_width)
        by_word.setdefault((scene.word, scene.font.digest), set()).add(cell)
    assert sum(len(cells) for cells in by_word.values()) == 400, "no cell twice"
    for word, _ in list(by_word)[:-1]:
        full = {
            (i, p, w) for i in range(len(word)) for p in (25.0, 50.0, 100.0, 200.0) for w in (4.0, 5.0, 6.0)
        }
        assert by_word[word, _] == full
    assert rows["ambiguous"][:] == [scene.ambiguous for scene in scenes]


def test_progress_in_plain_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    generate(tmp_path, OPTIONS, workers=1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1] == "Drawing: 38 of 38"
    assert "\r" not in captured.err
