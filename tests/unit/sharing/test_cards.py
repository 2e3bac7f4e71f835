"""Cards and results of one task, of several, of none that is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

import dot_task
from unblind.errors import DatasetError
from unblind.scoring.intervals import proportion
from unblind.scoring.metrics import score
from unblind.sharing.hub_results import eval_results, model_index, read_results
from unblind.sharing.model_card import model_card
from unblind.sharing.origin import Origin

DRAWN = {"made_by": "unblind generate", "train": 800, "seed": 3}


@pytest.fixture(autouse=True)
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(dot_task.register(tmp_path / "site"))


def letters() -> dict[str, Any]:
    """The metrics of forty answers about letters, of which thirty are right."""
    said = ["a"] * 30 + ["b"] * 10
    columns = {"id": [str(i) for i in range(40)], "answer": ["a"] * 40, "free": said, "restricted": said}
    return score(pa.table(columns | {"word": ["ab"] * 40, "font": ["Lato"] * 30 + ["Roboto"] * 10}))


def dots() -> dict[str, Any]:
    """The metrics of thirty answers about dots, of which all free ones are wrong."""
    accuracy = {"free": proportion(0, 30), "restricted": proportion(27, 30)}
    return {"task": "dot-side", "n": 30, "accuracy": accuracy, "base_rates": {"chance": 0.5}}


def several() -> dict[str, Any]:
    tasks = {"circled-letter": letters(), "dot-side": dots()}
    mean = {"free": {"value": 0.375, "low": 0.3, "high": 0.45}, "restricted": None}
    return {"n": 70, "tasks": tasks, "mean": mean, "share": mean}


def evaluation(folder: Path, metrics: dict[str, Any], data: str = "me/pictures") -> Path:
    folder.mkdir()
    metrics = metrics | {"model": "tiny", "adapter": None, "data": data}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def card(origin: Origin, metrics: dict[str, Any], tmp_path: Path) -> str:
    before, _ = read_results([evaluation(tmp_path / "after", metrics)], tmp_path / "run", origin, None)
    return str(model_card("adapter", "me/cured", tmp_path, origin, after=before))


def test_the_adapter_that_a_run_started_from_is_named(tmp_path: Path) -> None:
    origin = Origin("tiny", "mit", options={"data": "circles", "adapter": "first"}, data=DRAWN)
    assert "started from the adapter | `first`" in card(origin, letters(), tmp_path)


def test_several_tasks_are_a_table_of_tasks(tmp_path: Path) -> None:
    tasks = DRAWN | {"task": ["circled-letter", "dot-side=2"], "words": "webster"}
    text = card(Origin("tiny", "mit", options={"data": "mixed"}, data=tasks), several(), tmp_path)
    for line in (
        "| task | measured on | n | restricted answers | free answers |",
        "| after | circled-letter | `me/pictures` | 40 | 75.0 % (59.8–85.8) | 75.0 % (59.8–85.8) |",
        "| after | dot-side | `me/pictures` | 30 | 90.0 % (74.4–96.5) | 0.0 % (0.0–11.4) |",
        "| after | mean of the tasks | `me/pictures` | 70 | – | 37.5 % (30.0–45.0) |",
        "Restricted: the likeliest of the task's answers.",
        "- dot-side: In which half is the dot?",
        "- dot-side: No scene of a split occurs in another.",
        "- circled-letter: from the words of `webster`",
        "- dot-side: one dot on white paper.",
        "Trained for 2 kinds of question",
    ):
        assert line in text, text


def test_a_card_of_another_task_knows_no_letters(tmp_path: Path) -> None:
    origin = Origin("tiny", "mit", options={"data": "dots"}, data=DRAWN | {"task": "dot-side"})
    text = card(origin, dots(), tmp_path)
    assert origin.question == "Is the dot Left or Right?"
    assert "on a question: in which half is the dot?" in text
    assert "the likeliest of the 2 sides" in text and "`dots`: 800 images for training" in text
    assert "One dot on white paper." in text and "| task |" not in text and "BlindTest" not in text
    body = text.replace("circled", "").lower()
    assert not any(word in body for word in ("letter", "ellipse", "word of", "fonts"))


def test_data_of_others_has_no_task(tmp_path: Path) -> None:
    metrics = {"n": 9, "accuracy": {"free": proportion(4, 9), "restricted": None}}
    text = card(Origin("tiny", "mit", options={"data": "photos"}), metrics, tmp_path)
    assert "on the data named below." in text and "`photos`." in text
    assert "Restricted:" not in text and "44.4 %" in text


def test_results_name_their_tasks(tmp_path: Path) -> None:
    origin = Origin("tiny", "mit")
    results, _ = read_results([evaluation(tmp_path / "all", several())], tmp_path / "run", origin, None)
    index = {(one.task_name, one.metric_name): one.metric_value for one in model_index(results)}
    assert index == {
        ("circled_letter", "accuracy, restricted answers"): 0.75,
        ("circled_letter", "accuracy, free answers"): 0.75,
        ("dot_side", "accuracy, restricted answers"): 0.9,
        ("dot_side", "accuracy, free answers"): 0.0,
    }
    files = eval_results(results, "https://hub.example/me/cured")
    names = ["circled-letter-restricted", "circled-letter-free", "dot-side-restricted", "dot-side-free"]
    assert list(files) == [f".eval_results/all-{name}.yaml" for name in names]
    (entry,) = parse_eval_result_entries(yaml.safe_load(files[".eval_results/all-dot-side-restricted.yaml"]))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("me/pictures", "dot_side", 0.9)
    assert entry.notes.startswith("restricted answers: the likeliest of the 2 sides; n = 30")


@pytest.mark.parametrize(
    "broken",
    [
        {"accuracy": {"free": {"value": "many", "low": 0, "high": 1}}, "n": 3},
        {"accuracy": {"free": {"value": 0.5, "low": 0, "high": 1}}},
        {"accuracy": []},
        {"tasks": {"dot-side": None}},
        {"tasks": 7},
    ],
)
def test_damaged_metrics_are_refused(tmp_path: Path, broken: dict[str, Any]) -> None:
    folder = evaluation(tmp_path / "after", broken)
    with pytest.raises(DatasetError, match=r"metrics\.json is damaged"):
        read_results([folder], tmp_path / "run", Origin("tiny", "mit"), None)
