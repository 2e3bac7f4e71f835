"""Where wrong answers went."""

from typing import Any, ClassVar

import pytest

from unblind.scoring.mistakes import mistakes
from unblind.scoring.predictions import Answered
from unblind.tasks.base import Mistake
from unblind.tasks.circled_letter.task import TASK
from unblind.tasks.generic import Generic


def answered(*triples, task=TASK):
    """Answers from (word, index, restricted)."""
    return Answered(
        task,
        [
            {
                "id": f"s{i}",
                "answer": word[index],
                "free": None,
                "restricted": reply,
                "word": word,
                "index": index,
            }
            for i, (word, index, reply) in enumerate(triples)
        ],
    )


def test_confusions_are_the_errors_most_frequent_first():
    found = answered(("hello", 1, "l"), ("hello", 0, "e"), ("shell", 2, "l"), ("hello", 4, "o")).confusions()
    assert list(found.items()) == [(("e", "l"), 2), (("h", "e"), 1)]


def test_shares_count_errors_only():
    found = mistakes(answered(("hello", 0, "e"), ("hello", 0, "o"), ("hello", 4, "l"), ("hello", 4, "o")))
    assert found["n"] == 3
    assert found["adjacent"]["n"] == 3
    assert found["adjacent"]["value"] == pytest.approx(2 / 3)
    assert found["in_word"]["value"] == 1
    assert found["adjacent"]["chance"] == pytest.approx(1 / 4)


def test_look_alikes_and_the_other_case():
    found = mistakes(answered(("hello", 0, "b"), ("hello", 1, "E"), ("hello", 2, "x"), ("hello", 2, "l")))
    assert found["look_alike"]["value"] == pytest.approx(1 / 3)
    assert found["case"]["value"] == pytest.approx(1 / 3)
    assert found["in_word"]["value"] == 0


def test_without_errors_there_is_nothing_to_share():
    found = mistakes(answered(("hello", 0, "h")))
    assert found == {"n": 0, "adjacent": None, "in_word": None, "look_alike": None, "case": None}


def test_where_the_word_is_not_known_only_the_letters_are_compared():
    only = Answered(TASK, [{"id": 1, "answer": "h", "free": None, "restricted": "b"}])
    found = mistakes(only)
    assert found["adjacent"] is None and found["look_alike"]["n"] == 1


def test_a_task_without_mistakes_counts_errors():
    assert mistakes(answered(("hello", 0, "e"), task=Generic())) == {"n": 1}


def test_a_mistake_that_a_row_does_not_tell_is_not_counted():
    class Sized(Generic):
        mistakes: ClassVar[Any] = {"small": Mistake("the smaller one", lambda row, reply: row["size"] > 3)}

    rows = [{"id": i, "answer": "a", "free": None, "restricted": "b"} for i in range(3)]
    rows[0]["size"], rows[1]["size"] = 5, None
    found = mistakes(Answered(Sized(), rows))
    assert found["n"] == 3 and found["small"]["n"] == 1 and found["small"]["value"] == 1
