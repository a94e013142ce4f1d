"""Features of one track, and the clips that are taken from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

from genre_lib.clips import starts
from genre_lib.networks.front_ends import FrontEnd


class TrackFeatures(Protocol):
    """Features of one track, from which clips are taken."""

    @property
    def fitting(self) -> int:
        """Clips that fit into the track side by side; at least one."""

    def random(self, rng: np.random.Generator, margin: float = 0.0) -> np.ndarray:
        """A clip that starts anywhere, float32, longer by the share ``margin`` where features allow it."""

    def clips(self) -> np.ndarray:
        """The clips that :func:`genre_lib.clips.cut` makes, float32 [clips, ...]."""


class SlicedTrack:
    """A log-mel [frames, mels] of the whole track; a clip is a slice of it, and only its bytes are read."""

    def __init__(self, logmel: np.ndarray, clip: int, hop: int) -> None:
        self.logmel, self.clip, self.hop = logmel, clip, hop

    @property
    def fitting(self) -> int:
        return max(len(self.logmel) // self.clip, 1)

    def random(self, rng: np.random.Generator, margin: float = 0.0) -> np.ndarray:
        """A clip [mels, frames]; a track shorter than it is repeated from a random frame on."""
        frames, length = math.ceil(self.clip * (1 + margin)), len(self.logmel)
        if length < frames:
            return self._image(self.logmel[(rng.integers(length) + np.arange(frames)) % length])
        start = int(rng.integers(length - frames + 1))
        return self._image(self.logmel[start : start + frames])

    def clips(self) -> np.ndarray:
        """Every clip [clips, mels, frames], one every hop."""
        begins = starts(len(self.logmel), self.clip, self.hop)
        return np.stack([self._image(self.logmel[begin : begin + self.clip]) for begin in begins])

    @staticmethod
    def _image(frames: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(frames.T, dtype=np.float32)


class WholeTrack:
    """Rows of the whole track as a front end has them [rows, ...]; a clip is a slice, finished by itself.

    Args:
        kept: the clips' rows [clips, rows, ...], where those that prediction cuts do not begin on a row.
    """

    def __init__(
        self, rows: np.ndarray, front: FrontEnd, clip: int, hop: int, kept: Callable[[], np.ndarray] | None = None
    ) -> None:
        self.rows, self.front, self.clip, self.hop, self.kept = rows, front, clip, hop, kept

    @property
    def fitting(self) -> int:
        return max(len(self.rows) // self.clip, 1)

    def random(self, rng: np.random.Generator, margin: float = 0.0) -> np.ndarray:
        """A clip; a track shorter than it is repeated from a random row on where inputs must be of one length."""
        length = len(self.rows)
        if length < self.clip and not self.front.fixed:
            return finished(self.front, self.rows[(rng.integers(length) + np.arange(self.clip)) % length])
        start = int(rng.integers(max(length - self.clip, 0) + 1))
        return finished(self.front, self.rows[start : start + self.clip])

    def clips(self) -> np.ndarray:
        """Every clip, one every hop; that of a track shorter than a clip is as long as the track."""
        if self.kept is not None:
            return finished(self.front, self.kept())
        begins = starts(len(self.rows), self.clip, self.hop)
        return finished(self.front, np.stack([self.rows[begin : begin + self.clip] for begin in begins]))


def finished(front: FrontEnd, rows: np.ndarray) -> np.ndarray:
    """Rows of clips [..., rows, ...] → what the network takes, float32."""
    return front.clip(torch.from_numpy(rows.astype(np.float32))).numpy()


class ClippedTrack:
    """Features of each clip [clips, ...], for extractors whose frames do not slice."""

    def __init__(self, stacked: np.ndarray) -> None:
        self.stacked = stacked

    @property
    def fitting(self) -> int:
        return len(self.stacked)

    def random(self, rng: np.random.Generator, margin: float = 0.0) -> np.ndarray:
        """One of the clips; it has no margin."""
        return self.stacked[rng.integers(len(self.stacked))].astype(np.float32)

    def clips(self) -> np.ndarray:
        return self.stacked.astype(np.float32)
