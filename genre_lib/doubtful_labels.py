"""Which labels a model that never saw them contradicts: confident learning.

Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70 (2021),
arXiv:1911.00068. A track counts as another genre than its label where the model gives that genre more than it gives the
tracks that bear it on average, so that a genre of which the model is never sure is held to what it can be sure of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Doubts:
    """What confident learning says of each track's label.

    Args:
        suggested: [tracks] genre id that the track counts as; its label where there is nothing to say.
        margin: [tracks] probability of the label less that of the likeliest other genre, from -1 to 1; the lower, the
            more the label is contradicted.
    """

    suggested: np.ndarray
    margin: np.ndarray

    def doubtful(self, targets: np.ndarray) -> np.ndarray:
        """Whether a track counts as another genre than it is labelled: bool [tracks]."""
        return self.suggested != targets


def doubts(probabilities: np.ndarray, targets: np.ndarray) -> Doubts:
    """Compare labels with what a model says that was fitted without them.

    Args:
        probabilities: [tracks, genres], each track's by a model that was fitted on others.
        targets: [tracks] genre ids, the labels.
    """
    rows = np.arange(len(targets))
    own = probabilities[rows, targets]
    others = probabilities.copy()
    others[rows, targets] = -np.inf
    confident = probabilities >= thresholds(probabilities, targets)
    candidates = np.where(confident, probabilities, -np.inf)
    suggested = np.where(confident.any(axis=1), candidates.argmax(axis=1), targets)
    return Doubts(suggested, own - others.max(axis=1))


def thresholds(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The mean probability of each genre over the tracks that bear it [genres]; infinite for a genre without any."""
    genres = range(probabilities.shape[1])
    return np.array([probabilities[targets == g, g].mean() if (targets == g).any() else np.inf for g in genres])
