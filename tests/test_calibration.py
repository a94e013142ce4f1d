from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from genre_lib.calibration import error_by_chance, likelihood_loss, serving_temperature
from genre_lib.metrics import cross_fitted_probabilities, fit_temperature, negative_log_likelihood


def answered(tracks: int, sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are ``sharpness`` times those that the tracks' genres were drawn by."""
    generator = np.random.default_rng(seed)
    logits = 2 * generator.normal(size=(tracks, 5))
    targets = [generator.choice(5, p=row) for row in softmax(logits, axis=1)]
    return sharpness * logits, np.array(targets)


def test_a_temperature_that_serves_is_the_fitted_one():
    logits, targets = answered(400, 3.0)
    assert serving_temperature(logits, targets) == fit_temperature(logits, targets) == pytest.approx(3.0, rel=0.15)


def test_none_where_other_tracks_are_no_likelier_by_it():
    kept = 0
    for seed in range(20):
        logits, targets = answered(30, 1.0, seed)
        found = serving_temperature(logits, targets)
        after = likelihood_loss(cross_fitted_probabilities(logits, targets), targets)
        assert found == (fit_temperature(logits, targets) if after < negative_log_likelihood(logits, targets) else 1.0)
        kept += found == 1.0
    assert kept > 10
    assert serving_temperature(np.array([[2.0, 0.0]]), np.array([1])) == 1.0


def test_the_loss_is_that_of_the_tracks_own_genre():
    found = likelihood_loss(np.array([[0.5, 0.5], [0.75, 0.25]]), np.array([0, 1]))
    assert found == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert np.isfinite(likelihood_loss(np.array([[1.0, 0.0]]), np.array([1])))


def test_the_error_by_chance_is_that_of_a_tossed_coin():
    """Of two tracks at 0.75 two, one or none are right: gaps of 0.25, 0.25 and 0.75, with 9, 6 and 1 in 16."""
    low, high = error_by_chance(np.array([[0.75, 0.25]] * 2), confidence=0.95)
    assert (low, high) == (pytest.approx(0.25), pytest.approx(0.75))
    low, high = error_by_chance(np.array([[0.75, 0.25]] * 2), confidence=0.8)
    assert (low, high) == (pytest.approx(0.25), pytest.approx(0.25))
    certain = np.array([[1.0, 0.0]] * 3)
    assert error_by_chance(certain) == (0.0, 0.0)


def test_more_tracks_leave_less_to_chance():
    few, many = (error_by_chance(softmax(answered(tracks, 1.0)[0], axis=1)) for tracks in (30, 3000))
    assert many[1] < few[0]
