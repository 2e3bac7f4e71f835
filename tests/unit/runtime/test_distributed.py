"""What a launcher of several processes may start."""

import pytest

from unblind.errors import RecipeError
from unblind.runtime.distributed import check_launch, from_main_process, gathered, register_failure


def test_one_process_is_alone() -> None:
    check_launch("generate")
    assert from_main_process(lambda: 3) == 3
    assert gathered((1, 2)) == [1, 2]
    assert register_failure()


def test_commands_of_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for command in ("train", "evaluate"):
        check_launch(command)
    with pytest.raises(RecipeError, match="`unblind generate` is one process"):
        check_launch("generate")


def test_a_launcher_that_starts_one_process_in_the_place_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    check_launch("train")
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(RecipeError, match="--nproc-per-node"):
        check_launch("train")
