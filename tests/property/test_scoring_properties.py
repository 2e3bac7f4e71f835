"""What holds for any predictions."""

import math
import string

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from unblind.scoring.intervals import (
    clustered,
    mcnemar,
    mean_share,
    paired_difference,
    proportion,
    student_t,
    wilson,
)
from unblind.scoring.metrics import score
from unblind.scoring.predictions import by_task


def confusions(table):
    (answered,) = by_task(table).values()
    return answered.confusions()


LETTERS = st.sampled_from(string.ascii_letters)
COUNTS = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
def test_wilson_holds_the_share_and_stays_within_0_and_1(counts):
    successes, n = counts
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert low < high


@given(COUNTS)
def test_wilson_is_symmetric(counts):
    successes, n = counts
    low, high = wilson(successes, n)
    other_low, other_high = wilson(n - successes, n)
    assert math.isclose(low, 1 - other_high, abs_tol=1e-12)
    assert math.isclose(high, 1 - other_low, abs_tol=1e-12)


@given(COUNTS)
def test_wilson_ends_are_where_the_score_test_just_rejects(counts):
    successes, n = counts
    for end in wilson(successes, n):
        if 0 < end < 1:
            z = abs(successes / n - end) / math.sqrt(end * (1 - end) / n)
            assert math.isclose(z, 1.959964, rel_tol=1e-6)


@st.composite
def predictions(draw):
    words = draw(st.lists(st.text(string.ascii_letters, min_size=1, max_size=20), min_size=1, max_size=30))
    indices = [draw(st.integers(0, len(word) - 1)) for word in words]
    replies = [draw(st.sampled_from(word) | LETTERS) for word in words]
    return pa.table(
        {
            "id": [f"row-{i}" for i in range(len(words))],
            "answer": [word[i] for word, i in zip(words, indices, strict=True)],
            "free": replies,
            "restricted": replies,
            "word": words,
            "index": indices,
        }
    )


@given(predictions())
def test_breakdowns_add_up_to_the_whole(table):
    result = score(table)
    hits = round(result["accuracy"]["restricted"]["value"] * result["n"])
    for by in result["by"].values():
        assert sum(group["n"] for group in by.values()) == result["n"]
        assert sum(round(group["value"] * group["n"]) for group in by.values()) == hits


@given(predictions())
def test_confusions_are_all_errors(table):
    result = score(table)
    errors = result["n"] - round(result["accuracy"]["restricted"]["value"] * result["n"])
    assert sum(confusions(table).values()) == errors
    assert all(answer != reply for answer, reply in confusions(table))
    found = result["errors"]
    assert found["n"] == errors
    for name in ("adjacent", "in_word", "look_alike", "case"):
        assert (found[name] is None) == (errors == 0)
        assert found[name] is None or found[name]["n"] == errors
    assert errors == 0 or found["adjacent"]["value"] <= found["in_word"]["value"]


@given(predictions(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(table, random):
    order = list(range(table.num_rows))
    random.shuffle(order)
    assert score(table.take(order)) == score(table)
    assert confusions(table.take(order)) == confusions(table)


@given(predictions())
def test_free_and_restricted_agree_when_they_say_the_same(table):
    accuracy = score(table)["accuracy"]
    assert accuracy["free"] == accuracy["restricted"]


FOUR = st.tuples(*[st.integers(0, 300)] * 4).filter(any)


@given(FOUR)
def test_a_paired_difference_lies_in_its_interval_and_turns_round_with_the_pair(counts):
    both, only_a, only_b, neither = counts
    one, other = paired_difference(*counts), paired_difference(both, only_b, only_a, neither)
    assert -1 <= one["low"] <= one["value"] <= one["high"] <= 1
    assert one["value"] == (only_a - only_b) / sum(counts)
    assert math.isclose(one["low"], -other["high"], abs_tol=1e-12)


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_is_the_binomial_tail(only_a, only_b):
    n, k = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    assert math.isclose(mcnemar(only_a, only_b), min(1.0, 2 * tail), rel_tol=1e-12)
    assert mcnemar(only_a, only_b) == mcnemar(only_b, only_a)


@st.composite
def families(draw):
    """Right and wrong answers, each of one of a few clusters."""
    of = draw(st.lists(st.integers(0, 5), min_size=2, max_size=200).filter(lambda found: len(set(found)) > 1))
    return [draw(st.booleans()) for _ in of], of


@given(families())
def test_an_interval_that_knows_clusters_is_never_narrower_than_wilsons(sample):
    hits, clusters = sample
    found, plain = clustered(hits, clusters), proportion(sum(hits), len(hits))
    assert found["value"] == plain["value"]
    assert 0 <= found["low"] <= plain["low"] and plain["high"] <= found["high"] <= 1
    assert found["clusters"] == len(set(clusters)) and found["design_effect"] >= 1


@given(st.integers(1, 2000))
def test_students_quantile_falls_to_the_normal_one(degrees):
    assert 1.959963 < student_t(degrees + 1) < student_t(degrees) < 12.7063


@given(st.lists(COUNTS, min_size=1, max_size=9))
def test_a_mean_lies_in_its_interval_and_that_of_one_share_is_its_own(counts):
    shares = [proportion(*count) for count in counts]
    found = mean_share(shares)
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1
    own = mean_share(shares[:1])
    assert all(math.isclose(own[end], shares[0][end], abs_tol=1e-12) for end in own)
