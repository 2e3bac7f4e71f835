"""Two models on the same samples."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unblind.errors import DatasetError, RecipeError
from unblind.scoring.compare import compare_sources, paired, published_models
from unblind.scoring.intervals import mcnemar, paired_difference
from unblind.scoring.predictions import by_task

CIRCLED, HIGHLIGHTED = (
    "Which letter is being circled?",
    "Which character is being highlighted with a red oval?",
)


def write(folder: Path, said: str, /, *, answers: str = "aaaa", **columns: Any) -> str:
    """Predictions of one letter a sample, in a folder; its name."""
    table = {
        "id": [f"s{i}" for i in range(len(answers))],
        "answer": list(answers),
        "free": ["{" + letter + "}" for letter in said],
        "restricted": list(said),
        "prompt": [CIRCLED] * len(answers),
    }
    folder.mkdir()
    pq.write_table(pa.table({**table, **columns}), folder / "predictions.parquet")
    return str(folder)


def test_the_interval_and_the_test_give_the_published_values() -> None:
    """Newcombe 1998, table III; Fagerland et al. 2013 (BMC Med Res Methodol 13:91), airway reactivity."""
    assert paired_difference(36, 12, 2, 0) == pytest.approx(
        {"value": 0.2, "low": 0.0569, "high": 0.3404}, abs=5e-5
    )
    found = paired_difference(1, 1, 7, 12)
    assert (found["low"], found["high"]) == pytest.approx((-0.507, -0.026), abs=5e-4)
    assert mcnemar(1, 7) == pytest.approx(0.0703, abs=5e-5)


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (-1, 1, 1, 1)])
def test_a_difference_of_nothing_is_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="counts"):
        paired_difference(*counts)


def test_mcnemar_of_models_that_never_differ_is_1() -> None:
    assert mcnemar(0, 0) == mcnemar(3, 3) == 1


def test_pairs_are_counted() -> None:
    found = paired(
        {"a": True, "b": True, "c": False, "x": True}, {"a": True, "b": False, "c": False, "y": True}
    )
    assert (found["n"], found["both"], found["only_a"], found["only_b"], found["neither"]) == (3, 1, 1, 0, 1)
    assert found["difference"]["value"] == pytest.approx(1 / 3)


def test_rows_are_matched_by_id_whatever_their_order(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "abab")
    b = write(tmp_path / "b", "aabb", id=["s3", "s2", "s1", "s0"])
    found = compare_sources(a, b)
    assert (found["both"], found["only_a"], found["only_b"], found["neither"]) == (1, 1, 1, 1)
    assert (found["a"], found["b"], found["by"], found["n"]) == (a, b, "restricted", 4)


def test_free_answers_go_by_a_rule(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", "bbbb", free=["{A}"] * 4), write(tmp_path / "b", "bbbb", free=["a"] * 4)
    right = {
        by: compare_sources(a, b, by=by)["accuracy"]
        for by in ("restricted", "free", "exact", "paper", "lmms-eval")
    }
    found = {by: (value["a"]["value"], value["b"]["value"]) for by, value in right.items()}
    assert found == {
        "restricted": (0, 0), "free": (0, 1), "exact": (0, 1), "paper": (1, 0), "lmms-eval": (1, 1),
    }  # fmt: skip


def test_an_unknown_way_is_met_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"--by loosely: unknown; choose restricted, free, exact"):
        compare_sources(write(tmp_path / "a", "aaaa"), write(tmp_path / "b", "aaaa"), by="loosely")


def test_other_samples_are_refused(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "aaaa")
    with pytest.raises(DatasetError, match=f"{re.escape(a)} and .* have no sample in common; evaluate both"):
        compare_sources(a, write(tmp_path / "none", "aaaa", id=list("wxyz")))
    with pytest.raises(DatasetError, match=r"2 of 4 samples are in .*a alone, first 's2'"):
        compare_sources(a, write(tmp_path / "few", "aa", answers="aa"))
    with pytest.raises(DatasetError, match=r"sample 's1' has the answer 'a' in .* and 'b' in .*same ids"):
        compare_sources(a, write(tmp_path / "changed", "aaaa", answers="abaa"))


def test_answers_that_are_not_there_are_named(tmp_path: Path) -> None:
    nulls = pa.array([None] * 4, pa.string())
    a = write(tmp_path / "a", "aaaa")
    mute, words = (
        write(tmp_path / "mute", "aaaa", free=nulls),
        write(tmp_path / "words", "aaaa", restricted=nulls),
    )
    with pytest.raises(DatasetError, match=r"mute has no free answers.*--by restricted"):
        compare_sources(a, mute, by="paper")
    with pytest.raises(DatasetError, match=r"words has no restricted answers.*--by free"):
        compare_sources(a, words)


def test_damaged_predictions_are_named(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "aaaa")
    (tmp_path / "b").mkdir()
    with pytest.raises(DatasetError, match=r"b: no predictions there; name a predictions\.parquet"):
        compare_sources(a, str(tmp_path / "b"))
    (tmp_path / "b" / "predictions.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DatasetError, match=r"b/predictions\.parquet is no readable parquet"):
        compare_sources(a, str(tmp_path / "b"))
    with pytest.raises(DatasetError, match=r"twice/predictions\.parquet: .*'s0' more than once"):
        compare_sources(a, write(tmp_path / "twice", "aaaa", id=["s0"] * 4))


def records(*right: bool | None) -> list[str | None]:
    """The column `published`: GPT-4o's answer to the first question, and always right to the second."""
    return [
        None if hit is None else json.dumps({"GPT-4o": {CIRCLED: hit, HIGHLIGHTED: True}, "damaged": 3})
        for hit in right
    ]


def test_a_published_model_is_compared_image_by_image(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "aaab", published=records(True, False, None, False))
    found = compare_sources(a, "published:GPT-4o")
    assert (found["n"], found["both"], found["only_a"], found["neither"]) == (3, 1, 1, 1)
    turned = compare_sources("published:GPT-4o", a)
    assert turned["only_b"] == 1 and turned["difference"]["value"] == -found["difference"]["value"]
    assert compare_sources(a, "published:GPT-4o", prompt="highlighted")["accuracy"]["b"]["value"] == 1


def test_the_request_for_brackets_does_not_hide_the_question(tmp_path: Path) -> None:
    asked = [f"{HIGHLIGHTED} Please provide your answer in curly brackets, e.g. {{a}}"] * 4
    a = write(tmp_path / "a", "aaab", published=records(*[False] * 4), prompt=asked)
    assert compare_sources(a, "published:GPT-4o")["accuracy"]["b"]["value"] == 1


def test_what_was_not_published_is_refused(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "aaab", published=records(*[True] * 4))
    answered = by_task(pq.read_table(Path(a) / "predictions.parquet")).values()
    assert published_models(answered) == {"GPT-4o": [HIGHLIGHTED, CIRCLED]}
    with pytest.raises(DatasetError, match=r"not among the published models GPT-4o"):
        compare_sources(a, "published:GPT-5")
    with pytest.raises(DatasetError, match=r"no answer to the question .*--prompt 'Which"):
        compare_sources(a, "published:GPT-4o", prompt="read")
    with pytest.raises(DatasetError, match="both published"):
        compare_sources("published:GPT-4o", "published:Sonnet")
    for column in ([None] * 4, ["{"] * 4, ["[1]"] * 4):
        b = write(
            tmp_path / f"b{len(list(tmp_path.iterdir()))}", "aaab", published=pa.array(column, pa.string())
        )
        with pytest.raises(DatasetError, match="holds no published answers"):
            compare_sources(b, "published:GPT-4o")


def test_several_tasks_are_compared_together_and_each(tmp_path: Path) -> None:
    tasks = ["circled-letter", "circled-letter", "other", "other"]
    a = write(tmp_path / "a", "aabb", task=tasks)
    b = write(tmp_path / "b", "abab", task=tasks)
    found = compare_sources(a, b)
    assert (found["n"], found["only_a"], found["only_b"]) == (4, 1, 1)
    assert list(found["tasks"]) == ["circled-letter", "generic"]
    letters, other = found["tasks"].values()
    assert (letters["n"], letters["only_a"], other["only_b"]) == (2, 1, 1)
    alone = compare_sources(write(tmp_path / "c", "aaaa"), write(tmp_path / "d", "aaab"))
    assert "tasks" not in alone


def test_published_models_go_by_one_name_in_every_task(tmp_path: Path) -> None:
    names = ["GPT-4o", "gpt-4o", "GPT-4o", "gpt-4o"]
    record = [json.dumps({name: {CIRCLED: i != 1}}) for i, name in enumerate(names)]
    a = write(tmp_path / "a", "aaaa", published=record, task=["circled-letter"] * 3 + ["other"])
    found = compare_sources(a, "published:GPT-4o")
    assert (found["n"], found["only_a"]) == (4, 1)
    assert found["tasks"]["circled-letter"]["n"] == 3 and found["tasks"]["generic"]["both"] == 1
