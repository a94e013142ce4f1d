"""What the network said of a track, kept in memory by content: the same audio is neither decoded nor computed again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from genre_lib import audio
from genre_lib.doubts import doubt
from genre_lib.inference import Predictor
from genre_lib.predictions import TrackPrediction

ENTRY_BYTES = 800
"""What an entry takes beside its logits: keys, objects, the dictionary's own; as measured."""

NAME = "\0"
"""Stands for the file's name in what is kept, for the same content may come under another one."""


@dataclass(frozen=True)
class Heard:
    """All that an answer needs of a track, whatever ``top_k`` and ``timeline`` ask for."""

    samples: int
    clip_logits: np.ndarray
    """float32 [clips, classes]."""
    doubt: str | None = None
    """Why the prediction means little, with :data:`NAME` in the name's place."""

    @classmethod
    def of(cls, heard: audio.Audio, clip_logits: np.ndarray) -> Heard:
        """From the decoded track; the logits are copied, for a view would hold those of the whole pass."""
        told = doubt(audio.Audio(heard.waveform, heard.sample_rate, heard.claimed_duration, NAME))
        return cls(len(heard.waveform), clip_logits.copy(), told)

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return self.clip_logits.nbytes + ENTRY_BYTES

    def prediction(self, predictor: Predictor, timeline: bool) -> TrackPrediction:
        """The track's genres, by the predictor that gave the logits."""
        return predictor.track(self.samples, self.clip_logits, timeline=timeline)

    def warning(self, name: str) -> str | None:
        """The doubt, said of the file by its name."""
        return self.doubt.replace(NAME, name) if self.doubt else None


class PredictionCache:
    """Tracks by key; beyond ``max_bytes`` what was unused for longest is forgotten.

    One thread at a time may use it; any may ask what is in it.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._kept: OrderedDict[Hashable, Heard] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def get(self, key: Hashable) -> Heard | None:
        """What is kept under the key, which counts as used now."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: Hashable, heard: Heard) -> None:
        """Keep it, unless it alone is larger than the bound."""
        if heard.size > self.max_bytes:
            return
        self._forget(key)
        self._kept[key] = heard
        self.bytes += heard.size
        while self.bytes > self.max_bytes:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: Hashable) -> None:
        gone = self._kept.pop(key, None)
        self.bytes -= gone.size if gone else 0


def fingerprint(predictor: Predictor) -> Hashable:
    """What the clip logits hang on: weights, engine, features and how a track is cut; not on labels or temperature."""
    model, inference = predictor.model, predictor.model.inference
    return (
        model.version,
        predictor.engine.name,
        inference.clip_seconds,
        inference.hop_seconds,
        model.extractor.to_json_string(),
    )
