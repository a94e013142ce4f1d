"""What networks are fed, computed once from each track and kept.

What a front end makes of the whole track, or other extractors' features of each of its clips, goes to the cache under
the digest of the file's content and of the extractor's settings. So a second epoch, a second run and a copied library
decode nothing.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from genre_lib import audio
from genre_lib.cache import ArrayCache, combine, content_digest
from genre_lib.clips import cut, views
from genre_lib.data.track_features import ClippedTrack, SlicedTrack, TrackFeatures, WholeTrack, finished
from genre_lib.errors import AudioError
from genre_lib.networks.front_ends import SHORTEST_SECONDS, FrontEnd, front_end_of
from genre_lib.networks.fusion_features import FEATURES

VERSION = "1"
"""Part of every key; raised when features of the same settings would come out otherwise."""

FILLED, CLIPS = "filled", "clips"
"""What is kept beside the features of a whole track: those of it repeated to a clip, and those of each of its clips."""

MAX_OPEN = 4096
"""Memory maps held open at once, well below what Linux allows a process (65,530)."""


def given_features(tracks: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By path, what a catalogue's columns of Spotify's names say of each track; empty where it has none of them."""
    columns = [name for name in FEATURES if name in tracks]
    if not columns:
        return {}
    rows = tracks[columns].itertuples(index=False, name=None)
    return {path: dict(zip(columns, row, strict=True)) for path, row in zip(tracks["path"], rows, strict=True)}


Tried = tuple[str, bool, str]
"""A track's path, whether something had to be computed, and what went wrong."""


@dataclass
class Prepared:
    """What :meth:`FeatureStore.prepare` did."""

    computed: int = 0
    kept: int = 0
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)


class FeatureStore:
    """Features of tracks by their paths, computed where the cache has none.

    Args:
        extractor: a Hugging Face feature extractor; the log-mel and those that a front end stands for are applied to
            whole tracks.
        cache: where features are kept, as float16.
        clip_seconds, hop_seconds: of the clips to come.
        limits: beyond which a file is refused.
    """

    def __init__(
        self,
        extractor: Any,
        cache: ArrayCache,
        clip_seconds: float,
        hop_seconds: float | None = None,
        limits: audio.Limits = audio.Limits(),  # noqa: B008 (frozen)
    ) -> None:
        self.extractor, self.cache, self.limits = extractor, cache, limits
        self.clip_seconds, self.hop_seconds = clip_seconds, hop_seconds or clip_seconds
        self.front = front_end_of(extractor)
        self._extractor_digest = settings_digest(extractor) if self.front is None else self.front.key
        self._digests: dict[str, str] = {}
        self._open: dict[str, TrackFeatures] = {}

    def moments(self, paths: Sequence[str]) -> tuple[float, float]:
        """Mean and standard deviation over all numbers of the tracks' rows, as yet without normalisation."""
        count, total, squares = 0, 0.0, 0.0
        for path in paths:
            rows = np.asarray(self._array(str(path)), dtype=np.float64)
            count, total, squares = count + rows.size, total + rows.sum(), squares + np.square(rows).sum()
        mean = total / count
        return float(mean), float(np.sqrt(squares / count - mean**2))

    @property
    def sliceable(self) -> bool:
        """Whether a clip is a slice of the track's log-mel."""
        return hasattr(self.extractor, "frames")

    def track(self, path: str | Path) -> TrackFeatures:
        """Features of one track.

        Raises:
            AudioError: the cache has none, and the file cannot be decoded.
        """
        path = str(path)
        if path not in self._open:
            if len(self._open) >= MAX_OPEN:
                self._open.clear()
            self._open[path] = self._track(path)
        return self._open[path]

    def clips(self, path: str | Path) -> np.ndarray:
        """Every clip of a track as the network takes it, float32 [clips, ...]; nothing else of it is kept.

        Raises:
            AudioError: the cache has none, and the file cannot be decoded.
        """
        if self.front is not None and self._keeps_clips:
            return finished(self.front, self._array(str(path), CLIPS))
        return FeatureStore._track(self, str(path)).clips()

    def prepare(
        self,
        paths: Sequence[str],
        workers: int | None = None,
        progress: Callable[[int], None] | None = None,
        heard_whole: Collection[str] = (),
    ) -> Prepared:
        """Compute what is missing, several files at once; a file that cannot be decoded is reported and left out.

        Args:
            heard_whole: those of which all clips will be asked for, and not random ones alone.
        """
        report, began = Prepared(), time.perf_counter()
        with ThreadPoolExecutor(workers or min(os.cpu_count() or 1, 8)) as pool:
            tried = self._tried(pool, list(map(str, paths)), frozenset(heard_whole))
            for done, (path, computed, fault) in enumerate(tried, 1):
                if fault:
                    report.failed[path] = fault
                report.computed += computed and not fault
                report.kept += not computed
                if progress:
                    progress(done)
        report.seconds = time.perf_counter() - began
        return report

    def _tried(self, pool: Executor, paths: list[str], whole: frozenset[str]) -> Iterator[Tried]:
        """The files of :meth:`prepare`, each as it is done."""
        return pool.map(lambda path: self._try(path, path in whole), paths)

    def _try(self, path: str, whole: bool) -> Tried:
        variants = ["", CLIPS] if whole and self._keeps_clips else [""]
        try:
            missing = [variant for variant in variants if self.cache.get(self._key(path, variant)) is None]
            if not missing:
                return path, False, ""
            waveform = self._waveform(path)
            for variant in missing:
                self.cache.put(self._key(path, variant), self._computed(waveform, variant))
        except (AudioError, OSError) as error:
            return path, True, str(error)
        return path, True, ""

    def _track(self, path: str) -> TrackFeatures:
        array = self._array(path)
        if self.front is not None:
            return self._whole_track(path, array, self.front)
        if not self.sliceable:
            return ClippedTrack(array)
        clip = self.extractor.frames(self.clip_seconds)
        if len(array) < clip:
            array = self._array(path, FILLED)
        hop = max(round(self.hop_seconds * self.extractor.sampling_rate / self.extractor.hop_length), 1)
        return SlicedTrack(array, clip, hop)

    def _whole_track(self, path: str, rows: np.ndarray, front: FrontEnd) -> WholeTrack:
        clip, hop = (round(seconds * front.sampling_rate) for seconds in (self.clip_seconds, self.hop_seconds))
        kept = (lambda: self._array(path, CLIPS)) if self._keeps_clips else None
        return WholeTrack(rows, front, front.rows(clip), max(hop // front.hop_length, 1), kept)

    @property
    def _keeps_clips(self) -> bool:
        """Whether the clips that prediction cuts, which begin on any sample, are no slices of the rows."""
        return self.front is not None and self.front.hop_length > 1

    def _array(self, path: str, variant: str = "") -> np.ndarray:
        key = self._key(path, variant)
        return self.cache.get_or_compute(key, lambda: self._computed(self._waveform(path), variant))

    def _computed(self, waveform: np.ndarray, variant: str) -> np.ndarray:
        """What is kept of a track, as float16."""
        if self.front is not None:
            return self._rows(waveform, self.front, variant)
        if not self.sliceable:
            return self._of_clips(waveform)
        if variant == FILLED:  # a track shorter than a clip, repeated as prediction does
            waveform = cut(waveform, self.extractor.sampling_rate, self.clip_seconds)[0]
        return self._logmel(waveform)

    def _rows(self, waveform: np.ndarray, front: FrontEnd, variant: str) -> np.ndarray:
        """Waveform [samples] → rows of all of it [rows, ...], or of each of its clips [clips, rows, ...]."""
        lengths = (self.clip_seconds, self.hop_seconds, SHORTEST_SECONDS)
        if variant == CLIPS:  # one after the other, so that an hour's need no more memory than a minute's
            return np.stack([_heard(front, clip) for clip in views(waveform, front.sampling_rate, *lengths)])
        least = round(min(SHORTEST_SECONDS, self.clip_seconds) * front.sampling_rate)
        return _heard(front, waveform if len(waveform) >= least else np.resize(waveform, least))

    def _waveform(self, path: str) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", audio.AudioTruncatedWarning)  # the catalogue's check names these
            return audio.load(path, self.extractor.sampling_rate, limits=self.limits).waveform

    def _logmel(self, waveform: np.ndarray) -> np.ndarray:
        """Waveform [samples] → float16 [frames, mels], frames first so that a clip is one stretch of the file."""
        with torch.no_grad():
            logmel = self.extractor.logmel(torch.from_numpy(waveform))
        return np.ascontiguousarray(logmel.T.numpy(), dtype=np.float16)

    def _of_clips(self, waveform: np.ndarray) -> np.ndarray:
        """Waveform [samples] → the extractor's features of every clip, float16 [clips, ...]."""
        rate = self.extractor.sampling_rate
        clips = cut(waveform, rate, self.clip_seconds, self.hop_seconds)
        features = self.extractor(list(clips), sampling_rate=rate, return_tensors="np")
        return np.asarray(features[self.extractor.model_input_names[0]], dtype=np.float16)

    def _key(self, path: str, variant: str = "") -> str:
        """Key of a track's features; the file is read for it once."""
        if path not in self._digests:
            self._digests[path] = content_digest(path)
        of_clips = variant or not (self.sliceable or self.front)
        lengths = f"{self.clip_seconds} {self.hop_seconds}" if of_clips else ""
        return combine(self._digests[path], self._extractor_digest, VERSION, variant, lengths)


@torch.no_grad()
def _heard(front: FrontEnd, waveform: np.ndarray) -> np.ndarray:
    return front.track(torch.from_numpy(waveform)).numpy().astype(np.float16)


def settings_digest(extractor: Any) -> str:
    """All that an extractor's features depend on."""
    return combine(type(extractor).__name__, json.dumps(extractor.to_dict(), sort_keys=True, default=str))
