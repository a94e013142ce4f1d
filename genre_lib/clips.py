"""Cutting a track into clips, and its inverse for what a network says about them: predict on clips, report on tracks.

Validation, evaluation and serving use this same pair, so that a score means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, overload

import numpy as np
import torch

from genre_lib.errors import ConfigurationError

Array = TypeVar("Array", np.ndarray, torch.Tensor)


def starts(length: int, clip: int, hop: int) -> list[int]:
    """Where clips begin, in samples or frames: one every ``hop``, the last right-aligned so that the end is heard.

    >>> starts(10, 4, 3), starts(11, 4, 3), starts(2, 4, 3)
    ([0, 3, 6], [0, 3, 6, 7], [0])

    Raises:
        ConfigurationError: ``clip`` or ``hop`` is not above zero.
    """
    if clip < 1 or hop < 1:
        raise ConfigurationError(
            f"Clips and hops must last longer than nothing; got a clip of {clip} and a hop of {hop}."
        )
    regular = list(range(0, max(length - clip, 0) + 1, hop))
    last = max(length - clip, 0)
    return regular if regular[-1] == last else [*regular, last]


def views(
    waveform: np.ndarray,
    sample_rate: int,
    clip_seconds: float,
    hop_seconds: float | None = None,
    shortest_seconds: float | None = None,
) -> list[np.ndarray]:
    """The clips of :func:`cut` as views of the waveform, so that an hour of audio is not copied to be cut."""
    if waveform.ndim != 1 or not len(waveform):
        raise ConfigurationError(f"Expected a mono waveform [samples] with samples in it; got shape {waveform.shape}.")
    clip = round(clip_seconds * sample_rate)
    hop = clip if hop_seconds is None else round(hop_seconds * sample_rate)
    begins = starts(len(waveform), clip, hop)
    if len(waveform) < clip:
        least = clip if shortest_seconds is None else min(round(shortest_seconds * sample_rate), clip)
        return [waveform if len(waveform) >= least else np.resize(waveform, least)]
    return [waveform[begin : begin + clip] for begin in begins]


def cut(
    waveform: np.ndarray,
    sample_rate: int,
    clip_seconds: float,
    hop_seconds: float | None = None,
    shortest_seconds: float | None = None,
) -> np.ndarray:
    """Cut a waveform [samples] into clips [clips, clip_samples], one every ``hop_seconds`` (a clip's length if None).

    The last clip ends where the track ends, and so may overlap the one before. A track shorter than a clip is repeated
    until it fills one, for silence in its place would be a sound that no clip in training has. For a network that takes
    clips of any length it is left as it is, and repeated only up to ``shortest_seconds``.

    Raises:
        ConfigurationError: the waveform is empty, or not one-dimensional; or the clip or hop is not above zero.
    """
    return np.stack(views(waveform, sample_rate, clip_seconds, hop_seconds, shortest_seconds))


def batches_by_length(lengths: Sequence[int], most: int, stretch: float = 1.0) -> list[list[int]]:
    """Rows of clips of these lengths in batches of at most so many, the shortest first.

    Args:
        stretch: how many times as long as a batch's shortest clip its longest may be, to which the others are filled.

    >>> batches_by_length([4, 2, 4, 5], 2), batches_by_length([4, 2, 4, 5], 3, stretch=1.25)
    ([[1], [0, 2], [3]], [[1], [0, 2, 3]])
    """
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        if batches and len(batches[-1]) < most and lengths[row] <= stretch * lengths[batches[-1][0]]:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


@overload
def pool(clip_logits: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray: ...
@overload
def pool(clip_logits: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor: ...
def pool(clip_logits, weights=None):
    """Logits of a track [classes] from its clips' [clips, classes]: their mean, by ``weights`` [clips] where given.

    The mean of logits is, up to a constant, the logarithm of the geometric mean of the clips' probabilities: a genre
    that one clip rules out does not win easily. PyTorch in, PyTorch out; NumPy in, NumPy out.
    """
    if weights is None:
        return clip_logits.mean(0)
    return (clip_logits * weights[:, None]).sum(0) / weights.sum()


def probabilities(logits: Array, temperature: float = 1.0) -> Array:
    """Softmax over the last axis of ``logits / temperature`` [..., classes]; a temperature above 1 makes it less sure.

    See Also:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017: one temperature, fitted on validation tracks.
    """
    if isinstance(logits, torch.Tensor):
        return torch.softmax(logits / temperature, dim=-1)
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
