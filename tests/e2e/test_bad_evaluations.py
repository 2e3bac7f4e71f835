"""What goes wrong in measuring: one line with what, where and the next step; nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from e2e.conftest import Run
from e2e.test_bad_input import assert_refused


@pytest.fixture(scope="module")
def rows(dataset: Path) -> list[dict[str, Any]]:
    """The test split's rows."""
    found: list[dict[str, Any]] = pq.read_table(dataset / "data" / "test-00000-of-00001.parquet").to_pylist()
    return found


def write(path: Path, rows: list[dict[str, Any]], **changed: object) -> Path:
    """A dataset file of these rows, the third one changed."""
    rows = [dict(row) for row in rows]
    if changed:
        rows[2].update(changed)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"answer": "7"},
            ["row test-0000002", "'7' is none of the 52 letters of circled-letter", "mend or"],
        ),
        ({"answer": "é"}, ["row test-0000002", "'é' is none of the 52 letters"]),
        ({"answer": "AB"}, ["row test-0000002", "'AB' is none of the 52 letters"]),
        ({"answer": ""}, ["row test-0000002", "no answer"]),
        ({"answer": None}, ["row test-0000002", "no answer"]),
        ({"id": "test-0000001"}, ["'test-0000001' more than once", "own id"]),
    ],
    ids=["digit", "accent", "two letters", "empty", "none", "id twice"],
)
def test_a_row_that_cannot_be_counted(
    unblind: Run, rows: list[dict[str, Any]], tmp_path: Path, changed: dict[str, object], says: list[str]
) -> None:
    file = write(tmp_path / "test.parquet", rows, **changed)
    done = unblind("evaluate", "--data", file, "--out", tmp_path / "out", "--device", "cpu")
    assert_refused(done, str(file), *says)
    assert not list((tmp_path / "out").glob("*.parquet"))


@pytest.mark.parametrize(("flag", "value"), [("--limit", 0), ("--limit", -3), ("--batch-size", 0)])
def test_numbers_of_nothing(unblind: Run, dataset: Path, tmp_path: Path, flag: str, value: int) -> None:
    done = unblind("evaluate", "--data", dataset, "--out", tmp_path / "out", flag, value)
    assert_refused(done, flag, str(value), ">= 1")
    assert not (tmp_path / "out").exists()


def test_tasks_that_the_data_has_not(
    unblind: Run, dataset: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    out, ask = tmp_path / "out", ("--device", "cpu", "--no-free")
    done = unblind("evaluate", "--data", dataset, "--out", out, "--task", "circled-leter", *ask)
    assert_refused(done, "--task circled-leter", "did you mean circled-letter?")
    file = write(tmp_path / "test.parquet", [row | {"task": "my-own"} for row in rows[:2]])
    done = unblind("evaluate", "--data", file, "--out", out, "--task", "circled-letter", *ask)
    assert_refused(done, "--task circled-letter", "the data has no such task; it has my-own")
    done = unblind("evaluate", "--data", file, "--out", out, "--occlusion", *ask)
    assert_refused(done, "--occlusion", "my-own has no parts")
    assert not out.exists()


def test_a_finished_evaluation_is_not_overwritten_by_another(
    unblind: Run, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = write(tmp_path / "test.parquet", rows[:2])
    ask = ("evaluate", "--data", file, "--out", tmp_path / "out", "--device", "cpu")
    assert unblind(*ask).code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for flags, says in (
        (("--no-free",), "free was true, now false;"),
        (("--dtype", "bfloat16"), 'dtype was "auto", now "bfloat16";'),
        (("--max-new-tokens", 3), "max_new_tokens was 16, now 3;"),
    ):
        done = unblind(*ask, *flags)
        assert_refused(done, "made with other settings: " + says, "--out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert unblind(*ask, "--batch-size", 1).code == 0  # it moves last digits alone


def test_one_sample(unblind: Run, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """One sample is enough for every command, with an honest interval."""
    file = write(tmp_path / "test.parquet", rows[:1])
    out = tmp_path / "out"
    assert unblind("evaluate", "--data", file, "--out", out, "--occlusion").code == 0
    found = json.loads((out / "metrics.json").read_text())
    value = found["accuracy"]["restricted"]
    assert found["n"] == 1 and value["value"] in (0, 1) and value["high"] - value["low"] > 0.7
    done = unblind("score", out)
    assert done.code == 0 and done.out.startswith("1 sample, ")
    done = unblind("compare", out, out)
    assert done.code == 0 and "A - B: +0.0 points" in done.out and "p = 1" in done.out
    assert unblind("report", out, "--out", tmp_path / "r.html").code == 0


def test_predictions_of_other_samples(unblind: Run, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Compared with themselves in part, with others under the same ids, and with a dataset made anew."""
    file = write(tmp_path / "test.parquet", rows[:4])
    out = tmp_path / "out"
    assert unblind("evaluate", "--data", file, "--out", out, "--no-free").code == 0
    table = pq.read_table(out / "predictions.parquet")
    few, others = tmp_path / "few.parquet", tmp_path / "others.parquet"
    pq.write_table(table.slice(0, 3), few)
    answers = table["answer"].to_pylist()
    changed = ["z" if answers[0] != "z" else "y", *answers[1:]]
    pq.write_table(table.set_column(table.column_names.index("answer"), "answer", pa.array(changed)), others)
    assert_refused(unblind("compare", out, few), "1 of 4 samples are in", "first 'test-0000003'")
    assert_refused(unblind("compare", out, others), "'test-0000000' has the answer", "other samples")
    write(
        tmp_path / "test.parquet",
        [row | {"scene": later["scene"]} for row, later in zip(rows[:4], rows[4:8], strict=True)],
    )
    done = unblind("report", out, "--out", tmp_path / "r.html")
    assert_refused(done, str(file), "test-0000000", "other samples")
    assert not (tmp_path / "r.html").exists()
