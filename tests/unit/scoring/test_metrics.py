"""Predictions to numbers."""

import pyarrow as pa
import pytest

from unblind.errors import DatasetError
from unblind.scoring.intervals import clustered, mean_share, proportion, student_t, wilson
from unblind.scoring.metrics import by_rules, score
from unblind.scoring.predictions import by_task, with_own_columns


def rows(*triples, **columns):
    """Predictions from (word, index, restricted); the free answer is the same as the restricted one."""
    table = {
        "id": [f"s{i}" for i in range(len(triples))],
        "answer": [word[index] for word, index, _ in triples],
        "free": [reply for *_, reply in triples],
        "restricted": [reply for *_, reply in triples],
        "word": [word for word, *_ in triples],
        "index": [index for _, index, _ in triples],
        "font": ["Lato"] * len(triples),
    }
    return pa.table({**table, **columns})


def of_one_task(table):
    (answered,) = by_task(table).values()
    return answered


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_wilson_gives_the_published_values(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_what_is_no_share(successes, n):
    with pytest.raises(ValueError, match="wilson needs"):
        wilson(successes, n)


def test_accuracies_and_intervals():
    table = rows(("hello", 0, "h"), ("hello", 1, "e"), ("world", 2, "o"), ("world", 3, "l"))
    table = table.set_column(2, "free", pa.array(["h", "{e}", "hello", None]))
    result = score(table)
    assert result["n"] == 4
    assert result["accuracy"]["restricted"]["value"] == 0.75
    assert result["accuracy"]["free"]["value"] == 0.5
    low, high = wilson(3, 4)
    assert result["accuracy"]["restricted"] == {"value": 0.75, "low": low, "high": high}


def test_case_counts():
    assert score(rows(("Hello", 0, "h")))["accuracy"]["restricted"]["value"] == 0


def test_free_is_none_when_nothing_was_asked_freely():
    assert score(rows(("hello", 0, "h"), free=pa.array([None])))["accuracy"]["free"] is None


def test_an_answer_of_several_letters_counts_when_said_literally():
    table = pa.table({"id": ["a"], "answer": ["yes"], "free": [" yes\n"], "restricted": ["y"]})
    assert score(table)["accuracy"]["free"]["value"] == 1


def test_breakdowns_have_string_keys_in_natural_order_and_their_own_n():
    result = score(rows(("abcdefghijk", 10, "k"), ("hello", 2, "e"), ("hello", 2, "l")))["by"]
    assert list(result["length"]) == ["5", "11"]
    assert list(result["position"]) == ["2", "10"]
    assert result["length"]["5"]["n"] == 2
    assert result["length"]["5"]["value"] == 0.5
    assert set(result["letter"]) == {"k", "l"}
    assert result["font"]["Lato"]["n"] == 3
    assert set(result["font"]["Lato"]) == {"n", "value", "low", "high"}


def test_base_rates():
    rates = score(rows(("ab", 0, "a"), ("ab", 1, "b"), ("abcd", 1, "b")))["base_rates"]
    assert rates["chance"] == pytest.approx((1 / 2 + 1 / 2 + 1 / 4) / 3)
    assert rates["first_letter"] == pytest.approx(1 / 3)
    assert rates["most_frequent_letter"] == pytest.approx(2 / 3)


def test_a_generic_dataset_loses_only_what_it_does_not_tell():
    result = score(
        pa.table({"id": [1, 2], "answer": ["a", "b"], "free": ["a", "a"], "restricted": ["a", "a"]})
    )
    assert set(result["by"]) == {"letter", "case"}
    assert result["base_rates"] == {
        "chance": 1 / 52, "most_frequent_letter": 0.5, "most_frequent": 0.5,
    }  # fmt: skip
    assert result["calibration"] is None


def test_columns_of_other_types_are_taken_as_absent():
    result = score(rows(("ab", 0, "a"), word=[7], index=["first"], font=[None]))
    assert set(result["by"]) == {"letter", "case"}


def test_rows_without_a_word_count_as_unknown():
    result = score(rows(("ab", 0, "a"), ("ab", 1, "b"), word=["ab", None], index=[0, None]))
    assert result["base_rates"]["chance"] == pytest.approx((1 / 2 + 1 / 52) / 2)
    assert result["by"]["length"]["2"]["n"] == 1


@pytest.mark.parametrize("column", ["id", "answer", "free", "restricted"])
def test_a_missing_column_is_named(column):
    with pytest.raises(DatasetError, match=f"'{column}'.*unblind evaluate"):
        score(rows(("ab", 0, "a")).drop_columns([column]))


def test_empty_predictions_are_refused():
    with pytest.raises(DatasetError, match="empty"):
        score(rows(("ab", 0, "a")).slice(0, 0))


def test_a_duplicate_id_is_named():
    with pytest.raises(DatasetError, match="'x7'"):
        score(rows(("ab", 0, "a"), ("ab", 1, "b"), id=["x7", "x7"]))


def test_a_missing_answer_is_named():
    with pytest.raises(DatasetError, match="'answer' at id 's1'"):
        score(rows(("ab", 0, "a"), ("ab", 1, "b"), answer=["a", None]))


def test_free_answers_by_every_rule():
    table = rows(("hello", 0, "h"), ("hello", 1, "e"), free=["{H}", "The letter is {e}."])
    shares = by_rules(of_one_task(table))
    found = {name: value["value"] for name, value in shares.items()}
    others = {"paper": 1, "vlmevalkit": 0.5, "lmms-eval": 0.5}
    assert found == {"exact": 0, "any-case": 0.5, "lenient": 1, **others}
    assert score(table)["rules"] == shares
    assert score(table)["accuracy"]["free"] == shares["exact"]


def test_any_of_several_peoples_answers_counts():
    several = pa.array([["net", "nets"], ["cat"], None], pa.list_(pa.string()))
    table = rows(("hello", 0, "h"), ("hello", 1, "e"), ("hello", 2, "l"), answer=["net", "cat", "dog"])
    free, none = ["nets", "dog", "dog"], pa.array([None] * 3, pa.string())
    columns = {"free": pa.array(free), "restricted": none, "accepted_answers": several, "word": none}
    for name, column in columns.items():
        place = table.column_names.index(name) if name in table.column_names else None
        table = table.append_column(name, column) if place is None else table.set_column(place, name, column)
    assert score(table)["accuracy"]["free"]["value"] == pytest.approx(2 / 3)


def test_without_free_answers_there_is_nothing_for_the_rules():
    assert by_rules(of_one_task(rows(("hello", 0, "h"), free=pa.array([None], pa.string())))) is None


def test_what_the_model_says_without_seeing_the_circle_is_a_base_rate():
    table = rows(("hello", 0, "h"), ("hello", 1, "e"), blank=["e", "e"], uncircled=["h", "e"])
    rates = score(table)["base_rates"]
    assert (rates["blank_image"], rates["uncircled"]) == (0.5, 1)
    assert "blank_image" not in score(rows(("hello", 0, "h")))["base_rates"]


def test_answers_of_several_letters_have_tokens_and_no_restricted_accuracy():
    table = pa.table(
        {
            "id": ["a", "b"],
            "answer": ["hello", "world"],
            "free": ["hello", "wurld"],
            "restricted": pa.array([None, None], pa.string()),
            "tokens_right": [1.0, 0.8],
            "word": ["hello", "world"],
            "index": [0, 1],
        }
    )
    result = score(table)
    assert result["accuracy"]["restricted"] is None
    assert result["accuracy"]["free"]["value"] == 0.5
    assert result["accuracy"]["tokens"]["value"] == pytest.approx(0.9)
    assert result["by"]["position"]["0"]["value"] == 1
    assert result["base_rates"] == {"most_frequent": 0.5}
    assert result["errors"] is result["calibration"] is None


def test_words_without_free_answers_are_counted_by_token_alone():
    nulls = pa.array([None], pa.string())
    table = pa.table(
        {"id": ["a"], "answer": ["hello"], "free": nulls, "restricted": nulls, "tokens_right": [0.5]}
    )
    assert score(table)["accuracy"] == {"free": None, "restricted": None, "tokens": {"value": 0.5}}


def test_restricted_answers_here_and_there_are_refused():
    with pytest.raises(DatasetError, match="'restricted' at id 's1'"):
        score(rows(("ab", 0, "a"), ("ab", 1, "b"), restricted=["a", None]))


def test_the_task_is_recorded_and_otherwise_told_by_the_answers():
    table = rows(("hello", 0, "h"))
    assert score(table)["task"] == "circled-letter"
    for name, task in (("circled-letter", "circled-letter"), ("Circled Letter", "circled-letter")):
        assert score(table.append_column("task", pa.array([name])))["task"] == task
    words = pa.table({"id": [1], "answer": ["yes"], "free": ["yes"], "restricted": ["n"]})
    assert score(words)["task"] == score(table.append_column("task", pa.array(["mine"])))["task"] == "generic"


def test_the_hash_is_of_what_was_asked_and_not_of_what_was_said():
    asked = rows(("hello", 0, "h"), ("world", 1, "o"), prompt=["Which?", "Which?"])
    known = score(asked)["samples_sha256"]
    # by sha256sum, of [["s0","h","Which?"],["s1","o","Which?"]]
    assert known == "056b8f63cf5c1a34d81d6f844063824ce629adbd606d82d89e851b9651a7f8b7"
    said = asked.set_column(3, "restricted", pa.array(["x", "y"]))
    assert score(said)["samples_sha256"] == score(said.take([1, 0]))["samples_sha256"] == known
    for changed in ({"prompt": ["Who?", "Which?"]}, {"id": ["a", "b"]}, {"answer": ["h", "r"]}):
        other = rows(("hello", 0, "h"), ("world", 1, "o"), **{"prompt": ["Which?", "Which?"], **changed})
        assert score(other)["samples_sha256"] != known


def two_tasks(**columns):
    """Three circled letters, two right, and one other question, right."""
    letters = rows(("hello", 0, "h"), ("hello", 1, "l"), ("world", 2, "r")).drop_columns(["font"])
    other = {"id": ["q"], "answer": ["yes"], "free": ["yes"], "restricted": ["yes"], "word": [None]}
    other = pa.table({**other, "index": [None], "task": ["other"]} | columns)
    letters = letters.append_column("task", pa.array(["circled-letter"] * 3))
    return pa.concat_tables([letters, other], promote_options="permissive")


def test_several_tasks_have_their_own_metrics_their_mean_and_their_share():
    result = score(two_tasks())
    assert set(result) == {"n", "tasks", "mean", "share", "samples_sha256"}
    assert list(result["tasks"]) == ["circled-letter", "generic"] and result["n"] == 4
    letters, other = result["tasks"].values()
    assert letters["n"] == 3 and "length" in letters["by"] and "length" not in other["by"]
    assert result["share"]["restricted"] == proportion(3, 4)
    accuracies = [part["accuracy"]["restricted"] for part in (letters, other)]
    assert result["mean"]["restricted"] == mean_share(accuracies)
    assert result["mean"]["restricted"]["value"] == pytest.approx((2 / 3 + 1) / 2)


def test_of_several_tasks_one_may_have_free_answers_alone():
    result = score(two_tasks(restricted=pa.array([None], pa.string())))
    assert result["mean"]["restricted"] is result["share"]["restricted"] is None
    assert result["share"]["free"] == proportion(3, 4)
    assert result["tasks"]["generic"]["accuracy"]["restricted"] is None
    with pytest.raises(DatasetError, match="'restricted' at id 's1'"):
        score(two_tasks().set_column(3, "restricted", pa.array(["h", None, "r", "yes"])))


def test_the_mean_of_two_shares_adds_their_intervals_in_squares():
    # below and above by the Pythagorean 6, 8, 10, halved
    found = mean_share([{"value": 0.2, "low": 0.14, "high": 0.28}, {"value": 0.6, "low": 0.52, "high": 0.66}])
    assert found == pytest.approx({"value": 0.4, "low": 0.35, "high": 0.45})


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (10, 2.2281), (120, 1.9799)],
)
def test_students_quantiles_are_those_of_the_tables(degrees, quantile):
    assert student_t(degrees) == pytest.approx(quantile, abs=5e-5)


def test_clusters_that_differ_widen_the_interval():
    apart = clustered([True] * 50 + [False] * 50, ["a"] * 50 + ["b"] * 50)
    assert apart["design_effect"] == pytest.approx(2 * (25**2 * 2) / 25)  # c/(c-1) * sum of squares / npq
    assert apart["low"] < 0.01 and apart["high"] > 0.99
    alike = clustered([True, False] * 50, ["a"] * 50 + ["b"] * 50)
    assert alike["design_effect"] == 1 and (alike["low"], alike["high"]) == wilson(50, 100, student_t(1))
    assert clustered([True, False], ["a", "a"]) is None


def test_fonts_are_the_clusters_of_letters():
    words = [("hello", i % 5, "hello"[i % 5] if i % 3 else "x") for i in range(30)]
    fonts = ["Lato", "Roboto", "Manrope"] * 10
    found = score(rows(*words, font=fonts))
    assert found["clusters"]["by"] == "font"
    hits = [i % 3 > 0 for i in range(30)]
    assert found["clusters"]["restricted"] == clustered(hits, fonts)
    assert found["clusters"]["restricted"]["high"] > found["accuracy"]["restricted"]["high"]
    assert score(rows(*words))["clusters"] is None  # one font
    assert score(rows(*words, font=[None, *fonts[1:]]))["clusters"] is None


def test_columns_of_the_dataset_are_not_taken_for_ours():
    table = rows(("hello", 0, "h"), blank=["h"], probability=[0.9])
    assert score(table)["base_rates"]["blank_image"] == 1  # as in predictions that don't say which are ours
    noted = score(with_own_columns(table, ["id", "answer", "free", "restricted", "probability"]))
    assert "blank_image" not in noted["base_rates"] and noted["calibration"]["n"] == 1
    none = score(with_own_columns(table, ["id", "answer", "free", "restricted"]))
    assert none["calibration"] is None
