"""Descriptors of a track, under the names and encodings of Spotify's audio features, computed from the audio alone.

Tempo, key and loudness are measured; how each is done, and after whom, stands in :mod:`genre_lib.analysis`. Energy,
danceability, valence, acousticness, instrumentalness, speechiness and liveness are rough estimates, good for sorting
a library and not for comparing with numbers from elsewhere.

>>> describe = analyze_file("song.mp3")  # doctest: +SKIP
>>> describe.tempo, describe.key_name  # doctest: +SKIP
(120.2, 'A minor')
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from genre_lib.analysis import character, loudness, rhythm, tonality
from genre_lib.analysis.rhythm import TempoCandidate
from genre_lib.analysis.spectrum import MEL_RATE, RATE, mel
from genre_lib.audio import Limits, Source, load
from genre_lib.cache import JsonCache, combine, content_digest
from genre_lib.errors import AudioError, EmptyAudio
from genre_lib.settings import MIB, Settings
from genre_lib.working_ahead import worked_ahead

ANALYSIS_VERSION = "2"
"""Part of every cached entry's name; raised when the same audio would be described otherwise."""

PITCH_CLASSES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")

CACHE_BYTES = 128 * MIB
"""Of all descriptions that are remembered; one takes less than a KiB."""

AHEAD = 2
"""Files beside those being analysed that may wait to be fetched: it bounds the memory, however many files there are."""


@dataclass(frozen=True)
class Descriptors:
    """A track's descriptors. Those called estimates say which way a track leans, and no more."""

    duration: float
    """Seconds that were decoded."""
    duration_ms: int
    """The same in milliseconds."""
    tempo: float
    """Beats per minute, 40 to 220; 0 where nothing repeats."""
    tempo_confidence: float
    """0 to 1."""
    tempo_candidates: tuple[TempoCandidate, ...]
    """Tempos that fit too, often half or twice the first, the strongest first."""
    key: int
    """Tonic as a pitch class: 0 = C, 1 = C♯ … 11 = B; -1 where nothing has a pitch."""
    mode: int
    """1 major, 0 minor; it means nothing where the key is -1."""
    key_confidence: float
    """0 to 1, of tonic and mode together."""
    loudness: float
    """Integrated loudness of the mono mix in LUFS (ITU-R BS.1770-4), -70 or more."""
    time_signature: int
    """Beats in a bar, 3 or 4: an estimate, 4 where the bar is not clear."""
    energy: float
    """Estimate, 0 to 1: loud, dense and noisy."""
    danceability: float
    """Estimate, 0 to 1: a clear, regular beat at a tempo to move to."""
    valence: float
    """Estimate, 0 to 1, and the weakest: how cheerful mode, tempo and brightness suggest that it is."""
    acousticness: float
    """Estimate, 0 to 1: neither bright nor noisy nor compressed."""
    instrumentalness: float
    """Estimate, 0 to 1: nothing moves as a voice does."""
    speechiness: float
    """Estimate, 0 to 1: it moves as speech does, at the pace of syllables and with gaps."""
    liveness: float
    """Estimate, 0 to 1: the quiet moments are full of sound, as in a room with people."""

    @property
    def key_name(self) -> str | None:
        """Such as ``A minor``; None where nothing has a pitch."""
        return None if self.key < 0 else f"{PITCH_CLASSES[self.key]} {'major' if self.mode else 'minor'}"

    def to_json(self) -> dict[str, Any]:
        """Every field under its name, the candidates as objects with ``tempo`` and ``strength``."""
        return asdict(self) | {"tempo_candidates": [asdict(candidate) for candidate in self.tempo_candidates]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Descriptors:
        """The inverse of :meth:`to_json`.

        Raises:
            TypeError, ValueError, KeyError: fields are missing, or there are others.
        """
        candidates = tuple(TempoCandidate(**candidate) for candidate in values["tempo_candidates"])
        return cls(**values | {"tempo_candidates": candidates})


NUMBERS = tuple(field.name for field in fields(Descriptors) if field.name != "tempo_candidates")
"""The descriptors that are a single number each."""


@dataclass(frozen=True)
class Curves:
    """What a description is read from, over time: for a picture."""

    described: Descriptors
    onsets: np.ndarray
    """Onset strength [frames], a mean band's rise being 1 for each band."""
    onset_rate: float
    """Frames a second."""
    beats: np.ndarray
    """Seconds of an even grid at the tempo [beats]; empty without one."""
    chroma: np.ndarray
    """Strength of the pitch classes, C first, 1 for a frame's strongest: [frames, 12]."""
    chroma_rate: float
    """Frames a second."""
    loudness: np.ndarray
    """Momentary loudness in LUFS [blocks]."""
    loudness_rate: float
    """Blocks a second."""


@dataclass(frozen=True)
class TrackDescriptors:
    """The row of a file: its descriptors, or why there are none."""

    path: str
    features: Descriptors | None = None
    error: str | None = None
    """A sentence for a person; None where all went well."""
    code: str | None = None
    """The error's name for machines, such as ``not_audio``."""

    def to_json(self) -> dict[str, Any]:
        """The row of a JSON file: path, features and error."""
        return {"path": self.path, "features": self.features and self.features.to_json(), "error": self.error}


def analyze(waveform: np.ndarray, sample_rate: int) -> Descriptors:
    """Describe a waveform, mono [samples] at any rate. Silence, noise and a tenth of a second are described too.

    Raises:
        EmptyAudio: there are no samples.
    """
    if not len(waveform):
        raise EmptyAudio("The waveform holds no samples; a description needs at least one.")
    samples = _samples(waveform, sample_rate)
    bands = mel(samples)
    level, blocks = loudness.measure(samples, RATE)
    beat, pitch = rhythm.analyze(bands), tonality.analyze(samples)
    duration = len(waveform) / sample_rate
    return Descriptors(
        duration=duration,
        duration_ms=round(1000 * duration),
        tempo=beat.tempo,
        tempo_confidence=beat.confidence,
        tempo_candidates=beat.candidates,
        key=pitch.key,
        mode=pitch.mode,
        key_confidence=pitch.confidence,
        loudness=level,
        time_signature=beat.time_signature,
        **asdict(character.analyze(bands, blocks, level, beat, pitch)),
    )


def curves(waveform: np.ndarray, sample_rate: int) -> Curves:
    """What :func:`analyze` reads from a waveform, over time; arguments and errors are the same."""
    described = analyze(waveform, sample_rate)
    samples = _samples(waveform, sample_rate)
    onsets, (chroma, _) = rhythm.onset_strength(mel(samples)), tonality.chromagram(samples)
    return Curves(
        described=described,
        onsets=onsets,
        onset_rate=MEL_RATE,
        beats=rhythm.beat_grid(onsets, described.tempo) if described.tempo else np.zeros(0),
        chroma=chroma / np.maximum(chroma.max(axis=1, keepdims=True), 1e-9),
        chroma_rate=tonality.FRAMES_A_SECOND,
        loudness=loudness.measure(samples, RATE)[1],
        loudness_rate=loudness.BLOCKS_A_SECOND,
    )


def analyze_file(path: Source, limits: Limits | None = None) -> Descriptors:
    """Describe a path, bytes or an open file; of a truncated one, what can be decoded.

    Raises:
        AudioError: one of its kinds, such as NotAudio.
    """
    audio = load(path, RATE, limits=limits, on_truncated="ignore")
    return analyze(audio.waveform, RATE)


def cached_file(
    path: str | os.PathLike,
    settings: Settings,
    limits: Limits | None = None,
    *,
    on_looked: Callable[[bool], None] | None = None,
) -> Descriptors:
    """:func:`analyze_file`, remembered below the settings' ``cache_path`` by the file's content.

    A damaged entry is computed anew; where the disk refuses one, a warning says so. Of more than :data:`CACHE_BYTES`,
    what was unused for longest is forgotten.

    Args:
        limits: of what is refused; the settings' own if None.
        on_looked: is told whether it was remembered.

    Raises:
        AudioError: one of its kinds, such as NotAudio. Errors are not remembered.
    """
    limits = limits or Limits(settings.max_audio_bytes, settings.max_audio_seconds)
    remembered = _remembered(settings.cache_path / "descriptors", min(settings.cache_max_bytes, CACHE_BYTES))
    key = _key(Path(path), limits)
    found = _read(remembered.get(key), limits) if key else None
    if on_looked is not None:
        on_looked(found is not None)
    if found is None:
        found = analyze_file(path, limits)
        if key:
            remembered.put(key, found.to_json())
    return found


def analyze_files(
    paths: Iterable[str | os.PathLike],
    *,
    settings: Settings | None = None,
    limits: Limits | None = None,
    workers: int | None = None,
) -> Iterator[TrackDescriptors]:
    """Describe many files in their order, lazily, in threads that work ahead by a few files and no more.

    A file that cannot be decoded is a row with its error. However the caller leaves (a break, an error, Ctrl-C), no
    thread outlives the generator.

    Args:
        settings: where given, descriptions are remembered as by :func:`cached_file`.
        workers: threads; one for each processor, up to four, if None.
    """

    def describe(path: str | os.PathLike) -> TrackDescriptors:
        name = os.fspath(path)
        try:
            found = cached_file(path, settings, limits) if settings else analyze_file(path, limits)
        except AudioError as error:
            return TrackDescriptors(name, error=str(error), code=error.code)
        return TrackDescriptors(name, found)

    workers = workers or min(4, os.cpu_count() or 1)
    for rows in worked_ahead(paths, describe, workers, AHEAD, "describe"):
        yield from rows


def _samples(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """The waveform as finite float32 at :data:`RATE`, resampled by librosa (soxr) where it has another."""
    waveform = np.asarray(waveform, np.float32)
    if not np.isfinite(waveform).all():
        waveform = np.nan_to_num(waveform, posinf=0, neginf=0)
    if sample_rate == RATE:
        return waveform
    import librosa  # on demand: files are decoded at the right rate, and never come here

    resampled = librosa.resample(waveform, orig_sr=sample_rate, target_sr=RATE)
    return resampled if len(resampled) else waveform[:1]


# Remembering


@cache
def _remembered(root: Path, max_bytes: int) -> JsonCache:
    """One for each folder, which keeps count of what it has written."""
    return JsonCache(root, max_bytes)


def _key(path: Path, limits: Limits) -> str | None:
    """Under which a file's description is kept; None for what cannot be read, or is not to be."""
    try:
        if limits.max_bytes is not None and path.stat().st_size > limits.max_bytes:
            return None
        return combine(content_digest(path), ANALYSIS_VERSION)
    except (OSError, ValueError):  # decoding says it better
        return None


def _read(kept: Any, limits: Limits) -> Descriptors | None:
    """What was kept, if it is whole and within the limits."""
    try:
        found = Descriptors.from_json(kept)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return None if limits.max_seconds is not None and found.duration > limits.max_seconds else found
