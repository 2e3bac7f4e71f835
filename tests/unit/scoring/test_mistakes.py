"""Where wrong answers went."""

import pyarrow as pa
import pytest

from unblind.scoring.mistakes import confusions, look_alike, mistakes, neighbours


def table(*triples):
    """Predictions from (word, index, restricted)."""
    return pa.table(
        {
            "id": [f"s{i}" for i in range(len(triples))],
            "answer": [word[index] for word, index, _ in triples],
            "restricted": [reply for *_, reply in triples],
            "word": [word for word, *_ in triples],
            "index": [index for _, index, _ in triples],
        }
    )


def test_confusions_are_the_errors_most_frequent_first():
    found = confusions(table(("hello", 1, "l"), ("hello", 0, "e"), ("shell", 2, "l"), ("hello", 4, "o")))
    assert found == {("e", "l"): 2, ("h", "e"): 1}
    assert next(iter(found)) == ("e", "l")


def test_shares_count_errors_only():
    found = mistakes(table(("hello", 0, "e"), ("hello", 0, "o"), ("hello", 4, "l"), ("hello", 4, "o")))
    assert found["n"] == 3
    assert found["adjacent"]["n"] == 3
    assert found["adjacent"]["value"] == pytest.approx(2 / 3)
    assert found["in_word"]["value"] == 1
    assert found["adjacent"]["chance"] == pytest.approx(1 / 4)


def test_look_alikes_and_the_other_case():
    found = mistakes(table(("hello", 0, "b"), ("hello", 1, "E"), ("hello", 2, "x"), ("hello", 2, "l")))
    assert found["look_alike"]["value"] == pytest.approx(1 / 3)
    assert found["case"]["value"] == pytest.approx(1 / 3)
    assert found["in_word"]["value"] == 0


def test_without_errors_there_is_nothing_to_share():
    found = mistakes(table(("hello", 0, "h")))
    assert found == {"n": 0, "adjacent": None, "in_word": None, "look_alike": None, "case": None}


def test_where_the_word_is_not_known_only_the_letters_are_compared():
    found = mistakes(table(("hello", 0, "b")).drop_columns(["word", "index"]))
    assert found["adjacent"] is None and found["look_alike"]["n"] == 1


def test_neighbours_end_at_the_word():
    assert neighbours("abc", 0) == {"b"}
    assert neighbours("abc", 1) == {"a", "c"}
    assert neighbours("a", 0) == set()


@pytest.mark.parametrize(("one", "other", "alike"), [("e", "c", True), ("E", "c", True), ("e", "E", False)])
def test_look_alikes_are_different_letters_of_a_shape(one, other, alike):
    assert look_alike(one, other) is alike
