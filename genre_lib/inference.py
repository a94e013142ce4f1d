"""Prediction as a ladder, each rung one conversion more: clips → waveform → waveforms → file → files.

>>> predictor = Predictor.from_folder("pretrained/genre_classifier")  # doctest: +SKIP
>>> for track in predictor.files(find("music")):  # doctest: +SKIP
...     print(track.path, track.error or track.top(1))
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genre_lib.audio import Limits, Source, load
from genre_lib.beside_sound import BesideSound, Features
from genre_lib.clips import batches_by_length, pool, probabilities, starts, views
from genre_lib.decoded_files import Decoded, decoded_file
from genre_lib.doubts import doubt
from genre_lib.engines.making import EngineMaker
from genre_lib.engines.names import AUTO
from genre_lib.errors import ConfigurationError
from genre_lib.networks import reading
from genre_lib.networks.device import sent
from genre_lib.networks.files import is_plain, require_genres
from genre_lib.networks.folder import LoadedModel, in_fast_layout, resolve_device
from genre_lib.networks.front_ends import SHORTEST_SECONDS, front_end_of
from genre_lib.networks.fusion_features import feature_row
from genre_lib.networks.logmel import LogMel
from genre_lib.outputs import Outputs
from genre_lib.predictions import Prediction, Segment, TrackPrediction
from genre_lib.working_ahead import worked_ahead

DECODE_AHEAD = 2
"""Decoded tracks that may wait for the network: it bounds the memory, however many files there are."""

TOLD_AT_ONCE = 1024
"""Tracks without sound that go through the network together."""


def load_model(folder: Path | str, device: str = "cpu") -> LoadedModel:
    """Read a model folder, ready to predict: the CNN as a plain network, and others through transformers.

    Importing transformers takes several times as long as predicting a track does.

    Raises:
        ModelNotFound: there is no such folder.
        ModelInvalid: a file is missing, or cannot be read as an audio classifier; or it is an encoder without genres.
    """
    if is_plain(folder):
        return reading.read(folder, device)
    require_genres(folder)
    from genre_lib.models.folder import load as load_by_transformers

    return load_by_transformers(folder, device)


class Predictor:
    """A model, ready to predict. One thread at a time may use it.

    Where the model takes features beside the sound, they may be given. If they are not, descriptors are computed for a
    model that learned by these, and one that learned by Spotify's goes without, for ours are not on its scales.
    """

    def __init__(
        self,
        model: LoadedModel,
        *,
        device: str = "auto",
        batch_size: int = 16,
        engine: str = AUTO,
        clips_expected: int | None = None,
        cache_path: Path | None = None,
    ) -> None:
        """Move the model's network to ``device``, and make the engine that computes it.

        Args:
            batch_size: the most clips that go through the network at once.
            engine: one of :data:`genre_lib.engines.names.CHOICES`; ``auto`` is the fastest that was measured here to
                say what float32 says, and float32 where nothing was measured.
            clips_expected: how many there will be, for ``auto`` to tell whether a slow start pays; None for no end.
            cache_path: where compiled networks are kept; that of the settings where None.

        Raises:
            EngineUnavailable: an engine was asked for by its name, and cannot be had here.
        """
        self.model = model
        self.device = resolve_device(device)
        self.batch_size = batch_size
        self.outputs = Outputs.of(model.genres)
        self.genres = self.outputs.genres
        self.front = front_end_of(model.extractor)
        self.beside = BesideSound.of(model)
        self.network: Any = in_fast_layout(model.network).to(self.device).eval()
        self.maker = EngineMaker(model, self.device, self._example, cache_path)
        self.engine, self.engine_fault = self.maker.chosen(engine, clips_expected)

    @classmethod
    def from_folder(cls, folder: Path | str, **options: Any) -> Predictor:
        """Read a model folder.

        Raises:
            ModelNotFound, ModelInvalid.
        """
        return cls(load_model(folder), **options)

    def clips(self, clips: Sequence[np.ndarray], features: np.ndarray | None = None) -> np.ndarray:
        """Logits [clips, classes] of clips, each [samples] at the model's rate.

        They may be of several lengths, and go through the network together with their like.

        Args:
            features: [clips, 13] beside them, NaN where one is missing; None for none.
        """
        if not len(clips):
            return np.zeros((0, len(self.model.genres)), np.float32)
        stretch = 1.0 if self.front is None else self.front.stretch
        batches = batches_by_length([len(clip) for clip in clips], self.batch_size, stretch)
        parts = [
            self._forward(([clips[row] for row in rows], None if features is None else features[rows]))
            for rows in batches
        ]
        return torch.cat(parts).cpu().numpy()[np.argsort(np.concatenate(batches))]

    def waveform(
        self, waveform: np.ndarray, *, timeline: bool = False, features: Features | None = None
    ) -> TrackPrediction:
        """Predict one track from its samples [samples], mono at the model's rate."""
        return self.waveforms([waveform], timeline=timeline, features=[features])[0]

    def waveforms(
        self,
        waveforms: Sequence[np.ndarray],
        *,
        timeline: bool = False,
        features: Sequence[Features | None] | None = None,
    ) -> list[TrackPrediction]:
        """Predict several tracks, the clips of all of them in common batches."""
        return [
            self.track(len(waveform), clip_logits, timeline=timeline)
            for waveform, clip_logits in zip(waveforms, self.clip_logits(waveforms, features), strict=True)
        ]

    def clip_logits(
        self, waveforms: Sequence[np.ndarray], features: Sequence[Features | None] | None = None
    ) -> list[np.ndarray]:
        """Logits [clips, classes] of each track: what is costly, and all that :meth:`track` needs of the audio."""
        settings, rate = self.model.inference, self.model.sample_rate
        shortest = None if self.front is None else SHORTEST_SECONDS
        cuts = [views(waveform, rate, settings.clip_seconds, settings.hop_seconds, shortest) for waveform in waveforms]
        lengths = [len(cut) for cut in cuts]
        logits = self.clips([clip for cut in cuts for clip in cut], self.beside.of_clips(waveforms, lengths, features))
        return np.split(logits, np.cumsum(lengths)[:-1]) if cuts else []

    def told(self, tracks: Sequence[Features]) -> list[TrackPrediction]:
        """Predict tracks of which features alone are known; any may be left out.

        Raises:
            ConfigurationError: the model takes none.
        """
        if self.beside.source is None:
            raise ConfigurationError(
                f"{self.beside.model} takes no features, and there is no sound; give it the audio, or "
                "take a model that learned by features."
            )
        batches = [tracks[start : start + TOLD_AT_ONCE] for start in range(0, len(tracks), TOLD_AT_ONCE)]
        logits = [self._told(batch) for batch in batches]
        return [self._track(row) for part in logits for row in part]

    def _told(self, tracks: Sequence[Features]) -> np.ndarray:
        """Logits [tracks, classes] of features alone."""
        rows = torch.from_numpy(np.stack([feature_row(features) for features in tracks]))
        return self.engine({"features": rows}).cpu().numpy()

    def track(self, samples: int, clip_logits: np.ndarray, *, timeline: bool = False) -> TrackPrediction:
        """The prediction for a track of ``samples`` at the model's rate, from its clips' logits [clips, classes]."""
        told = self._track(pool(clip_logits))
        return replace(
            told,
            duration=samples / self.model.sample_rate,
            timeline=self._timeline(samples, clip_logits) if timeline else None,
        )

    def file(
        self,
        source: Source,
        *,
        timeline: bool = False,
        limits: Limits | None = None,
        features: Features | None = None,
    ) -> TrackPrediction:
        """Predict a path, bytes or an open file; a truncated, silent or very short one is predicted, with a warning.

        Raises:
            AudioError: one of its kinds, such as NotAudio.
        """
        audio = load(source, self.model.sample_rate, limits=limits)
        features = self.beside.of_file(source, limits) if features is None else features
        track = self.waveform(audio.waveform, timeline=timeline, features=features)
        path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
        return replace(track, path=path, warning=doubt(audio) or self.beside.ignorance(features))

    def files(
        self,
        paths: Iterable[str | os.PathLike],
        *,
        workers: int | None = None,
        timeline: bool = False,
        limits: Limits | None = None,
        features: Mapping[str, Features] | None = None,
    ) -> Iterator[TrackPrediction]:
        """Predict many files in their order, lazily. Threads decode ahead of the network, by a few tracks and no more.

        A file that cannot be decoded is a row with its error, a truncated one a row with a warning.

        Args:
            workers: threads that decode; one for each processor, up to four, if None.
            features: by path, of the tracks of which they are known.
        """
        workers, known = workers or min(4, os.cpu_count() or 1), features or {}

        def decode(path: str | os.PathLike) -> Decoded:
            def described() -> Features | None:
                given = known.get(os.fspath(path))
                return self.beside.of_file(path, limits) if given is None else given

            return decoded_file(path, self.model.sample_rate, limits, described)

        for decoded in worked_ahead(paths, decode, workers, DECODE_AHEAD, "decode", self._is_batch):
            yield from self._rows_of(decoded, timeline)

    def _forward(self, batch: tuple[list[np.ndarray], Any]) -> torch.Tensor:
        """Logits of clips, and of the features beside them where there are any; a GPU may still be at work on them."""
        clips, features = batch
        inputs = self._features(clips)
        if isinstance(features, np.ndarray):
            inputs["features"] = torch.from_numpy(features)
        return self.engine(inputs)

    def inputs(self, clips: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        """What the network takes of clips [samples] of one length, by name: what an engine is given."""
        return self._features(clips)

    def _example(self) -> dict[str, torch.Tensor]:
        """What the network takes of two clips of noise."""
        samples = round(self.model.inference.clip_seconds * self.model.sample_rate)
        return self.inputs([*np.random.default_rng(0).normal(0, 0.1, (2, samples)).astype(np.float32)])

    def _features(self, clips: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        """What the network takes, on its device, where it is computed too, but by extractors that know NumPy alone."""
        extractor, rate = self.model.extractor, self.model.sample_rate
        if isinstance(extractor, LogMel):
            return {"input_values": extractor.features(sent(torch.from_numpy(np.stack(clips)), self.device), rate)}
        if self.front is not None:
            return self.front.inputs(clips, self.device)
        return dict(extractor(list(clips), sampling_rate=rate, return_tensors="pt"))

    def _track(self, outputs: np.ndarray) -> TrackPrediction:
        """What a track's outputs [outputs] say."""
        logits = self.outputs.logits(outputs)
        return TrackPrediction(predictions=self._predictions(logits), logits=logits, outside=self._outside(logits))

    def _outside(self, logits: np.ndarray) -> float | None:
        return self.outputs.outside(logits, self.model.inference.temperature)

    def _predictions(self, logits: np.ndarray) -> list[Prediction]:
        """From logits [genres]."""
        confidences = probabilities(logits, self.model.inference.temperature)
        order = np.argsort(-confidences, kind="stable")
        return [Prediction(self.genres[index], float(confidences[index])) for index in order]

    def _timeline(self, samples: int, clip_logits: np.ndarray) -> list[Segment]:
        """A segment per clip, side by side from 0 to the end: a moment belongs to the clip whose middle is nearest."""
        settings, rate = self.model.inference, self.model.sample_rate
        begins = starts(samples, round(settings.clip_seconds * rate), round(settings.hop_seconds * rate))
        middles = (np.array(begins) + settings.clip_seconds * rate / 2) / rate
        bounds = [0.0, *((middles[1:] + middles[:-1]) / 2).tolist(), samples / rate]
        return [
            Segment(start, end, self._predictions(logits), self._outside(logits))
            for start, end, logits in zip(bounds, bounds[1:], self.outputs.logits(clip_logits), strict=False)
        ]

    def _is_batch(self, decoded: list[Decoded]) -> bool:
        """Whether these tracks fill a batch of clips."""
        hop = self.model.inference.hop_seconds
        return sum(item.audio.duration / hop for item in decoded if item.audio) >= self.batch_size

    def _rows_of(self, decoded: list[Decoded], timeline: bool) -> Iterator[TrackPrediction]:
        heard = [(item.audio.waveform, item.features) for item in decoded if item.audio]
        waveforms, features = [waveform for waveform, _ in heard], [features for _, features in heard]
        tracks = iter(self.waveforms(waveforms, timeline=timeline, features=features))
        for item in decoded:
            if item.error:
                yield TrackPrediction(path=item.path, error=str(item.error), code=item.error.code)
            elif item.audio:
                warning = doubt(item.audio) or self.beside.ignorance(item.features)
                yield replace(next(tracks), path=item.path, warning=warning)
