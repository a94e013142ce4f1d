"""Confident learning by hand."""

from __future__ import annotations

import numpy as np

from genre_lib.doubtful_labels import doubts, thresholds

TARGETS = np.array([0, 0, 0, 1, 1, 1])
PROBABILITIES = np.array(
    [
        [0.9, 0.1, 0.0],  # as labelled
        [0.7, 0.3, 0.0],
        [0.1, 0.9, 0.0],  # another genre, and more so than tracks of that genre are on average
        [0.2, 0.8, 0.0],
        [0.6, 0.4, 0.0],  # likelier another genre, and above that genre's average of 0.567
        [0.5, 0.4, 0.1],  # likelier another genre, and below that average
    ]
)


def test_a_genres_threshold_is_what_its_own_tracks_get_on_average():
    found = thresholds(PROBABILITIES, TARGETS)
    assert np.allclose(found[:2], [(0.9 + 0.7 + 0.1) / 3, (0.8 + 0.4 + 0.4) / 3])
    assert found[2] == np.inf


def test_doubtful_is_what_another_genre_is_confident_of():
    found = doubts(PROBABILITIES, TARGETS)
    assert found.doubtful(TARGETS).tolist() == [False, False, True, False, True, False]
    assert found.suggested.tolist() == [0, 0, 1, 1, 0, 1]
    assert np.allclose(found.margin, [0.8, 0.4, -0.8, 0.6, -0.2, -0.1])


def test_where_every_label_is_borne_out_none_is_doubtful():
    certain = np.eye(3)[[0, 1, 2, 0]]
    assert not doubts(certain, np.array([0, 1, 2, 0])).doubtful(np.array([0, 1, 2, 0])).any()


def test_a_genre_that_is_never_sure_is_held_to_what_it_can_be():
    """A threshold of a half for all would miss it: genre 1's own tracks get 0.4 on average, and this one gets 0.45."""
    unsure = np.array([[0.7, 0.2, 0.1], [0.35, 0.45, 0.2], [0.3, 0.4, 0.3], [0.3, 0.4, 0.3], [0.1, 0.1, 0.8]])
    targets = np.array([0, 0, 1, 1, 2])
    assert doubts(unsure, targets).doubtful(targets).tolist() == [False, True, False, False, False]
