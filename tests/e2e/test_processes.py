"""Several processes on one task, started by torchrun and accelerate launch, on a CPU over gloo."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

import small_model
from running import ROOT, Running
from unblind.data.reading import read
from unblind.evaluation.run import evaluate
from unblind.models.loading import load
from unblind.recipe import TrainOptions
from unblind.training.checkpoints import newest_checkpoint
from unblind.training.run import train

PATIENCE = 250  # seconds

pytestmark = pytest.mark.slow
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
PLAIN = {"device": "cpu", "dtype": "float32"}
TRAINING = PLAIN | {"max_steps": 6, "accumulation": 1, "eval_every": 3, "log_every": 1, "warmup_steps": 0}
TRAINING |= {"learning_rate": 1e-2, "rank": 4}


def accelerate(recipe: str) -> list[str]:
    config = ROOT / "recipes" / "accelerate" / f"{recipe}.yaml"
    words = "accelerate.commands.launch --num_processes 2 --main_process_port 0 --config_file"
    return [*words.split(), str(config)]


def launch(
    *arguments: object, kill_when: Callable[[], bool] | None = None, **options: object
) -> subprocess.CompletedProcess[str]:
    """Start two processes, and kill them and their launcher when something happened; options become flags."""
    flags = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    with Running("-m", *arguments, *flags, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        if kill_when:
            running.wait_for(kill_when)
            running.signal_tree(signal.SIGKILL)
        out, err = running.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(running.args, running.returncode, out, err)


def rows(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def files(run: Path) -> set[str]:
    """What lies in a run's folder, but for the one random state a process."""
    found = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    return {name for name in found if "rng_state" not in name}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model.checkpoint(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for seed, (split, n) in enumerate((("train", 64), ("validation", 11), ("test", 10))):
        small_model.samples(n, seed=seed).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.fixture(scope="module")
def one(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process."""
    out = tmp_path_factory.mktemp("runs") / "one"
    train(TrainOptions(model=str(base), data=str(data), out=out, batch_size=8, **TRAINING))
    return out


def same_run(one: Path, other: Path) -> None:
    """Both saw the same batches and learnt the same."""
    for a, b in zip(rows(one), rows(other), strict=True):
        for key in a.keys() & {"loss", "eval_loss"}:
            assert a[key] == pytest.approx(b[key], abs=1e-4)
        for key in a.keys() & {"step", "samples", "eval_accuracy", "eval_exact"}:
            assert a[key] == pytest.approx(b[key], abs=1e-6)
    kept, found = (load_file(run / "adapter" / "adapter_model.safetensors") for run in (one, other))
    assert kept.keys() == found.keys()
    assert all(kept[name].allclose(found[name], atol=1e-3) for name in kept)


@pytest.fixture(scope="module")
def two(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The same run by two processes of torchrun: folder, stdout, stderr."""
    out = tmp_path_factory.mktemp("runs") / "two"
    done = launch(
        *TORCHRUN, "-m", "unblind", "train", model=base, data=data, out=out, batch_size=4, **TRAINING
    )
    assert done.returncode == 0, done.stderr
    return out, done.stdout, done.stderr


def test_two_processes_train_as_one(one: Path, two: tuple[Path, str, str]) -> None:
    out, said, shown = two
    same_run(one, out)
    assert json.loads((out / "metrics.json").read_text())["samples"] == 48
    assert files(out) == files(one)
    assert said.count("samples in") == said.count("Next:") == 1
    assert [shown.count(f"train: step {step} of 6 (") for step in range(1, 7)] == [1, 1, 2, 1, 1, 2]


def test_two_processes_killed_go_on(
    base: Path, data: Path, two: tuple[Path, str, str], tmp_path: Path
) -> None:
    whole, out = two[0], tmp_path / "run"
    command = [*TORCHRUN, "-m", "unblind", "train", "--resume"]
    told = {"model": base, "data": data, "out": out, "batch_size": 4} | TRAINING
    killed = launch(*command, kill_when=lambda: newest_checkpoint(out / "checkpoints") is not None, **told)
    assert killed.returncode == -signal.SIGKILL and not (out / "metrics.json").exists()
    done = launch(*command, **told)
    assert done.returncode == 0, done.stderr
    assert [row["step"] for row in rows(out)] == [row["step"] for row in rows(whole)]
    weights = Path("adapter") / "adapter_model.safetensors"
    assert (out / weights).read_bytes() == (whole / weights).read_bytes()


def test_two_processes_evaluate_as_one(
    base: Path, data: Path, two: tuple[Path, str, str], tmp_path: Path
) -> None:
    launcher = [*accelerate("ddp"), "-m", "unblind", "evaluate"]
    done = launch(*launcher, model=base, data=data, adapter=two[0], out=tmp_path / "e", batch_size=4, **PLAIN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Without sight") == done.stdout.count("predictions.parquet") == 1
    found = pq.read_table(tmp_path / "e" / "predictions.parquet").to_pylist()
    loaded = load(str(base), adapter=two[0], **PLAIN)
    wanted = evaluate(loaded, read(str(data), "test"), batch_size=4).to_pylist()
    assert [row["id"] for row in found] == [f"s{i}" for i in range(10)]
    for a, b in zip(found, wanted, strict=True):
        assert (a["free"], a["restricted"], a["answer"]) == (b["free"], b["restricted"], b["answer"])
        assert a["probability"] == pytest.approx(b["probability"], abs=1e-6)
    assert json.loads((tmp_path / "e" / "metrics.json").read_text())["n"] == 10


def test_fsdp2_trains_as_one_process(base: Path, data: Path, one: Path, tmp_path: Path) -> None:
    launcher = [*accelerate("fsdp2"), ROOT / "tests" / "fsdp_on_cpu.py", "train"]
    done = launch(*launcher, model=base, data=data, out=tmp_path / "run", batch_size=4, **TRAINING)
    assert done.returncode == 0, done.stderr
    same_run(one, tmp_path / "run")


def test_an_error_of_one_process_ends_all_with_its_message(base: Path, data: Path, tmp_path: Path) -> None:
    broken = pq.read_table(data / "test-00000-of-00001.parquet").to_pylist()
    broken[6]["image"]["bytes"] = b"no image"  # the second batch is the second process's
    datasets.Dataset.from_list(broken).to_parquet(tmp_path / "test.parquet")
    command = [*TORCHRUN, "-m", "unblind", "evaluate"]
    told = {"model": base, "data": tmp_path / "test.parquet", "out": tmp_path / "e", "batch_size": 4}
    done = launch(*command, **told, **PLAIN)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("unblind: ")]
    assert len(said) == 1 and "row s6" in said[0]
    assert str(ROOT / "src") not in done.stderr, "a traceback of ours"
    assert not (tmp_path / "e" / "predictions.parquet").exists()


def test_an_error_of_all_processes_is_said_once(tmp_path: Path) -> None:
    done = launch(*TORCHRUN, "-m", "unblind", "train", data="d", out=tmp_path / "run", max_steps=0)
    assert done.returncode != 0
    assert done.stderr.count("unblind: max_steps is 0") == done.stderr.count("unblind: ") == 1
