"""The memory that `doctor` estimates for a step is what a process takes, for each family."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import small
import torch
import wide

from unblind.models.memory_estimate import training_memory
from unblind.recipe import TrainOptions

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.mark.parametrize("name", small.FAMILIES)
def test_the_estimate_is_what_a_process_takes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # glibc keeps freed blocks that fit no later one; by default that doubles what a process holds
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    run = [sys.executable, Path(wide.__file__), name]
    taken = int(subprocess.run(run, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout)

    for constant in ("WIDTH", "HEADS"):  # put back afterwards
        monkeypatch.setattr(small, constant, getattr(small, constant))
    options = TrainOptions(
        data="", out=Path("o"), batch_size=wide.BATCH[name],
        projector="full" if name == "gemma3" else "lora",
    )  # fmt: skip
    estimate = training_memory(wide.made(name)[0], options, torch.float32)
    assert estimate.total == pytest.approx(taken, rel=0.2)
