"""Cutting tracks into clips and pooling what is said about them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genre_lib.clips import batches_by_length, cut, pool, probabilities, starts
from genre_lib.errors import ConfigurationError


@pytest.mark.parametrize(
    ("length", "clip", "hop", "expected"),
    [
        (12, 4, 4, [0, 4, 8]),  # fits exactly
        (13, 4, 4, [0, 4, 8, 9]),  # the last is aligned to the end
        (10, 4, 3, [0, 3, 6]),
        (4, 4, 1, [0]),
        (2, 4, 4, [0]),  # shorter than a clip
        (10, 3, 8, [0, 7]),  # gaps, and yet the end is heard
    ],
)
def test_starts(length: int, clip: int, hop: int, expected: list[int]) -> None:
    assert starts(length, clip, hop) == expected


def test_starts_in_frames_are_those_in_samples() -> None:
    frame = 256
    assert [frame * start for start in starts(1000, 100, 30)] == starts(1000 * frame, 100 * frame, 30 * frame)


def test_every_sample_is_heard() -> None:
    clips = cut(np.arange(1003, dtype=np.float32), sample_rate=10, clip_seconds=7.0, hop_seconds=5.0)
    assert clips.shape[1] == 70
    assert set(clips.ravel().tolist()) == set(range(1003))


def test_clips_stand_side_by_side_by_default() -> None:
    clips = cut(np.arange(9, dtype=np.float32), sample_rate=2, clip_seconds=2.0)
    assert clips.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [5, 6, 7, 8]]


def test_a_short_track_is_repeated() -> None:
    assert cut(np.array([1, 2, 3], np.float32), 1, 7.0).tolist() == [[1, 2, 3, 1, 2, 3, 1]]


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.zeros((2, 5), np.float32)])
def test_what_is_no_waveform_is_refused(waveform: np.ndarray) -> None:
    with pytest.raises(ConfigurationError, match="mono waveform"):
        cut(waveform, 1, 1.0)


@pytest.mark.parametrize(("clip", "hop"), [(0.0, 1.0), (1.0, 0.0), (1.0, -1.0)])
def test_clips_and_hops_must_last(clip: float, hop: float) -> None:
    with pytest.raises(ConfigurationError, match="longer than nothing"):
        cut(np.ones(5, np.float32), 1, clip, hop)


def test_a_short_track_may_be_left_as_it_is() -> None:
    assert cut(np.arange(5, dtype=np.float32), 10, 1.0, shortest_seconds=0.3).tolist() == [[0, 1, 2, 3, 4]]
    assert cut(np.arange(2, dtype=np.float32), 10, 1.0, shortest_seconds=0.3).tolist() == [[0, 1, 0]]
    assert cut(np.arange(5, dtype=np.float32), 10, 1.0, shortest_seconds=2.0).shape == (1, 10)


def test_batches_are_of_clips_of_a_length() -> None:
    assert batches_by_length([3, 3, 3], 2) == [[0, 1], [2]]
    assert batches_by_length([8, 10, 5, 8], 9) == [[2], [0, 3], [1]]
    assert batches_by_length([8, 10, 5, 8], 9, stretch=1.25) == [[2], [0, 3, 1]]
    assert batches_by_length([8, 10, 5, 8], 9, stretch=float("inf")) == [[2, 0, 3, 1]]
    assert batches_by_length([], 9) == []


def test_pool_is_the_mean_and_keeps_the_kind() -> None:
    logits = [[1.0, 5.0], [3.0, -1.0]]
    assert pool(np.array(logits)).tolist() == [2.0, 2.0]
    pooled = pool(torch.tensor(logits))
    assert isinstance(pooled, torch.Tensor)
    assert pooled.tolist() == [2.0, 2.0]


def test_pool_by_weights() -> None:
    assert pool(np.array([[1.0, 5.0], [3.0, -1.0]]), np.array([3.0, 1.0])).tolist() == [1.5, 3.5]


def test_probabilities() -> None:
    odds = np.log([1.0, 2.0, 5.0])
    assert probabilities(odds) == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    assert probabilities(2 * odds, temperature=2.0) == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    assert probabilities(torch.tensor(odds)).tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8])
    assert probabilities(np.array([[1e4, 0.0], [0.0, 0.0]])).tolist() == [[1.0, 0.0], [0.5, 0.5]]
