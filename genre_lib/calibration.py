"""Whether a temperature serves, and what a calibration error on so few tracks can tell.

Sources:
    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017 (arXiv:1706.04599).
    Stone, "Cross-Validatory Choice and Assessment of Statistical Predictions", J. R. Stat. Soc. B 36, 1974.
    Bröcker and Smith, "Increasing the Reliability of Reliability Diagrams", Weather and Forecasting 22, 2007.
"""

from __future__ import annotations

import numpy as np

from genre_lib.metrics import (
    CALIBRATION_BINS,
    CONFIDENCE,
    RESAMPLES,
    cross_fitted_probabilities,
    fit_temperature,
    negative_log_likelihood,
    reliability_members,
)


def serving_temperature(logits: np.ndarray, targets: np.ndarray, *, seed: int = 0) -> float:
    """The fitted temperature where tracks that it was not fitted on are likelier by it, and 1 where they are not.

    A temperature is fitted to the likelihood, and so it is judged by it, cross-fitted (Stone 1974); the calibration
    error is too much chance on a few dozen tracks to decide anything. That spares networks that are right as often as
    they say; one that is much too sure is sometimes left so by a dozen tracks, which are too few to show it.

    Args:
        logits: float [tracks, classes].
        targets: class ids, int [tracks].
    """
    before = negative_log_likelihood(logits, targets)
    after = likelihood_loss(cross_fitted_probabilities(logits, targets, seed=seed), targets)
    return fit_temperature(logits, targets) if after < before else 1.0


def likelihood_loss(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean of -log of the probability [tracks, classes] of each track's own genre, in nats; 1e-12 at least."""
    own = probabilities[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(own, 1e-12)).mean())


def error_by_chance(
    probabilities: np.ndarray,
    *,
    bins: int = CALIBRATION_BINS,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> tuple[float, float]:
    """Between what calibration errors fall where these confidences are right just as often as they say.

    Each track is right as often as its confidence, and the error is taken of each such draw (consistency resampling,
    Bröcker and Smith 2007). An error within tells nothing against the confidences.
    """
    confidences = probabilities.max(axis=1)
    members = np.eye(bins)[reliability_members(confidences, bins)]
    generator = np.random.default_rng(seed)
    errors = [
        np.abs(((generator.random(len(confidences)) < confidences) - confidences) @ members).sum()
        for _ in range(resamples)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(errors, [tail, 1 - tail]) / len(confidences)
    return float(low), float(high)
