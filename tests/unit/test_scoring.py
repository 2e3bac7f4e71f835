"""Predictions to numbers."""

import pyarrow as pa
import pytest

from unblind.errors import DatasetError
from unblind.scoring import adjacent_error_share, confusions, neighbours, score, wilson


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
    assert set(result["by"]) == {"letter"}
    assert result["base_rates"] == {"chance": 1 / 52, "most_frequent_letter": 0.5}


def test_columns_of_other_types_are_taken_as_absent():
    result = score(rows(("ab", 0, "a"), word=[7], index=["first"], font=[None]))
    assert set(result["by"]) == {"letter"}


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


def test_confusions_are_the_errors_most_frequent_first():
    table = rows(("hello", 1, "l"), ("hello", 0, "e"), ("shell", 2, "l"), ("hello", 4, "o"))
    assert confusions(table) == {("e", "l"): 2, ("h", "e"): 1}
    assert next(iter(confusions(table))) == ("e", "l")


def test_adjacent_error_share_counts_errors_only():
    table = rows(("hello", 0, "e"), ("hello", 0, "o"), ("hello", 4, "l"), ("hello", 4, "o"))
    share = adjacent_error_share(table)
    assert share["n"] == 3
    assert share["value"] == pytest.approx(2 / 3)
    assert adjacent_error_share(rows(("hello", 0, "h"))) is None


def test_neighbours_end_at_the_word():
    assert neighbours("abc", 0) == {"b"}
    assert neighbours("abc", 1) == {"a", "c"}
    assert neighbours("a", 0) == set()
