"""What a model takes of a track beside its sound, and where it comes from where nobody gave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genre_lib.audio import Limits, Source
from genre_lib.networks.folder import LoadedModel
from genre_lib.networks.fusion import CATALOGUE, DESCRIPTORS
from genre_lib.networks.fusion_features import feature_row

Features = Mapping[str, Any]
"""Features of a track by Spotify's names, for a model that takes them beside the sound; any may be left out."""


@dataclass(frozen=True)
class BesideSound:
    """A model's need of features.

    Args:
        model: what messages call it.
        sample_rate: of the waveforms that are described.
        source: where those that it learned by were from (:data:`genre_lib.networks.fusion.SOURCES`); None where it
            takes none.
        hears: whether the sound is of any use to it: to one of a catalogue's features alone it is not.
    """

    model: str
    sample_rate: int
    source: str | None
    hears: bool

    @classmethod
    def of(cls, model: LoadedModel) -> BesideSound:
        """What a model needs."""
        config: Any = model.network.config
        source = getattr(config, "features_source", None)
        hears = source != CATALOGUE or config.audio is not None
        return cls(model.name or "The model", model.sample_rate, source, hears)

    def ignorance(self, features: Features | None) -> str | None:
        """Why a prediction means nothing that was made without features, in a sentence, or None."""
        if self.hears or np.isfinite(feature_row(features or {})).any():
            return None
        return f"{self.model} goes by features alone, and none is known, so its genres mean nothing."

    def of_file(self, source: Source, limits: Limits | None = None) -> Features | None:
        """What the model wants to know of a track; None where that is nothing. Any thread may ask.

        Raises:
            AudioError: one of its kinds, such as NotAudio.
        """
        if self.source != DESCRIPTORS:
            return None
        from genre_lib.descriptors import analyze_file  # on demand: most models do without, and it imports much

        return analyze_file(source, limits).to_json()

    def of_clips(
        self, waveforms: Sequence[np.ndarray], clips: list[int], given: Sequence[Features | None] | None
    ) -> np.ndarray | None:
        """Features of each clip [clips, 13], which are its track's, for a model that takes them.

        Args:
            waveforms: of the tracks, each [samples].
            clips: how many each of them has.
            given: features of each, where they are known.
        """
        if self.source is None or not clips:
            return None
        known = given if given is not None else [None] * len(clips)
        rows = [self._row(waveform, features) for waveform, features in zip(waveforms, known, strict=True)]
        return np.repeat(np.stack(rows), clips, axis=0)

    def _row(self, waveform: np.ndarray, given: Features | None) -> np.ndarray:
        """Features as given, or else descriptors of samples at the model's rate: what lies above its half is lost."""
        if given is None and self.source == DESCRIPTORS:
            from genre_lib.descriptors import analyze

            given = analyze(waveform, self.sample_rate).to_json()
        return feature_row(given or {})
