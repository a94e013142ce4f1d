"""What a model's answers on a catalogue's tracks are worth: scores, calibration, and a row for each track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from genre_lib import metrics
from genre_lib.answers import UNKNOWN, Answers
from genre_lib.calibration import error_by_chance, likelihood_loss
from genre_lib.clips import probabilities
from genre_lib.comparison import share_interval
from genre_lib.data.catalogue import Catalogue
from genre_lib.metrics import ReliabilityBins
from genre_lib.networks.folder import LoadedModel

TEMPERATURE_SPLIT = "valid"
"""The split that training fits the temperature on, and chooses the epoch by."""


def scores_of(answers: Answers, chosen: Catalogue, seed: int) -> dict[str, Any]:
    """Accuracy, macro-F1, and the genres' own numbers, over the genres that occur as target or as prediction."""
    heard = answers.heard
    unknown = sorted(not_covered(answers, chosen))
    genres = [*answers.genres, *unknown]
    extra = chosen.tracks["genre"].map({genre: len(answers.genres) + i for i, genre in enumerate(unknown)})
    targets = np.where(answers.targets == UNKNOWN, extra, answers.targets)[heard].astype(np.int64)
    predicted = answers.predicted()[heard]
    occurring = np.union1d(targets, predicted)
    matrix = metrics.confusion(targets, predicted, len(genres))[np.ix_(occurring, occurring)]
    names = [genres[found] for found in occurring]
    return {
        "accuracy": metrics.bootstrap_interval(targets, predicted, metrics.accuracy, seed=seed).to_json(),
        "macro_f1": metrics.bootstrap_interval(targets, predicted, metrics.macro_f1, seed=seed).to_json(),
        "per_genre": metrics.per_genre_report(matrix, names),
        "confusion": {"genres": names, "matrix": matrix.tolist()},
    }


def per_source(answers: Answers, chosen: Catalogue, seed: int) -> dict[str, Any]:
    """Accuracy on each of the catalogue's sources, with its number of tracks."""
    right = pd.Series(answers.right())[answers.heard]
    groups = right.groupby(chosen.tracks["source"][answers.heard])
    return {
        str(source): {"tracks": len(rows), **share_interval(rows.to_numpy(), seed).to_json()} for source, rows in groups
    }


def not_covered(answers: Answers, chosen: Catalogue) -> dict[str, int]:
    """Genres that the model does not know, with their number of tracks."""
    unknown = chosen.tracks["genre"][answers.targets == UNKNOWN]
    return {str(genre): int(count) for genre, count in unknown.value_counts().sort_index().items()}


@dataclass(frozen=True)
class Calibration:
    """How far confidences are from how often they are right, at temperature 1 and at the model's."""

    content: dict[str, Any]
    before: ReliabilityBins
    after: ReliabilityBins


def calibrate(model: LoadedModel, answers: Answers, split: str, seed: int) -> Calibration:
    """Calibration error and mean negative log-likelihood at temperature 1 and at the model's.

    On the split that the temperature was fitted on, "after" is cross-fitted, so that no track scores a temperature that
    it helped to choose. Tracks of genres that the model does not know are left out.
    """
    usable = answers.heard & (answers.targets != UNKNOWN)
    logits, targets = answers.logits[usable], answers.targets[usable]
    temperature = model.inference.temperature
    cross_fitted = split == TEMPERATURE_SPLIT and temperature != 1.0
    before = probabilities(logits)
    after = (
        metrics.cross_fitted_probabilities(logits, targets, seed=seed)
        if cross_fitted
        else probabilities(logits, temperature)
    )
    errors = [metrics.expected_calibration_error(each, targets) for each in (before, after)]
    losses = [likelihood_loss(each, targets) for each in (before, after)]
    low, high = error_by_chance(after, seed=seed)
    content = {
        "temperature": temperature,
        "ece_before": errors[0],
        "ece_after": errors[1],
        "ece_by_chance": {"low": low, "high": high},
        "nll_before": losses[0],
        "nll_after": losses[1],
        "cross_fitted": cross_fitted,
        "fitted_on": model.inference.calibrated_on,
        "bins": metrics.CALIBRATION_BINS,
    }
    return Calibration(content, *(metrics.reliability_bins(each, targets) for each in (before, after)))


def table_of(answers: Answers, other: Answers | None, chosen: Catalogue, temperature: float) -> pd.DataFrame:
    """A row for each track, as :class:`genre_lib.evaluation.Evaluation` has them."""
    heard = answers.heard
    table = chosen.tracks[["path", "genre"]].copy()
    table["predicted"] = answers.names()
    table["confidence"] = probabilities(answers.logits, temperature).max(axis=1)
    table["right"] = pd.Series(answers.right(), dtype=object).where(heard, None)
    table["error"] = answers.errors
    if other is not None:
        table["base_predicted"] = other.names()
        table["base_right"] = pd.Series(other.right(), dtype=object).where(other.heard, None)
    return table
