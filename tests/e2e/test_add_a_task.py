"""docs/add-a-task.md: a task of another package, from its installation to its report; and a broken one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import unblind as library
from e2e.conftest import Run
from unblind.cli import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLE, PAGE = ROOT / "examples" / "own_task", ROOT / "docs" / "add-a-task.md"
FEW = "--max-steps 2 --batch-size 2 --accumulation 1 --eval-samples 4"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, installed into a folder of its own as pip installs it."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", target, EXAMPLE], check=True, timeout=300)
    return target


@pytest.fixture(scope="module")
def bars(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the commands of the page make, at a small size: bars, run, after, report.html."""
    folder = tmp_path_factory.mktemp("bars")
    knobs = "--knobs difference=0.1 0.4 --image-size 96 --workers 1"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(installed)
        patch.chdir(folder)
        for command in (
            f"generate --task longer-bar --out bars --train 24 --validation 6 --test 10 {knobs}",
            f"train --data bars --out run --recipe tiny {FEW}",
            "evaluate --data bars --adapter run --out after --prompt braces",
            "score after",
            "report after --out report.html",
        ):
            with pytest.raises(SystemExit) as stopped:
                main(command.split())
            assert stopped.value.code == 0, command
        yield folder


def test_the_example_is_small_and_the_page_shows_all_of_it() -> None:
    files = sorted(path for path in EXAMPLE.iterdir() if path.suffix in (".py", ".toml"))
    assert sum(len(path.read_text("utf-8").splitlines()) for path in files) <= 120
    shown = re.findall(r'--8<-- "([^":]+)', PAGE.read_text("utf-8"))
    assert {ROOT / name for name in shown} == set(files)


def test_it_is_drawn_trained_evaluated_scored_and_reported(bars: Path) -> None:
    rows = library.read(bars / "bars", "test")
    assert set(rows["task"]) == {"longer-bar"}
    assert all(0.09 < difference < 0.41 for difference in rows["difference"])
    assert (library.redraw(rows[0]) == np.asarray(rows[0]["image"])).all()
    metrics = json.loads((bars / "after" / "metrics.json").read_text("utf-8"))
    assert (metrics["task"], metrics["n"]) == ("longer-bar", 10)
    most_frequent = max(Counter(rows["answer"]).values())
    assert metrics["base_rates"]["most_frequent"] == pytest.approx(most_frequent / 10)
    assert sum(group["n"] for group in metrics["by"]["difference"].values()) == 10
    predictions = pq.read_table(bars / "after" / "predictions.parquet")
    assert set(predictions["task"].to_pylist()) == {"longer-bar"}
    assert "Difference" in (bars / "report.html").read_text("utf-8")


def test_its_answers_are_chosen_from_its_answer_space(bars: Path) -> None:
    metrics = json.loads((bars / "after" / "metrics.json").read_text("utf-8"))
    if metrics["accuracy"]["restricted"] is None:
        pytest.xfail("restricted answers of several tokens")
    predictions = pq.read_table(bars / "after" / "predictions.parquet").to_pylist()
    assert {row["restricted"] for row in predictions} <= {"upper", "lower"}
    upper = sum(row["answer"] == "upper" for row in predictions)
    assert metrics["base_rates"]["upper"] == pytest.approx(upper / 10)


def test_it_is_mixed_with_ours_and_streamed(
    installed: Path, monkeypatch: pytest.MonkeyPatch, unblind: Run, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(installed)
    sizes = ("--train", 6, "--validation", 0, "--test", 0, "--workers", 2)  # other processes find it as well
    done = unblind("generate", "--task", "longer-bar", "circled-letter=2", "--out", tmp_path / "both", *sizes)
    assert done.code == 0, done.err
    assert Counter(library.read(tmp_path / "both", "train")["task"]) == {"circled-letter": 4, "longer-bar": 2}
    source = "stream:task=longer-bar,image-size=96"
    done = unblind("train", "--data", source, "--out", tmp_path / "run", "--recipe", "tiny", *FEW.split())
    assert done.code == 0, done.err


def test_its_knobs_are_checked(
    installed: Path, monkeypatch: pytest.MonkeyPatch, unblind: Run, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(installed)
    for knobs, message in (
        (("--knobs", "diference=1 2"), "did you mean `difference`?"),
        (("--knobs", "difference=0.9"), "`difference` must be 2 numbers, not '0.9'"),
        (("--image-size", 40), "image_size needs 56 to 2048"),
        (("--padding", 1, 2), "--padding means nothing to longer-bar; leave it out"),
        (("--preset", "blindtest"), "longer-bar is none of the benchmark's tasks"),
    ):
        done = unblind("generate", "--task", "longer-bar", "--out", tmp_path / "bars", *knobs)
        assert done.code == 2
        assert message in done.err and len(done.err.splitlines()) == 1
        assert not (tmp_path / "bars").exists()


def test_a_broken_task_breaks_nothing_else_and_is_named(
    monkeypatch: pytest.MonkeyPatch, unblind: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "site" / "broken-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[unblind.tasks]\ngone = no_such_module:TASK\nodd = json:dumps\ntorn = torn_module\n"
    )
    (tmp_path / "site" / "torn_module.py").write_text("import unblind\nraise KeyError('oh')\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    told = unblind("doctor").out
    for name in ("gone", "odd", "torn"):
        assert f"broken    --task {name}: " in told
        done = unblind("generate", "--task", name, "--out", tmp_path / "data")
        assert done.code == 2
        assert "mend or remove it" in done.err and len(done.err.splitlines()) == 1
    sizes = ("--train", 2, "--validation", 0, "--test", 2, "--workers", 1)
    done = unblind("generate", "--task", "two-circles", "--out", tmp_path / "fine", *sizes)
    assert done.code == 0, done.err
    assert len(library.read(tmp_path / "fine")) == 2
