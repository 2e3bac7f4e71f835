"""The quickstart of the real model: its published files behind a stand-in for the hub, 64 wide."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

import published_checkpoint
import stand_in_hub
from published_checkpoint import NAME
from running import ROOT, Running
from stand_in_hub import TOKEN, Hub, Repo

SIZES = ["--train", "32", "--validation", "2", "--test", "4"]
PROMPTS = ["circled", "highlighted", "circled-braces", "highlighted-braces", "answer en circled"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = published_checkpoint.save(tmp_path_factory.mktemp("published") / "checkpoint")
    with stand_in_hub.serve() as serving:
        serving.repos[f"models/{NAME}"] = Repo(
            files={path.name: path.read_bytes() for path in folder.iterdir()}
        )
        yield serving


def environment(hub: Hub, home: Path, token: str = TOKEN) -> dict[str, str]:
    told = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "HF_TOKEN": token, "HF_HUB_OFFLINE": "0"}
    return os.environ | told | {"PYTHONPATH": str(ROOT / "src"), "HF_HUB_DISABLE_TELEMETRY": "1"}


def command(out: Path) -> list[str]:
    return ["-m", "unblind", "quickstart", "--model", NAME, "--out", str(out), *SIZES]


@pytest.fixture(scope="module")
def quickstart(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder, and what was printed; it was killed once the model was measured, and called again."""
    home = tmp_path_factory.mktemp("home")
    out = home / "cure"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(hub, home).items():
            patch.setenv(name, value)
        with Running(*command(out), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
            running.wait_for(lambda: (out / "blind" / "metrics.json").exists(), patience=1200)
            running.signal_tree(signal.SIGKILL)
    assert (out / "blind" / "metrics.json").exists() and not (out / "metrics.json").exists()
    before = (out / "blind" / "metrics.json").stat().st_mtime_ns
    done = subprocess.run(
        [sys.executable, *command(out)],
        env=environment(hub, home),
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr
    assert (out / "blind" / "metrics.json").stat().st_mtime_ns == before  # measured once
    return out, done.stdout


def test_what_will_be_done_is_said_first(quickstart: tuple[Path, str]) -> None:
    first = quickstart[1].splitlines()[0]
    assert first.startswith(f"{NAME} on cpu: recipe paligemma2-3b-lora, 4 x 8 samples a step")
    assert "5 prompts before, one after. About " in first and "25% of this device's rate" in first


def test_each_prompt_is_shown_and_the_best_is_before(quickstart: tuple[Path, str]) -> None:
    out, printed = quickstart
    blind = json.loads((out / "metrics.json").read_text())["blind"]
    assert list(blind["prompts"]) == PROMPTS
    values = {name: one["restricted"]["value"] for name, one in blind["prompts"].items()}
    assert blind["accuracy"]["restricted"]["value"] == max(values.values()) == values[blind["prompt"]]
    page = (out / "report.html").read_text()
    for name, one in blind["prompts"].items():
        assert f"blind {name}{' *' * (name == blind['prompt'])} " in printed
        assert one["question"][:60] in page


def test_the_cure_is_that_of_the_recipe(quickstart: tuple[Path, str]) -> None:
    out, printed = quickstart
    config = yaml.safe_load((out / "train" / "config.yaml").read_text())
    assert config["model"] == NAME and config["gradient_checkpointing"] and config["quantization"] is None
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["train"]["samples"] == 32
    assert metrics["after"]["n"] == 4 and metrics["after"]["adapter"] == str(out / "train" / "adapter")
    asked = pq.read_table(out / "after" / "predictions.parquet")["prompt"].to_pylist()
    assert len(set(asked)) == 4  # after the cure, the four samples are asked in the task's four wordings
    assert f"unblind predict --adapter {out / 'train'} --model {NAME} IMAGE..." in printed


def test_without_access_it_says_what_to_do_before_anything_is_drawn(hub: Hub, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, *command(tmp_path / "cure")],
        env=environment(hub, tmp_path, token="hf_" + "x" * 34),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2 and "hf auth login" in done.stderr, done.stderr
    assert not (tmp_path / "cure" / "data").exists()
