"""Hostile files, each class through each command that it can reach.

Each ends in exit code 2 and one line that names the culprit, or is left out with a counted, listed reason;
none in a traceback, a hang, or more than 1 GiB over what the process had before.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hostile
import small_model
from e2e.conftest import Done, Run
from e2e.test_bad_input import assert_refused

SECONDS, MEMORY = 30.0, 2**30
SMALL = ["--train", "8", "--validation", "0", "--test", "0", "--workers", "1"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="pipes, devices and /proc"),
    pytest.mark.timeout(900),
]


@pytest.fixture
def guarded(unblind: Run) -> Run:
    """Run a command here, within limits of time and memory."""

    def run(*arguments: object) -> Done:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
        before, began = memory("VmRSS"), time.process_time()
        done = unblind(*arguments)
        assert time.process_time() - began < SECONDS
        assert memory("VmHWM") - before < MEMORY
        return done

    return run


def memory(kind: str) -> int:
    """Bytes of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base."""
    return small_model.checkpoint(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(scope="module")
def asked(base: Path) -> dict[str, Callable[[object, Path], list[object]]]:
    """The commands that read a dataset: their arguments for a dataset and an output folder."""
    model = ["--model", base, "--device", "cpu", "--dtype", "float32"]
    steps = ["--max-steps", 1, "--batch-size", 3, "--accumulation", 1, "--rank", 2]
    return {
        "evaluate": lambda data, out: ["evaluate", "--data", data, "--out", out, *model, "--no-free"],
        "train": lambda data, out: ["train", "--data", data, "--out", out, *model, *steps],
    }


def test_images_to_predict(guarded: Run, base: Path, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name, path in hostile.each(hostile.image_files, tmp_path).items():
        with subtests.test(name):
            done = guarded("predict", path, "--model", base)
            if name in hostile.FINE:
                assert done.code == 0, done.err
            else:
                assert_refused(done, str(path))


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_images_in_a_dataset(
    guarded: Run, asked: dict, tmp_path: Path, subtests: pytest.Subtests, command: str
) -> None:
    for name, path in hostile.each(hostile.image_datasets, tmp_path).items():
        with subtests.test(name):
            done = guarded(*asked[command](path, tmp_path / path.stem))
            if name in hostile.FINE:
                assert done.code == 0, done.err
            else:
                assert_refused(done, str(path), "row b")
                assert not (tmp_path / path.stem / "metrics.json").exists()


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_parquet_files(
    guarded: Run, asked: dict, tmp_path: Path, subtests: pytest.Subtests, command: str
) -> None:
    for name, path in hostile.each(hostile.parquets, tmp_path).items():
        with subtests.test(name):
            done = guarded(*asked[command](path, tmp_path / path.stem))
            assert_refused(done, str(path))
            assert not (tmp_path / path.stem / "metrics.json").exists()


@pytest.mark.parametrize("command", ["score", "compare", "report"])
def test_predictions(guarded: Run, tmp_path: Path, subtests: pytest.Subtests, command: str) -> None:
    for name, path in hostile.each(hostile.predictions, tmp_path).items():
        with subtests.test(name):
            more = [path] if command == "compare" else []
            assert_refused(guarded(command, path, *more, "--out", tmp_path / "out"), str(path))
            assert not (tmp_path / "out").exists()


def test_fonts_to_draw_with(guarded: Run, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name, path in hostile.each(hostile.fonts, tmp_path).items():
        with subtests.test(name):
            done = guarded("generate", "--out", tmp_path / name, *SMALL, "--fonts", path)
            if name == "variable":  # its family may belong to another split
                assert done.code == 0 or "font families" in done.err
            else:
                assert_refused(done, str(path))
                assert not (tmp_path / name).exists()


def test_fonts_among_good_ones_are_left_out_and_counted(guarded: Run, tmp_path: Path) -> None:
    corpus = hostile.each(hostile.fonts, tmp_path)
    bad = {path.name for name, path in corpus.items() if name != "variable"}
    done = guarded("fonts", tmp_path / "fonts", "--left-out")
    assert done.code == 0 and f"{len(bad)} files left out" in done.out
    listed = dict(line.split(": ", 1) for line in done.out.splitlines() if ".ttf: " in line)
    assert set(listed) == bad and all(listed.values())
    done = guarded("generate", "--out", tmp_path / "out", *SMALL, "--fonts", "bundled", tmp_path / "fonts")
    assert done.code == 0
    count = int(done.out.split(" font files were left out")[0].split()[-1])
    assert count >= len(bad)


def test_words(guarded: Run, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name, path in hostile.each(hostile.word_files, tmp_path).items():
        with subtests.test(name):
            done = guarded("generate", "--out", tmp_path / "out", *SMALL, "--words", path)
            assert_refused(done, str(path))
            assert done.err.isprintable() or done.err.rstrip("\n").isprintable()
            assert not (tmp_path / "out").exists()


def test_a_word_of_10000_letters_does_not_fit(guarded: Run, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("\n".join(letter * 10_000 for letter in "abcdefgh"))
    long = ["--words", tmp_path / "words", "--max-length", 20_000]
    done = guarded("generate", "--out", tmp_path / "out", *SMALL, *long)
    assert_refused(done)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["train", "pretrain", "stream"])
def test_recipes(guarded: Run, tmp_path: Path, subtests: pytest.Subtests, command: str) -> None:
    for name, path in hostile.each(hostile.recipes, tmp_path).items():
        with subtests.test(name):
            line = {
                "train": ["train", "--recipe", path, "--data", tmp_path / "nothing"],
                "pretrain": ["pretrain", "--recipe", path],
                "stream": ["train", "--data", f"stream:{path}", "--max-steps", 1],
            }[command]
            if command == "stream" and (path.suffix != ".yaml" or name == "too large a seed"):
                continue  # a name alone is read as options, and `generate` takes such a seed
            done = guarded(*line, "--out", tmp_path / "out")
            assert_refused(done)
            assert str(path) in done.err or done.err.split()[1] in hostile.RECIPES[name]
            assert not (tmp_path / "out").exists()
    assert not (tmp_path / "recipes" / "ran").exists()


@pytest.mark.parametrize("command", ["predict", "evaluate", "export", "demo", "push"])
def test_adapters(
    guarded: Run,
    asked: dict,
    base: Path,
    tmp_path: Path,
    subtests: pytest.Subtests,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.setattr(
        "unblind.sharing.upload.get_token", lambda: None
    )  # whoever runs this: nothing is sent
    good, other = adapter(base, tmp_path / "good"), tmp_path / "other"
    wide = small_model.checkpoint(tmp_path / "wide", width=64)
    adapter(wide, other)
    data, image = tmp_path / "data.parquet", hostile.each(hostile.image_files, tmp_path)["one pixel"]
    hostile.write(data)
    model = ["--model", base]
    lines = {
        "predict": lambda path, _: ["predict", image, *model, "--adapter", path],
        "evaluate": lambda path, out: [*asked["evaluate"](data, out), "--adapter", path],
        "export": lambda path, out: ["export", *model, "--out", out, "--samples", 2, "--adapter", path],
        "demo": lambda path, _: ["demo", "--port", 0, *model, "--adapter", path],
        "push": lambda path, _: ["push", path, "me/adapter"],
    }
    if command not in ("demo", "push"):  # these would serve it, and send it
        done = guarded(*lines[command](good, tmp_path / "good one"))
        assert done.code == 0, done.err
    for name, path in hostile.each(hostile.adapters, tmp_path, good, other).items():
        with subtests.test(name):
            passed = command == "push" and name in hostile.FITS_ITS_WEIGHTS
            done = guarded(*lines[command](path, tmp_path / name))
            assert_refused(done, "no Hugging Face token" if passed else str(path))
            assert not list((tmp_path / name).glob("*.json")) or command == "evaluate"
    assert not (tmp_path / "adapters" / hostile.SECRET_FILE).exists()


def adapter(base: Path, folder: Path) -> Path:
    """An untrained adapter of a base."""
    from unblind.models.adapters import add_adapter
    from unblind.models.loading import load

    scopes = dict.fromkeys(("language", "projector", "vision"), "lora")
    add_adapter(load(str(base), device="cpu").model, scopes, rank=4).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("case", ["image", "font", "recipe"])
def test_the_real_command_line(case: str, tmp_path: Path) -> None:
    if case == "image":
        culprit = hostile.each(hostile.image_files, tmp_path)["decompression bomb"]
        line = ["predict", culprit]
    elif case == "font":
        culprit = hostile.each(hostile.fonts, tmp_path)["truncated"]
        line = ["generate", "--out", tmp_path / "out", *SMALL, "--fonts", culprit]
    else:
        culprit = hostile.each(hostile.recipes, tmp_path)["python tag"]
        line = ["train", "--data", tmp_path, "--out", tmp_path / "out", "--recipe", culprit]
    command = [str(Path(sys.executable).parent / "unblind"), *map(str, line)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert_refused(Done(done.returncode, done.stdout, done.stderr), str(culprit))
    assert not (tmp_path / "out").exists()
