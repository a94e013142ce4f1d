"""Tracks of which only a table's columns are known: in the place of the clips of a :class:`FeatureStore`, nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from genre_lib.data.features import Prepared


class SoundlessTrack:
    """One clip in which there is nothing to hear, so that each track counts once."""

    fitting = 1

    def random(self, rng: np.random.Generator, margin: float = 0.0) -> np.ndarray:
        """No samples, float32 [0]."""
        return np.zeros(0, np.float32)

    def clips(self) -> np.ndarray:
        """The one clip, float32 [1, 0]."""
        return np.zeros((1, 0), np.float32)


class SoundlessStore:
    """For a model of features alone: no file is opened, and none has to be there."""

    def track(self, path: str | Path) -> SoundlessTrack:
        """The same nothing for every track."""
        return SoundlessTrack()

    def prepare(
        self,
        paths: Sequence[str],
        workers: int | None = None,
        progress: Callable[[int], None] | None = None,
        heard_whole: Collection[str] = (),
    ) -> Prepared:
        """Nothing is computed, and nothing fails."""
        return Prepared()
