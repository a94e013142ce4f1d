"""How good are the predictions, and how sure can one be of that: scores, intervals, tests and calibration.

Pure functions over arrays. ``targets`` and ``predicted`` are class ids, int [tracks]; ``logits`` and ``probabilities``
are float [tracks, classes]. A track is one observation: clips are pooled before anything here sees them.

Sources:
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile intervals).
    McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12, 1947.
    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017 (arXiv:1706.04599).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import binomtest

RESAMPLES = 2000
CONFIDENCE = 0.95
CALIBRATION_BINS = 15
TEMPERATURE_BOUNDS = (0.25, 10.0)
RESAMPLE_CELLS = 4_000_000
"""Most cells of a resampling matrix held at once, so that memory stays flat for large test sets."""

Statistic = Callable[..., np.ndarray | float]
"""``(targets, predicted, weights=None)``: a float, or float [resamples] for weights [resamples, tracks]."""


@dataclass(frozen=True)
class Interval:
    """A value, and the ends of its confidence interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


def accuracy(targets: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray | float:
    """Share of tracks whose predicted genre is theirs.

    Args:
        weights: how often each track counts, [tracks] or [resamples, tracks]; once, if None.
    """
    right = _same_length(targets, predicted)
    if weights is None:
        return float(right.mean())
    return weights @ right / weights.sum(axis=-1)


def macro_f1(targets: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray | float:
    """Mean over the genres that occur in ``targets`` of F1 = 2 TP / (2 TP + FP + FN).

    Genres that a model knows and the tracks do not have are no rows of the mean: a wrong prediction of one
    already lowers the recall of the genre it was taken for. A genre that a resample did not draw is left out
    of that resample's mean.
    """
    right = _same_length(targets, predicted)
    weights = np.ones(len(right)) if weights is None else weights
    classes = np.unique(targets)
    is_target = targets[:, None] == classes
    support = weights @ is_target.astype(np.float64)
    hits = weights @ (is_target & right[:, None]).astype(np.float64)
    guesses = weights @ (predicted[:, None] == classes).astype(np.float64)
    f1 = np.divide(2 * hits, support + guesses, out=np.zeros_like(hits), where=support > 0)
    means = f1.sum(axis=-1) / (support > 0).sum(axis=-1)
    return float(means) if means.ndim == 0 else means


def confusion(targets: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Number of tracks of each genre (row) that were taken for each (column): int [classes, classes]."""
    _same_length(targets, predicted)
    matrix = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(matrix, (targets, predicted), 1)
    return matrix


def per_genre_report(matrix: np.ndarray, genres: Sequence[str]) -> dict[str, dict[str, float | int]]:
    """Precision, recall, F1 and support of each genre, from a confusion matrix; a share of nothing is 0."""
    hits, support, guesses = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return {
        genre: {
            "precision": _share(hits[i], guesses[i]),
            "recall": _share(hits[i], support[i]),
            "f1": _share(2 * hits[i], support[i] + guesses[i]),
            "support": int(support[i]),
        }
        for i, genre in enumerate(genres)
    }


def bootstrap_interval(
    targets: np.ndarray,
    predicted: np.ndarray,
    statistic: Statistic = accuracy,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a statistic over tracks drawn with replacement (Efron and Tibshirani, chapter 13).

    It tells what other tracks like these might have given. It does not know that tracks of one artist resemble
    each other, and so is somewhat too narrow where few artists have many tracks each. Where all tracks are right, or
    all wrong, every draw is the same; then it is Wilson's interval of that share (Wilson 1927).
    """
    right = int(_same_length(targets, predicted).sum())
    if right in (0, len(targets)):
        return replace(wilson_interval(right, len(targets), confidence), value=float(statistic(targets, predicted)))
    draws = [statistic(targets, predicted, weights) for weights in _resamples(len(targets), resamples, seed)]
    return _interval(float(statistic(targets, predicted)), np.concatenate(draws), confidence)


def wilson_interval(right: int, tracks: int, confidence: float = CONFIDENCE) -> Interval:
    """The share of tracks that are right, and its interval (Wilson 1927), which holds for few tracks, too."""
    share = binomtest(right, tracks).proportion_ci(confidence, method="wilson")
    return Interval(right / tracks, float(share.low), float(share.high))


def paired_bootstrap(
    targets: np.ndarray,
    predicted: np.ndarray,
    other: np.ndarray,
    statistic: Statistic = accuracy,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """Percentile interval of ``statistic(predicted) - statistic(other)``, both on the same drawn tracks.

    Pairing removes what the two models share (easy and hard tracks), which the two separate intervals do not.
    """
    draws = [
        statistic(targets, predicted, weights) - statistic(targets, other, weights)
        for weights in _resamples(len(targets), resamples, seed)
    ]
    difference = statistic(targets, predicted) - statistic(targets, other)
    return _interval(float(difference), np.concatenate(draws), confidence)


def disagreements(targets: np.ndarray, predicted: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """Tracks that only ``predicted`` has right, and tracks that only ``other`` has right."""
    mine, theirs = _same_length(targets, predicted), _same_length(targets, other)
    return int((mine & ~theirs).sum()), int((~mine & theirs).sum())


def mcnemar_exact(better: int, worse: int) -> float:
    """Two-sided p of McNemar's exact test: could ``better`` against ``worse`` be the toss of a fair coin?

    Twice the binomial tail at ``min(better, worse)`` of ``better + worse`` tosses; 1 where the models never differ.

    >>> round(mcnemar_exact(1, 9), 4)
    0.0215
    """
    tosses = better + worse
    return float(binomtest(better, tosses, 0.5).pvalue) if tosses else 1.0


@dataclass(frozen=True)
class ReliabilityBins:
    """Tracks sorted into equal-width bins of confidence; each field is [bins], NaN where a bin is empty."""

    low: np.ndarray
    high: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability_bins(probabilities: np.ndarray, targets: np.ndarray, bins: int = CALIBRATION_BINS) -> ReliabilityBins:
    """Mean confidence and accuracy in each of the bins ((m-1)/M, m/M] of the confidence of the top genre."""
    confidence = probabilities.max(axis=1)
    right = _same_length(targets, probabilities.argmax(axis=1)).astype(np.float64)
    edges, member = np.linspace(0.0, 1.0, bins + 1), reliability_members(confidence, bins)
    count = np.bincount(member, minlength=bins)
    totals = (np.bincount(member, weights=values, minlength=bins) for values in (confidence, right))
    means = [np.divide(total, count, out=np.full(bins, np.nan), where=count > 0) for total in totals]
    return ReliabilityBins(edges[:-1], edges[1:], count, *means)


def reliability_members(confidence: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """Which of the bins ((m-1)/M, m/M] each confidence [tracks] is in, counted from 0."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    return np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)


def expected_calibration_error(probabilities: np.ndarray, targets: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Mean gap between confidence and accuracy: sum over bins of n_m / n * |accuracy_m - confidence_m|.

    Guo et al. 2017, equation 3, with their 15 bins. With n tracks even a perfectly calibrated model scores up
    to about 0.4 sqrt(bins / n) by chance, so below a few hundred tracks only large differences mean something.
    """
    sorted_bins = reliability_bins(probabilities, targets, bins)
    gaps = np.abs(sorted_bins.accuracy - sorted_bins.confidence)
    return float(np.nansum(gaps * sorted_bins.count) / len(targets))


def negative_log_likelihood(logits: np.ndarray, targets: np.ndarray, temperature: float = 1.0) -> float:
    """Mean of -log softmax(logits / temperature) at each track's own genre, in nats."""
    log_probabilities = log_softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)
    return float(-log_probabilities[np.arange(len(targets)), targets].mean())


def fit_temperature(logits: np.ndarray, targets: np.ndarray, bounds: tuple[float, float] = TEMPERATURE_BOUNDS) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al. 2017, section 4.2).

    The right genre counts as (n + 1) / (n + 2) likely for n tracks, and the others share the rest (Platt 1999,
    section 2.2). Otherwise, where every track is right, the loss would fall for ever with the temperature, and a few
    easy tracks would make the model certain of everything. One track or none tells nothing: 1.
    """
    if len(targets) < 2:
        return 1.0
    logits = np.asarray(logits, dtype=np.float64)
    likely = _platt_targets(np.asarray(targets), logits.shape[1])
    found = minimize_scalar(
        lambda log_t: -float((likely * log_softmax(logits / np.exp(log_t), axis=1)).sum(1).mean()),
        bounds=tuple(np.log(bounds)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.clip(np.exp(found.x), *bounds))


def _platt_targets(targets: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities [tracks, classes] with 1 / (n + 2) taken from the right class and given to the others."""
    spare = 1 / (len(targets) + 2)
    likely = np.full((len(targets), classes), spare / max(1, classes - 1))
    likely[np.arange(len(targets)), targets] = 1 - spare
    return likely


def cross_fitted_probabilities(logits: np.ndarray, targets: np.ndarray, *, folds: int = 5, seed: int = 0) -> np.ndarray:
    """Probabilities [tracks, classes], each track's scaled by a temperature that was fitted without it.

    For the calibration error "after" where there are no other tracks than those the temperature is fitted on:
    fitting and measuring on the same ones would flatter.
    """
    logits = np.asarray(logits, dtype=np.float64)
    fold = np.random.default_rng(seed).permutation(len(targets)) % max(1, min(folds, len(targets)))
    scaled = np.empty_like(logits)
    for number in np.unique(fold):
        inside = fold == number
        scaled[inside] = logits[inside] / fit_temperature(logits[~inside], targets[~inside])
    return softmax(scaled, axis=1)


def _same_length(targets: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Which tracks are right, bool [tracks]."""
    if len(targets) != len(predicted) or len(targets) == 0:
        raise ValueError(
            f"expected as many predictions as targets, and one at least; got {len(predicted)} and {len(targets)}"
        )
    return np.asarray(targets) == np.asarray(predicted)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _resamples(tracks: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each track is drawn in each resample, float [some resamples, tracks], in chunks."""
    if tracks == 0:
        raise ValueError("expected one track at least to draw from; got none")
    generator = np.random.default_rng(seed)
    chunk = max(1, RESAMPLE_CELLS // tracks)
    even = np.full(tracks, 1 / tracks)
    for start in range(0, resamples, chunk):
        yield generator.multinomial(tracks, even, size=min(chunk, resamples - start)).astype(np.float64)


def _interval(value: float, draws: np.ndarray, confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(value, float(low), float(high))
