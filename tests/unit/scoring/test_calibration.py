"""Reliability curve and expected calibration error."""

import pytest

from unblind.scoring.calibration import calibration


def test_bins_and_error():
    found = calibration([0.95, 0.92, 0.55, 0.5, 1.0], [True, False, True, False, True])
    assert found["n"] == 5
    half, high = found["bins"]
    assert (half["from"], half["to"], half["n"], half["value"]) == (0.5, 0.6, 2, 0.5)
    assert half["probability"] == pytest.approx(0.525)
    assert high["n"] == 3 and high["value"] == pytest.approx(2 / 3)
    assert found["ece"] == pytest.approx((2 * 0.025 + 3 * ((0.95 + 0.92 + 1) / 3 - 2 / 3)) / 5)


def test_a_model_that_knows_what_it_knows_has_no_error():
    assert calibration([1.0] * 4, [True] * 4)["ece"] == 0
    assert calibration([0.75] * 4, [True, True, True, False])["ece"] == pytest.approx(0)


def test_unknown_probabilities_are_left_out():
    assert calibration([None, 0.2], [True, False])["n"] == 1
    assert calibration([None], [True]) is None
