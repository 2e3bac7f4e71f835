"""A full disk, and two processes in one folder: a clear line, and what was complete stays."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from filelock import FileLock

import small_model
from e2e.conftest import Run
from e2e.test_bad_input import assert_refused
from unblind.runtime.outputs import LOCK
from unblind.training.checkpoints import newest_checkpoint

pytestmark = pytest.mark.slow

Disk = Callable[[int], Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mount a small disk of so many KiB. Needs root, and Linux."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(kibibytes: int) -> Path:
        line = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(place)]
        if shutil.which("mount") is None or subprocess.run(line, capture_output=True).returncode:
            pytest.skip("this machine lets us mount no small disk (it needs root, on Linux)")
        return place

    yield mount
    while subprocess.run(["umount", "--lazy", str(place)], capture_output=True).returncode == 0:
        pass  # a disk may lie over another, and files may still be mapped


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base and samples for it."""
    folder = tmp_path_factory.mktemp("small")
    small_model.checkpoint(folder / "base")
    (folder / "data").mkdir()
    for split, n in (("train", 16), ("validation", 8), ("test", 700)):
        small_model.samples(n).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def asked(small: Path, command: str, out: Path) -> list[object]:
    line = [command, "--model", small / "base", "--data", small / "data", "--device", "cpu", "--out", out]
    if command == "evaluate":
        return [*line, "--no-free"]
    steps = ["--max-steps", 8, "--batch-size", 2, "--accumulation", 1, "--eval-every", 2]
    return [*line, *steps, "--dtype", "float32", "--resume"]


def half_written(out: Path) -> list[Path]:
    return [path for path in out.rglob("*") if path.name.endswith(".tmp")]


def fill(disk: Path, leave: int) -> Path:
    """Take all the room but so many bytes."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        file.write(bytes(max(0, shutil.disk_usage(disk).free - leave)))
    return ballast


def size_of(folder: Path) -> int:
    """Bytes on a disk that has them in pages of 4 KiB."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())


def test_generate_keeps_the_shards_that_fit(unblind: Run, disk: Disk, tmp_path: Path) -> None:
    line = ["generate", "--validation", "0", "--test", "0", "--image-size", "96", "--workers", "1"]
    assert unblind(*line, "--out", tmp_path / "one", "--train", 2_000).code == 0
    out = disk(size_of(tmp_path / "one") * 5 // 2 // 1024) / "out"
    done = unblind(*line, "--out", out, "--train", 6_000)
    assert_refused(done, "No space left", "--out")
    shards = list((out / "data").glob("*.parquet"))
    assert shards and all(pq.read_table(shard).num_rows == 2_000 for shard in shards)
    assert not half_written(out)
    assert_refused(unblind("train", "--data", out, "--out", out.parent / "run"), "of the 3 files")


def test_train_keeps_the_checkpoints_that_fit(unblind: Run, disk: Disk, small: Path, tmp_path: Path) -> None:
    assert unblind(*asked(small, "train", tmp_path / "whole")).code == 0
    checkpoints = list((tmp_path / "whole" / "checkpoints").iterdir())
    place = disk(20_000)
    ballast = fill(place, int(1.6 * size_of(checkpoints[0])) + 2**16)
    line = asked(small, "train", place / "out")
    done = unblind(*line)
    assert_refused(done, str(place / "out"), "no space left", "--resume")
    assert not (place / "out" / "metrics.json").exists()
    assert newest_checkpoint(place / "out" / "checkpoints") == place / "out" / "checkpoints" / "checkpoint-2"
    ballast.unlink()
    done = unblind(*line)
    assert done.code == 0, done.err
    name = "adapter/adapter_model.safetensors"
    assert (place / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_evaluate_keeps_the_answers_that_fit(unblind: Run, disk: Disk, small: Path) -> None:
    place = disk(1_000)
    line = asked(small, "evaluate", place / "out")
    ballast = fill(place, 40_000)
    done = unblind(*line)
    assert_refused(done, str(place / "out"), "No space left")
    assert not half_written(place) and not (place / "out" / "metrics.json").exists()
    kept = len(list((place / "out").glob("parts/*/*")))
    assert kept > 0
    ballast.unlink()
    assert unblind(*line).code == 0
    assert pq.read_table(place / "out" / "predictions.parquet")["id"].to_pylist() == [
        f"s{i}" for i in range(700)
    ]


def test_report_leaves_the_old_page(unblind: Run, disk: Disk, small: Path, tmp_path: Path) -> None:
    assert unblind(*asked(small, "evaluate", tmp_path / "after")).code == 0
    place = disk(1_000)
    (place / "report.html").write_text("the old page")
    fill(place, 20_000)
    done = unblind("report", tmp_path / "after", "--out", place / "report.html")
    assert_refused(done, "report.html", "No space left")
    assert (place / "report.html").read_text() == "the old page" and not half_written(place)


@pytest.mark.parametrize("command", ["generate", "train", "evaluate", "quickstart"])
def test_the_second_process_in_a_folder_is_refused(
    unblind: Run, small: Path, tmp_path: Path, command: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    line = [command, "--out", out] if command in ("generate", "quickstart") else asked(small, command, out)
    with FileLock(out / LOCK):
        assert_refused(unblind(*line), str(out), "in use by")
        assert [path.name for path in out.iterdir()] == [LOCK]
