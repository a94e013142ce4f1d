"""Scores by arithmetic, by scikit-learn and by published values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import classification_report, confusion_matrix, f1_score

from genre_lib import metrics


@pytest.fixture
def guesses() -> tuple[np.ndarray, np.ndarray]:
    """200 targets of 5 genres, and predictions that are right about two times in three."""
    random = np.random.default_rng(1)
    targets = random.integers(0, 5, 200)
    return targets, np.where(random.random(200) < 0.6, targets, random.integers(0, 5, 200))


def test_accuracy_counts_the_right_ones():
    assert metrics.accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])) == 0.75


def test_weights_repeat_tracks():
    targets, predicted = np.array([0, 1, 2]), np.array([0, 1, 1])
    weights = np.array([[1, 1, 1], [3, 0, 0], [0, 1, 2]])
    assert metrics.accuracy(targets, predicted, weights) == pytest.approx([2 / 3, 1, 1 / 3])
    repeated = metrics.macro_f1(np.array([1, 2, 2]), np.array([1, 1, 1]))
    assert metrics.macro_f1(targets, predicted, weights)[2] == pytest.approx(repeated)


def test_macro_f1_is_scikit_learns(guesses):
    targets, predicted = guesses
    assert metrics.macro_f1(targets, predicted) == pytest.approx(f1_score(targets, predicted, average="macro"))


def test_macro_f1_leaves_out_genres_without_tracks():
    targets, predicted = np.array([0, 0, 1, 1]), np.array([0, 7, 1, 1])
    assert metrics.macro_f1(targets, predicted) == pytest.approx((2 / 3 + 1) / 2)


def test_confusion_and_report_are_scikit_learns(guesses):
    targets, predicted = guesses
    matrix = metrics.confusion(targets, predicted, 5)
    assert (matrix == confusion_matrix(targets, predicted)).all()
    expected = classification_report(targets, predicted, target_names=list("abcde"), output_dict=True)
    for genre, row in metrics.per_genre_report(matrix, list("abcde")).items():
        assert row["precision"] == pytest.approx(expected[genre]["precision"])
        assert row["recall"] == pytest.approx(expected[genre]["recall"])
        assert row["f1"] == pytest.approx(expected[genre]["f1-score"])
        assert row["support"] == expected[genre]["support"]


def test_a_genre_that_is_never_seen_scores_zero():
    report = metrics.per_genre_report(np.array([[2, 0], [0, 0]]), ["jazz", "polka"])
    assert report["polka"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


def test_interval_agrees_with_the_binomial_one():
    targets = np.zeros(400, dtype=int)
    predicted = (np.arange(400) >= 320).astype(int)
    interval = metrics.bootstrap_interval(targets, predicted, resamples=4000)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 400)
    assert interval.value == 0.8
    assert interval.low == pytest.approx(0.8 - half, abs=0.006)
    assert interval.high == pytest.approx(0.8 + half, abs=0.006)


def test_interval_is_the_seeds_and_does_not_depend_on_chunks(guesses, monkeypatch):
    first = metrics.bootstrap_interval(*guesses, metrics.macro_f1, seed=3)
    monkeypatch.setattr(metrics, "RESAMPLE_CELLS", 5000)
    assert metrics.bootstrap_interval(*guesses, metrics.macro_f1, seed=3) == first
    assert metrics.bootstrap_interval(*guesses, metrics.macro_f1, seed=4) != first


def test_where_all_tracks_are_right_the_interval_is_wilsons():
    """Its lower bound for n of n is 1 / (1 + z² / n) with z = 1.96."""
    targets = np.array([0, 1, 2])
    interval = metrics.bootstrap_interval(targets, targets)
    assert (interval.value, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(1 / (1 + 1.959964**2 / len(targets)))


def test_paired_difference_of_equal_models_is_zero_and_narrower_than_unpaired(guesses):
    targets, predicted = guesses
    assert metrics.paired_bootstrap(targets, predicted, predicted) == metrics.Interval(0.0, 0.0, 0.0)
    other = predicted.copy()
    other[:10] = (targets[:10] + 1) % 5
    paired = metrics.paired_bootstrap(targets, predicted, other)
    single = metrics.bootstrap_interval(targets, predicted)
    assert paired.value == pytest.approx(np.mean(predicted == targets) - np.mean(other == targets))
    assert paired.high - paired.low < single.high - single.low


@pytest.mark.parametrize(("better", "worse", "p"), [(1, 9, 0.021484375), (9, 1, 0.021484375), (0, 0, 1.0), (5, 5, 1.0)])
def test_mcnemar_exact(better, worse, p):
    assert metrics.mcnemar_exact(better, worse) == pytest.approx(p)


def test_disagreements_count_each_side():
    targets = np.array([0, 0, 0, 1, 1])
    assert metrics.disagreements(targets, np.array([0, 0, 1, 1, 0]), np.array([0, 1, 0, 0, 0])) == (2, 1)


def test_calibration_error_by_hand():
    """Two tracks at 0.9, one right: gap 0.4. Two at 0.6, both right: gap 0.4. Half and half: 0.4."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert metrics.expected_calibration_error(probabilities, np.array([0, 1, 0, 0])) == pytest.approx(0.4)


def test_opposite_gaps_in_different_bins_do_not_cancel():
    probabilities = np.array([[1.0, 0.0], [0.5, 0.5]])
    assert metrics.expected_calibration_error(probabilities, np.array([1, 0])) == pytest.approx(0.75)


def test_reliability_bins_are_closed_above():
    bins = metrics.reliability_bins(np.array([[0.8, 0.2], [1.0, 0.0]]), np.array([0, 0]), bins=5)
    assert bins.count.tolist() == [0, 0, 0, 1, 1]
    assert np.isnan(bins.accuracy[0])
    assert bins.confidence[3:] == pytest.approx([0.8, 1.0])


def test_temperature_is_found_again():
    """Labels drawn from softmax(logits), logits then multiplied by 3: the temperature is 3."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (20000, 4))
    targets = np.array([random.choice(4, p=p) for p in softmax(logits, axis=1)])
    assert metrics.fit_temperature(3 * logits, targets) == pytest.approx(3, rel=0.03)
    before = metrics.expected_calibration_error(softmax(3 * logits, axis=1), targets)
    after = metrics.expected_calibration_error(softmax(logits, axis=1), targets)
    assert after < 0.02 < before


def test_tracks_that_are_all_right_do_not_make_the_model_certain():
    """Three of three right: the right genre is (3 + 1) / (3 + 2) = 0.8 likely, so 5 / T = log(0.8 / 0.2)."""
    margin = np.array([[5.0, 0.0], [0.0, 5.0], [5.0, 0.0]])
    assert metrics.fit_temperature(margin, np.array([0, 1, 0])) == pytest.approx(5 / np.log(4), rel=1e-3)


def test_temperature_stays_in_bounds():
    sure = np.array([[5.0, 0.0], [0.0, 5.0], [5.0, 0.0]])
    assert metrics.fit_temperature(0.01 * sure, np.array([0, 1, 0])) == pytest.approx(0.25, rel=1e-3)
    assert metrics.fit_temperature(100 * sure, np.array([1, 0, 1])) == pytest.approx(10, rel=1e-3)
    assert metrics.fit_temperature(sure[:1], np.array([0])) == 1.0


def test_cross_fitting_uses_other_tracks_only():
    """Each of two tracks gets the temperature of the other alone, which is 1."""
    logits = np.array([[4.0, 0.0], [0.0, 2.0]])
    assert metrics.cross_fitted_probabilities(logits, np.array([0, 1])) == pytest.approx(softmax(logits, axis=1))


def test_cross_fitting_keeps_the_prediction_and_approaches_the_fit():
    random = np.random.default_rng(0)
    logits = random.normal(0, 4, (3000, 3))
    targets = np.array([random.choice(3, p=p) for p in softmax(logits / 2, axis=1)])
    crossed = metrics.cross_fitted_probabilities(logits, targets)
    assert (crossed.argmax(axis=1) == logits.argmax(axis=1)).all()
    fitted = softmax(logits / metrics.fit_temperature(logits, targets), axis=1)
    assert crossed == pytest.approx(fitted, abs=0.03)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="as many predictions"):
        metrics.accuracy(np.array([0, 1]), np.array([0]))
    with pytest.raises(ValueError, match="one at least"):
        metrics.bootstrap_interval(np.array([], dtype=int), np.array([], dtype=int))
