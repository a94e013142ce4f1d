"""What a resting encoder hears in each clip, computed once and kept, so that its head learns in next to no time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from itertools import groupby

import numpy as np

from genre_lib.data.features import FeatureStore, Tried, settings_digest
from genre_lib.data.track_features import ClippedTrack
from genre_lib.errors import AudioError

CLIPS_TOGETHER = 32
"""Clips of one track after another that are embedded together."""


class EmbeddingStore(FeatureStore):
    """Embeddings of tracks' clips by their paths, in the cache of the features that they are computed from.

    An embedding's key is made of the file's content, the extractor's settings, the clips' lengths and ``encoder``.

    Args:
        features: where clips come from.
        embed: features of clips [clips, ...] → embeddings [clips, ...], float32.
        encoder: what else the embeddings hang on: a digest of the weights, and the precision.
    """

    def __init__(self, features: FeatureStore, embed: Callable[[np.ndarray], np.ndarray], encoder: str) -> None:
        super().__init__(
            features.extractor, features.cache, features.clip_seconds, features.hop_seconds, features.limits
        )
        # The clips' rows hang on less than what is made of them, such as the mean that is taken from them.
        self.embed, self.variant = embed, f"embeddings {encoder} {settings_digest(features.extractor)}"

    def _tried(self, pool: Executor, paths: list[str], whole: frozenset[str]) -> Iterator[Tried]:
        """Embed what is missing, while threads decode ahead. Of every track all clips are heard, ``whole`` or not."""
        kept = [path for path in paths if self._is_kept(path)]
        known = frozenset(kept)
        yield from ((path, False, "") for path in kept)
        missing = [path for path in paths if path not in known]
        waiting: dict[str, np.ndarray] = {}
        for done, (path, fault) in enumerate(pool.map(self._fault, missing), 1):
            if fault:
                yield path, True, fault
            else:
                waiting[path] = self._heard(path)
            if done == len(missing) or sum(map(len, waiting.values())) >= CLIPS_TOGETHER:
                self._embed(waiting)
                yield from ((path, True, "") for path in waiting)
                waiting = {}

    def _is_kept(self, path: str) -> bool:
        try:
            return self.cache.get(self._key(path, self.variant)) is not None
        except OSError:
            return False

    def _track(self, path: str) -> ClippedTrack:
        kept = self.cache.get(self._key(path, self.variant))
        return ClippedTrack(self._embed({path: self._heard(path)})[0] if kept is None else kept)

    def _heard(self, path: str) -> np.ndarray:
        """What the encoder is given of a track: [clips, ...]."""
        return self.clips(path)

    def _fault(self, path: str) -> tuple[str, str]:
        """Have a track's features in the cache; its path, and what went wrong."""
        try:
            self._heard(path)
        except (AudioError, OSError) as error:
            return path, str(error)
        return path, ""

    def _embed(self, heard: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Embeddings of several tracks' clips, those of one length in one go, by track; they are then kept."""
        found: list[np.ndarray] = []
        for _, alike in groupby(heard.values(), key=lambda clips: clips.shape[1:]):
            tracks = list(alike)
            ends = np.cumsum([len(clips) for clips in tracks])[:-1]
            found += np.split(self.embed(np.concatenate(tracks)), ends)
        return [self.cache.put(self._key(path, self.variant), clips) for path, clips in zip(heard, found, strict=True)]
