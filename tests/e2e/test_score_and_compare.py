"""Saved predictions scored and compared through the command line, without a model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from e2e.conftest import Run


def predictions(folder: Path, replies: list[str], **columns: list[object]) -> Path:
    """Predictions of the word "circle", letter by letter, as `unblind evaluate` leaves them."""
    table = {
        "id": [str(i) for i in range(len(replies))],
        "answer": list("circle"),
        "free": replies,
        "restricted": [reply.strip("{}")[:1] or "x" for reply in replies],
        "word": ["circle"] * len(replies),
        "index": list(range(len(replies))),
    }
    folder.mkdir()
    pq.write_table(pa.table({**table, **columns}), folder / "predictions.parquet")
    return folder


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """All right but for case and brackets."""
    return predictions(tmp_path / "good", ["{c}", "i", "{R}", "c", "l", "e"])


@pytest.fixture
def poor(tmp_path: Path) -> Path:
    """Always the first letter."""
    return predictions(tmp_path / "poor", ["c"] * 6)


def test_score_shows_all_rules_side_by_side(unblind: Run, good: Path, tmp_path: Path) -> None:
    done = unblind("score", good, "--out", tmp_path / "scores.json")
    assert done.code == 0, done.err
    shown = {line.split()[0]: line.split()[1] for line in done.out.splitlines()[2:8]}
    assert shown == {
        "exact": "83.3%", "any-case": "100.0%", "lenient": "100.0%",
        "paper": "33.3%", "vlmevalkit": "16.7%", "lmms-eval": "100.0%",
    }  # fmt: skip
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written["n"] == 6 and written["rules"]["paper"]["value"] == pytest.approx(1 / 3)
    assert set(tmp_path.iterdir()) == {good, tmp_path / "scores.json"}


def test_score_by_one_rule_from_the_file_itself(unblind: Run, good: Path) -> None:
    done = unblind("score", good / "predictions.parquet", "--rule", "paper")
    assert done.code == 0 and "paper" in done.out and "lmms-eval" not in done.out


def test_what_others_saved_is_scored_and_compared(unblind: Run, tmp_path: Path) -> None:
    """A CSV and JSON lines, with names of their own."""
    (tmp_path / "a.csv").write_text("said,truth\nThere are **3**.,3\n{2},2\n")
    lines = [{"index": n, "truth": str(3 - n), "prediction": "2"} for n in range(2)]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, lines)))
    named = ("--columns", "reply=said,answer=truth", "--task", "subway")
    done = unblind("score", tmp_path / "a.csv", *named, "--out", tmp_path / "o.json")
    assert done.code == 0, done.err
    rules = json.loads((tmp_path / "o.json").read_text())["rules"]
    assert {name: value["value"] for name, value in rules.items()} == {
        "exact": 0.5, "any-case": 0.5, "lenient": 1, "paper": 0.5, "vlmevalkit": 0.5, "lmms-eval": 1,
    }  # fmt: skip
    (tmp_path / "a.csv").write_text("reply,answer\nThere are **3**.,3\n{2},2\n")
    (tmp_path / "b.jsonl").write_text((tmp_path / "b.jsonl").read_text().replace("truth", "target"))
    done = unblind("compare", tmp_path / "a.csv", tmp_path / "b.jsonl", "--by", "lenient")
    assert done.code == 0 and "100.0%" in done.out and "50.0%" in done.out, done
    done = unblind("score", tmp_path / "a.csv", "--task", "sea")
    assert done.code == 2 and "--task sea: no such task" in done.err


def test_compare(unblind: Run, good: Path, poor: Path, tmp_path: Path) -> None:
    done = unblind("compare", good, poor, "--by", "any-case", "--out", tmp_path / "c.json")
    assert done.code == 0, done.err
    assert "A - B: +66.7 points, 95 % " in done.out and "p = 0.12" in done.out
    written = json.loads((tmp_path / "c.json").read_text())
    assert (written["both"], written["only_a"], written["only_b"], written["neither"]) == (2, 4, 0, 0)


def test_compare_with_a_published_model(unblind: Run, tmp_path: Path) -> None:
    question = "Which letter is being circled?"
    record = [json.dumps({"GPT-4o": {question: i < 2}}) for i in range(6)]
    folder = predictions(tmp_path / "e", list("circle"), published=record, prompt=[question] * 6)
    done = unblind("compare", folder, "published:GPT-4o")
    assert done.code == 0 and "published:GPT-4o" in done.out and "33.3%" in done.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["score", "nowhere"], "nowhere: no predictions there"),
        (["score", "GOOD", "--rule", "loose"], "unknown rule loose; choose exact"),
        (["compare", "GOOD", "nowhere"], "nowhere: no predictions there"),
        (["compare", "GOOD", "published:GPT-4o"], "holds no published answers"),
        (["compare", "GOOD", "GOOD", "--by", "luck"], "--by luck: unknown; choose restricted"),
        (["compare", "GOOD"], "--b requires an argument"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    unblind: Run, good: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    out = tmp_path / "out.json"
    done = unblind(*[str(good) if word == "GOOD" else word for word in arguments], "--out", out)
    assert done.code == 2 and says in done.err and "Traceback" not in done.err
    assert len(done.err.strip().splitlines()) == 1 and not out.exists()


def test_without_free_answers_there_is_nothing_to_score(unblind: Run, tmp_path: Path) -> None:
    folder = predictions(tmp_path / "mute", ["c"] * 6, free=pa.array([None] * 6, pa.string()))
    done = unblind("score", folder)
    assert done.code == 2 and "no free answers" in done.err


def test_neither_command_imports_torch(good: Path, poor: Path) -> None:
    code = """
import sys
from unblind.cli import main
for arguments in (["score", sys.argv[1]], ["compare", *sys.argv[1:]]):
    try: main(arguments)
    except SystemExit as stopped: assert stopped.code == 0
assert not {"torch", "transformers", "datasets", "matplotlib"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code, good, poor], check=True, timeout=60)


def test_an_evaluation_with_all_its_questions(unblind: Run, dataset: Path, tmp_path: Path) -> None:
    """Evaluate, score, compare and report, one after the other, on what each leaves for the next."""
    flags = ["--limit", "4", "--uncircled", "--occlusion", "--contrast"]
    done = unblind("evaluate", "--data", dataset, "--out", tmp_path / "e", *flags)
    assert done.code == 0, done.err
    assert "blank image" in done.out and "uncircled" in done.out
    assert "contrast pairs right:" in done.out
    settings = json.loads((tmp_path / "e" / "settings.json").read_text())
    assert (settings["blank"], settings["uncircled"], settings["occlusion"]) == (True, True, True)
    metrics = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert {"blank_image", "uncircled"} <= set(metrics["base_rates"])
    assert {"overlap", "padding", "line_width", "case", "repeated", "look_alike"} <= set(metrics["by"])
    assert metrics["calibration"]["n"] == 4 and set(metrics["rules"]) >= {"exact", "paper"}
    assert json.loads((tmp_path / "e" / "occlusion.json").read_text())["n"] > 0
    assert 0 < metrics["contrast"]["n"] <= 4 and set(metrics["contrast"]["both"]) == {"free", "restricted"}
    again = unblind("evaluate", "--data", dataset, "--out", tmp_path / "e", "--limit", "4")
    assert again.code == 2 and "uncircled was true, now false" in again.err
    assert (
        unblind("score", tmp_path / "e").code == unblind("compare", tmp_path / "e", tmp_path / "e").code == 0
    )
    assert unblind("report", tmp_path / "e", "--out", tmp_path / "r.html").code == 0
    page = (tmp_path / "r.html").read_text()
    for expected in ("shown a blank image", "Where it looks", "Does it see, or guess?"):
        assert expected in page
