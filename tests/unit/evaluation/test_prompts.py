"""The prompts that a task and a family offer, each asked; the best one counts."""

import json
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest

import small_model
from unblind.errors import RecipeError
from unblind.evaluation.prompts import evaluate_each, offered_prompts, prompt_folder
from unblind.evaluation.questions import question
from unblind.evaluation.run import evaluate
from unblind.models.paligemma import FAMILY
from unblind.report import write_report
from unblind.scoring.metrics import score
from unblind.tasks.registry import TASKS, task_named

CIRCLED = "Which letter is being circled?"


def test_pretrained_checkpoints_are_also_asked_as_they_were_taught() -> None:
    offered = offered_prompts(task_named("circled-letter"), FAMILY)
    assert list(offered) == [
        *("circled", "highlighted", "circled-braces", "highlighted-braces"),
        "answer en circled",
    ]
    assert offered["circled"] == CIRCLED and offered["answer en circled"] == f"answer en {CIRCLED}"


@pytest.mark.parametrize("name", TASKS)
def test_the_prefix_changes_nothing_but_the_text(name: str) -> None:
    task = task_named(name)
    for prompt, whole in task.prompts.items():
        for asked in (prompt, whole.text):
            found = task.prompt_of(f"answer en {asked}", {})
            assert found.text == f"answer en {whole.text}"
            assert (found.reply, found.truth) == (whole.reply, whole.truth)


def test_the_prefix_before_a_rows_own_prompt() -> None:
    task = task_named("olympic-circles")
    row = {"id": "1", "prompt": task.prompts[task.default_prompt].text, "answer": "6"}
    own, behind = question(row, task), question(row, task, f"answer en {row['prompt']}")
    assert behind.text == f"answer en {own.text}"
    assert (behind.replies, behind.reply) == (own.replies, own.reply)


def test_each_prompt_is_measured_and_the_best_counts(tmp_path: Path) -> None:
    loaded, rows = small_model.loaded(), small_model.samples(12)
    metrics = evaluate_each(tmp_path, loaded, rows, data="d", max_new_tokens=2)
    alone = {
        name: score(evaluate(loaded, rows, prompt=name, max_new_tokens=2))["accuracy"]
        for name in metrics["prompts"]
    }
    assert len(alone) == 5
    for name, accuracy in metrics["prompts"].items():
        assert (accuracy["restricted"], accuracy["free"]) == (
            alone[name]["restricted"],
            alone[name]["free"],
        )
    best = metrics["prompt"]
    assert alone[best]["restricted"]["value"] == max(a["restricted"]["value"] for a in alone.values())
    assert metrics["accuracy"] == alone[best]
    asked = set(pq.read_table(tmp_path / "predictions.parquet")["prompt"].to_pylist())
    assert asked == {metrics["prompts"][best]["question"]}
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics


def test_it_goes_on_after_an_interruption(tmp_path: Path) -> None:
    loaded, rows = small_model.loaded(), small_model.samples(4)
    first = evaluate_each(tmp_path, loaded, rows, data="d", free=False)
    kept, lost = prompt_folder(tmp_path, "circled"), prompt_folder(tmp_path, "answer en circled")
    (tmp_path / "metrics.json").unlink()
    (lost / "metrics.json").unlink()
    before = (kept / "metrics.json").stat().st_mtime_ns
    again = evaluate_each(tmp_path, loaded, rows, data="d", free=False)
    assert (kept / "metrics.json").stat().st_mtime_ns == before
    assert again["prompts"] == first["prompts"] and again["prompt"] == first["prompt"]


def test_several_tasks_have_no_prompts_in_common(tmp_path: Path) -> None:
    rows = small_model.samples(2).add_column("task", ["circled-letter", "two-circles"])
    with pytest.raises(RecipeError, match=r"one task, .*choose one"):
        evaluate_each(tmp_path, small_model.loaded(), rows, data="d")


def test_the_report_shows_each_prompt(tmp_path: Path) -> None:
    loaded, rows = small_model.loaded(), small_model.samples(4)
    assert isinstance(rows, datasets.Dataset)
    evaluate_each(tmp_path / "before", loaded, rows, data="d", free=False)
    page = write_report(tmp_path / "report.html", [tmp_path / "before"]).read_text()
    assert "answer en Which letter is being circled?" in page and "asked in 5 ways" in page
