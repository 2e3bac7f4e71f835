"""Only whole checkpoints are gone on from."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from unblind.recipe import TrainOptions
from unblind.training.checkpoints import SEAL, newest_checkpoint, remove_after, seal
from unit.training.test_training import _interrupted_at, options, run, weights

DAMAGED = ["adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"]


def checkpoint(folder: Path, step: int, best: int | None = None) -> Path:
    """What Trainer leaves, in small."""
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(bytes(range(100)))
    state = {"best_model_checkpoint": None if best is None else f"/elsewhere/checkpoint-{best}"}
    (path / "trainer_state.json").write_text(json.dumps(state))
    return path


def test_only_a_sealed_checkpoint_counts(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "absent") is None
    first, second = checkpoint(tmp_path, 9), checkpoint(tmp_path, 10)
    assert newest_checkpoint(tmp_path) is None
    seal(first)
    assert newest_checkpoint(tmp_path) == first
    seal(second)
    assert newest_checkpoint(tmp_path) == second


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def flip(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
@pytest.mark.parametrize("name", ["model.safetensors", "trainer_state.json", SEAL])
def test_a_damaged_one_does_not(tmp_path: Path, name: str, damage: object) -> None:
    first, second = checkpoint(tmp_path, 2), checkpoint(tmp_path, 4)
    for path in (first, second):
        seal(path)
    damage(second / name)  # type: ignore[operator]
    assert newest_checkpoint(tmp_path) == first


@pytest.mark.parametrize("content", ["[]", "{}", '{"model.safetensors": 1}', '{"../../x": 0}'])
def test_nor_does_one_with_a_strange_seal(tmp_path: Path, content: str) -> None:
    seal(checkpoint(tmp_path, 2))
    (tmp_path / "checkpoint-2" / SEAL).write_text(content)
    assert newest_checkpoint(tmp_path) is None


def test_a_checkpoint_needs_the_best_one(tmp_path: Path) -> None:
    for step, best in ((2, 2), (4, 4), (6, 4)):
        seal(checkpoint(tmp_path, step, best))
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-6"
    cut(tmp_path / "checkpoint-4" / "model.safetensors")
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


def test_what_came_after_is_removed(tmp_path: Path) -> None:
    for step in (2, 4, 10):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-mine").mkdir()
    remove_after(tmp_path, tmp_path / "checkpoint-2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-mine"]
    remove_after(tmp_path, None)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-mine"]


@pytest.fixture(scope="module")
def halted(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainOptions, bytes]:
    """A run interrupted in its sixth step, and the weights of one that was not."""
    folder = tmp_path_factory.mktemp("runs")
    told = options(folder / "halted")
    with pytest.raises(KeyboardInterrupt):
        _interrupted_at(5, told)
    return replace(told, resume=True), weights(run(options(folder / "whole")))


@pytest.mark.parametrize("name", DAMAGED)
def test_a_run_with_a_truncated_file_ends_the_same(
    halted: tuple[TrainOptions, bytes], tmp_path: Path, name: str
) -> None:
    told, expected = halted
    shutil.copytree(told.out, tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    file = folder / "checkpoint-4" / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert newest_checkpoint(folder) == folder / "checkpoint-2"
    assert weights(run(replace(told, out=tmp_path / "run"))) == expected
