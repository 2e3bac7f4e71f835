"""The benchmarks that run a model run, at a small size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def result(name: str, *arguments: str) -> dict:
    run = [sys.executable, BENCHMARKS / name, *arguments]
    done = subprocess.run(run, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"said": done.stdout}


@pytest.mark.filterwarnings("ignore")
def test_gpu_benchmark_on_a_cpu() -> None:
    found = result("gpu.py", "--device", "cpu", "--small", "--steps", "1")
    assert found["unit"] == "samples/s" and found["ratio"] > 0 and found["evaluation"]["eager"] > 0
    assert set(found["recipes"]) == {"seed-notebook", "paligemma2-3b-qlora", "paligemma2-3b-lora"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_train_step_at_one_layer() -> None:
    found = result("train_step.py", "--layers", "1", "--batch", "1", "--only", "notebook", "ours")
    assert found["layers"] == 1 and found["memory_ratio"] > 1 and found["cpu_ratio"] > 1
    assert "1 of 26 layers: the head's share of a step is larger here than in the real model" in found["said"]


def test_evaluate_on_two_images() -> None:
    found = result("evaluate.py", "--images", "2", "--rounds", "1")
    assert found["same_free_answers"] == 1 and found["ratio"] > 0 and found["over_forward_pass"] > 0
