"""Replies that other programs saved, read as predictions."""

from __future__ import annotations

import csv
import gc
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unblind.errors import DatasetError
from unblind.evaluation.saved_replies import read_replies
from unblind.scoring.metrics import by_rules
from unblind.scoring.predictions import by_task

QUESTIONS = {  # the benchmark's names of tasks, each with a right answer and a chatty reply
    "Circled Letter": ("k", "The circled letter is **k**."),
    "Touching Circles": ("Yes", "Yes, they touch."),
    "Line Plot Intersections": ("2", "They cross twice."),
    "Counting Grid - Blank Grids": ("5,6", "5 rows and 6 columns"),
}
OURS = ["circled-letter", "two-circles", "line-intersections", "grid"]


def lenient(table: pa.Table) -> dict[str, float]:
    return {name: by_rules(part, "lenient")["lenient"]["value"] for name, part in by_task(table).items()}


def test_lmms_evals_samples(tmp_path: Path) -> None:
    lines = [
        {
            "doc_id": number,
            "doc": {"task": task, "prompt": "What is it?", "groundtruth": answer, "metadata": "{}"},
            "target": answer,
            "resps": [[reply]],
            "filtered_resps": [reply.lower()],
            "accuracy": 0.0,
            "accuracy_by_task": {"task": task, "is_correct": False},
        }
        for number, (task, (answer, reply)) in enumerate(QUESTIONS.items())
    ]
    path = tmp_path / "20260101_samples_vlmsareblind.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    table = read_replies(path)
    assert table["id"].to_pylist() == ["0", "1", "2", "3"]
    assert table["free"].to_pylist() == [reply for _, reply in QUESTIONS.values()]
    assert table["prompt"].to_pylist() == ["What is it?"] * 4
    assert lenient(table) == dict.fromkeys(OURS, 1.0)
    for line in lines:  # older ones keep no document
        del line["doc"]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert lenient(read_replies(path)) == dict.fromkeys(OURS, 1.0)


def vlmevalkit() -> list[dict[str, Any]]:
    return [
        {"index": n, "question": "?", "answers": answer, "task": task, "prediction": reply}
        for n, (task, (answer, reply)) in enumerate(QUESTIONS.items())
    ]


def test_vlmevalkits_table(tmp_path: Path) -> None:
    path = tmp_path / "model_VLMBlind.tsv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, vlmevalkit()[0].keys(), delimiter="\t")
        writer.writeheader()
        writer.writerows(vlmevalkit())
    assert lenient(read_replies(path)) == dict.fromkeys(OURS, 1.0)


def test_vlmevalkits_workbook(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(list(vlmevalkit()[0]))
    for row in vlmevalkit():
        book.active.append(list(row.values()))
    book.save(tmp_path / "model_VLMBlind.xlsx")
    assert lenient(read_replies(tmp_path / "model_VLMBlind.xlsx")) == dict.fromkeys(OURS, 1.0)
    (tmp_path / "broken.xlsx").write_bytes(b"PK\3\4nothing")
    with pytest.raises(DatasetError, match=r"broken\.xlsx: not a readable workbook"):
        read_replies(tmp_path / "broken.xlsx")


@pytest.mark.filterwarnings("ignore")  # of Inspect's own
@pytest.mark.parametrize("ending", ["eval", "json"])
def test_inspects_log(tmp_path: Path, ending: str) -> None:
    inspect_ai = pytest.importorskip("inspect_ai")
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.solver import generate

    samples = [
        Sample(id=f"s{n}", input="What is it?", target=answer, metadata={"task": ours})
        for n, (ours, (answer, _)) in enumerate(zip(OURS, QUESTIONS.values(), strict=True))
    ]
    replies = [ModelOutput.from_content("mockllm", reply) for _, reply in QUESTIONS.values()]
    for reply in replies:
        reply.usage = ModelUsage()  # counting tokens would fetch a vocabulary from the internet
    inspect_ai.eval(
        inspect_ai.Task(dataset=MemoryDataset(samples), solver=generate()),
        model=get_model("mockllm/model", custom_outputs=replies),
        log_dir=str(tmp_path),
        log_format=ending,
        display="none",
        max_connections=1,
        max_samples=1,
    )
    gc.collect()  # Inspect leaves open streams behind; they complain here, where warnings are ignored
    (path,) = tmp_path.glob(f"*.{ending}")
    table = read_replies(path)
    assert sorted(table["id"].to_pylist()) == ["s0", "s1", "s2", "s3"]
    assert lenient(table) == dict.fromkeys(OURS, 1.0)


def test_a_broken_inspect_log_is_named(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    (tmp_path / "x.eval").write_bytes(b"PK\3\4nothing")
    with pytest.raises(DatasetError, match=r"x\.eval: cannot be read as an Inspect log"):
        read_replies(tmp_path / "x.eval")


def test_parquet_without_restricted_answers(tmp_path: Path) -> None:
    table = {
        "id": ["a", "b"],
        "answer": ["k", "t"],
        "free": ["k", "The letter is t."],
        "word": ["kit", "kit"],
    }
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    found = read_replies(tmp_path / "x.parquet")
    assert found["restricted"].to_pylist() == [None, None] and found["word"].to_pylist() == ["kit", "kit"]
    assert lenient(found) == {"circled-letter": 1.0}


def test_other_names_and_no_ids(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("said;truth\nk;k\nt;k\n")
    found = read_replies(tmp_path / "x.csv", {"reply": "said", "answer": "truth"})
    assert found["id"].to_pylist() == ["0", "1"] and lenient(found) == {"circled-letter": 0.5}


def test_the_same_id_twice_is_numbered_anew(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,answer,reply\n7,k,k\n7,t,t\n")
    assert read_replies(tmp_path / "x.csv")["id"].to_pylist() == ["0", "1"]


def test_a_task_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("answer,reply\n{3},There are 3.\n4,5\n")
    assert lenient(read_replies(tmp_path / "x.csv", task="nested-squares")) == {"nested-squares": 0.5}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "x.csv",
            "answer,thing\nk,k\n",
            r"no column with replies among .*--columns reply=NAME",
        ),
        ("x.csv", "reply,thing\nk,k\n", r"no column with right answers among .*--columns answer=NAME"),
        ("x.csv", "answer,reply\n,k\n", "row 0: no answer"),
        ("x.jsonl", '{"answer": "k", "resps": {"a": 1}}', "row 0: its reply is no text"),
        ("x.csv", "answer,reply\n", "has no rows"),
        ("x.txt", "k", "no file with replies; name one that ends in .parquet"),
        ("x.json", '{"eval": 1, "samples": 2}', "Inspect log"),
    ],
)
def test_what_cannot_be_scored_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    pytest.importorskip("inspect_ai")
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=says):
        read_replies(tmp_path / name)
