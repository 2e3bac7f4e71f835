"""Commands killed at random moments and started again: the result is that of an uninterrupted run.

Three kills a command; `make soak` sets UNBLIND_KILLS to 20. UNBLIND_SEED draws other moments.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

import small_model
from e2e.conftest import Run
from running import Running
from unblind.training.checkpoints import newest_checkpoint

KILLS = int(os.environ.get("UNBLIND_KILLS", "3"))
SEED = int(os.environ.get("UNBLIND_SEED", "0"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="no process groups and signals like these"),
    pytest.mark.timeout(600 + 120 * KILLS),
]

IMAGES = [
    "--train",
    "9000",
    "--validation",
    "300",
    "--test",
    "300",
    "--image-size",
    "64",
    "--words",
    "random",
]
STEPS = [
    "--max-steps",
    "60",
    "--eval-every",
    "3",
    "--batch-size",
    "4",
    "--accumulation",
    "1",
    "--dropout",
    "0.1",
    "--rank",
    "4",
]


def start(log: Path, *arguments: object) -> Running:
    """One command of the real command line; what it prints is added to the log."""
    with log.open("ab") as file:
        return Running("-m", "unblind", *arguments, stdout=file, stderr=file)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in the same order here as in the processes that are killed."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that takes milliseconds a step, and samples for it; for an evaluation, of several parts."""
    folder = tmp_path_factory.mktemp("small")
    small_model.checkpoint(folder / "base")
    for split, n in (("train", 64), ("validation", 8), ("test", 1_100)):
        (folder / "data").mkdir(exist_ok=True)
        small_model.samples(n).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def command(name: str, samples: Path, out: Path) -> list[object]:
    if name == "generate":
        return ["generate", "--out", out, *IMAGES, "--workers", 2]
    model = ["--model", samples / "base", "--data", samples / "data", "--device", "cpu", "--dtype", "float32"]
    if name == "train":
        return ["train", *model, "--out", out, *STEPS, "--resume"]
    return ["evaluate", *model, "--out", out, "--no-free"]


def result(name: str, out: Path) -> object:
    """What must be equal, however often a run was interrupted."""
    if name == "generate":
        files = sorted(path for path in out.rglob("*") if path.is_file())
        return {path.relative_to(out): path.read_bytes() for path in files}
    if name == "train":
        steps = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
        return (out / "adapter" / "adapter_model.safetensors").read_bytes(), steps
    metrics = json.loads((out / "metrics.json").read_text())
    return pq.read_table(out / "predictions.parquet").to_pydict(), metrics["accuracy"], metrics["n"]


@pytest.fixture(scope="module")
def whole(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], object]:
    """What an uninterrupted run leaves."""
    from unblind.cli import main

    known: dict[str, object] = {}

    def run(name: str) -> object:
        if name not in known:
            out = tmp_path_factory.mktemp("whole") / name
            with pytest.raises(SystemExit) as stopped:
                main([str(part) for part in command(name, samples, out)])
            assert stopped.value.code == 0
            known[name] = result(name, out)
        return known[name]

    return run


def files(out: Path) -> set[Path]:
    """What is there, half-written files included."""
    found: set[Path] = set()
    for folder, _, names in os.walk(out):  # unlike rglob, survives what vanishes meanwhile
        found.update(Path(folder, name) for name in names)
    return found


@pytest.mark.parametrize("name", ["generate", "train", "evaluate"])
def test_a_command_killed_again_and_again(
    name: str, samples: Path, whole: Callable[[str], object], tmp_path: Path
) -> None:
    expected = whole(name)
    out, log = tmp_path / "out", tmp_path / "log"
    moments = random.Random(f"{SEED} {name}")
    seconds, kills = 8.0, 0
    while kills < KILLS:
        before = files(out)
        began = time.monotonic()
        with start(log, *command(name, samples, out)) as running:
            if moments.random() < 0.7:  # in the midst of work, which is short beside the imports
                running.wait_for(lambda before=before: bool(files(out) - before - {out / ".unblind.lock"}))
                time.sleep(moments.uniform(0, 0.6))
            else:
                end = began + moments.uniform(0, seconds)
                running.wait_for(lambda end=end: time.monotonic() > end)
            code = running.signal_tree(signal.SIGKILL)
        if code == -signal.SIGKILL:
            kills += 1
            continue
        assert code == 0, log.read_text()
        seconds = time.monotonic() - began
        assert result(name, out) == expected
        shutil.rmtree(out)
    with start(log, *command(name, samples, out)) as running:
        assert running.wait(timeout=600) == 0, log.read_text()
    assert result(name, out) == expected
    assert not [path for path in files(out) if path.name.endswith(".tmp")]
    assert not (out / "parts").exists()
    assert "Traceback" not in log.read_text()


@pytest.fixture
def stopped(unblind: Run) -> Callable[..., None]:
    """Run a command here, with a SIGTERM once something happened."""

    def run(happened: Callable[[], bool], *arguments: object) -> str:
        def send() -> None:
            while not happened():
                time.sleep(0.002)
            os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        done = unblind(*arguments)
        thread.join()
        assert done.code == 143, done
        assert "Traceback" not in done.err
        return done.err.strip().splitlines()[-1]

    return run


def test_sigterm_in_training_saves_and_says_how_to_go_on(
    samples: Path, whole: Callable[[str], object], tmp_path: Path, unblind: Run, stopped: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    line = command("train", samples, out)
    said = stopped(lambda: (out / "checkpoints" / "checkpoint-6").exists(), *line)
    checkpoint = newest_checkpoint(out / "checkpoints")
    assert checkpoint is not None
    step = int(checkpoint.name.removeprefix("checkpoint-"))
    assert said.startswith(f"unblind: stopped by SIGTERM after step {step} of 60") and "--resume" in said
    assert not (out / "metrics.json").exists()
    shutil.move(out, tmp_path / "moved")  # a run may go on in another place
    line = command("train", samples, tmp_path / "moved")
    assert unblind(*line).code == 0
    assert result("train", tmp_path / "moved") == whole("train")


def test_sigterm_in_an_evaluation_keeps_the_answers_so_far(
    samples: Path, whole: Callable[[str], object], tmp_path: Path, unblind: Run, stopped: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    said = stopped(lambda: len(list(out.glob("parts/*/0*.parquet"))) > 1, *command("evaluate", samples, out))
    assert said.startswith("unblind: stopped by SIGTERM") and "same command" in said
    kept = {path: path.stat().st_mtime_ns for path in out.glob("parts/*/*")}
    assert len(kept) >= 2 and not (out / "metrics.json").exists()
    again = stopped(
        lambda: len(list(out.glob("parts/*/0*.parquet"))) > len(kept), *command("evaluate", samples, out)
    )
    assert again and {path: path.stat().st_mtime_ns for path in kept} == kept  # not asked twice
    assert unblind(*command("evaluate", samples, out)).code == 0
    assert result("evaluate", out) == whole("evaluate")


def test_sigterm_while_drawing_reaches_all_processes(
    samples: Path, whole: Callable[[str], object], tmp_path: Path, unblind: Run
) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    with start(log, *command("generate", samples, out)) as running:
        running.wait_for(lambda: any((out / "data").glob("*.parquet")))
        assert running.signal_tree(signal.SIGTERM) == 143, log.read_text()
    assert log.read_text().strip().splitlines()[-1].startswith("unblind: stopped by SIGTERM")
    assert not [path for path in files(out) if path.name.endswith(".tmp")]
    assert unblind(*command("generate", samples, out)).code == 0
    assert result("generate", out) == whole("generate")
