"""Ctrl-C: one ends any command within two seconds, two do not hang; one sentence, and no process is left."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import small_model
from running import Running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="no signals like these"),
    pytest.mark.parametrize("times", [1, 2]),
]

SECONDS = 2.0
# Runs the command line, and leaves a file where the import of a module begins.
IMPORTING = """
import sys
from pathlib import Path
module, mark = sys.argv.pop(1), sys.argv.pop(1)
class Watch:
    def find_spec(self, name, *_):
        if name == module:
            Path(mark).touch()
sys.meta_path.insert(0, Watch())
from unblind.__main__ import main
main()
"""


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Have new processes hear of SIGINT, even where these tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that takes milliseconds a step, and many samples for it."""
    folder = tmp_path_factory.mktemp("small")
    small_model.checkpoint(folder / "base")
    (folder / "data").mkdir()
    for split, n in (("train", 64), ("validation", 4), ("test", 5_000)):
        small_model.samples(n).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def interrupt(times: int, happened: Callable[[Running], bool], log: Path, *arguments: object) -> None:
    """Press Ctrl-C once something happened; the command has to end as it should."""
    with log.open("w") as file, Running(*arguments, stdout=file, stderr=file) as running:
        running.wait_for(lambda: happened(running))
        assert running.poll() is None, log.read_text()
        processes = running.tree()
        began = time.monotonic()
        for _ in range(times):
            for process in running.tree():
                process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        code = running.wait(timeout=60)
        seconds = time.monotonic() - began
        gone, left = psutil.wait_procs(processes[1:], timeout=5)
    text = log.read_text()
    assert code == 130 and seconds < SECONDS, (code, seconds, text)
    assert not left, (gone, left)
    assert "Traceback" not in text
    said = [line for line in text.splitlines() if line.startswith("unblind: ")]
    assert len(said) == 1 and said[0].startswith("unblind: stopped by Ctrl-C"), text


def children(running: Running) -> int:
    return len(running.tree()) - 1


@pytest.mark.parametrize("shards", [False, True], ids=["while its processes start", "while they draw"])
def test_generate(times: int, shards: bool, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ["-m", "unblind", "generate", "--out", out, "--train", 1_000_000, "--workers", 2]

    def happened(running: Running) -> bool:
        return any((out / "data").glob("*.parquet")) if shards else children(running) >= 2

    interrupt(times, happened, tmp_path / "log", *line)
    assert not list(out.rglob("*.tmp"))


@pytest.mark.parametrize("workers", [0, 2])
def test_train(times: int, workers: int, samples: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ["-m", "unblind", "train", "--model", samples / "base", "--data", samples / "data", "--out", out]
    line += ["--max-steps", 100_000, "--eval-every", 2, "--batch-size", 2, "--workers", workers]

    def happened(running: Running) -> bool:
        return any(out.glob("checkpoints/*")) and children(running) >= workers

    interrupt(times, happened, tmp_path / "log", *line, "--device", "cpu", "--dtype", "float32")


def test_evaluate(times: int, samples: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ["-m", "unblind", "evaluate", "--model", samples / "base", "--data", samples / "data"]
    line += ["--out", out, "--device", "cpu", "--dtype", "float32"]
    interrupt(times, lambda _: any(out.glob("parts/*/*")), tmp_path / "log", *line)


@pytest.mark.parametrize("module", ["cyclopts", "torch", "torch.nn", "transformers.modeling_utils"])
def test_imports(times: int, module: str, samples: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    line = ["evaluate", "--model", samples / "base", "--data", samples / "data", "--out", tmp_path / "out"]
    interrupt(times, lambda _: mark.exists(), tmp_path / "log", "-c", IMPORTING, module, mark, *line)
