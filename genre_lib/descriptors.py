"""Descriptors of a track, under the names and encodings of Spotify's audio features, computed from the audio alone.

Tempo, key and loudness are measured; how each is done, and after whom, stands in :mod:`genre_lib.analysis`. Energy,
danceability, valence, acousticness, instrumentalness, speechiness and liveness are rough estimates, good for sorting
a library and not for comparing with numbers from elsewhere.

>>> describe = analyze_file("song.mp3")  # doctest: +SKIP
>>> describe.tempo, describe.key_name  # doctest: +SKIP
(120.2, 'A minor')
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from genre_lib.analysis import character, loudness, rhythm, tonality
from genre_lib.analysis.rhythm import TempoCandidate
from genre_lib.analysis.spectrum import MEL_RATE, RATE, mel
from genre_lib.audio import Limits, Source, cut_off, load
from genre_lib.errors import EmptyAudio

ANALYSIS_VERSION = "3"
"""Part of every cached entry's name; raised when the same audio would be described otherwise."""

PITCH_CLASSES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")


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
    claimed_duration: float | None = None
    """Seconds that a damaged file states, of which clearly fewer could be decoded; None for a whole one."""

    @property
    def key_name(self) -> str | None:
        """Such as ``A minor``; None where nothing has a pitch."""
        return None if self.key < 0 else f"{PITCH_CLASSES[self.key]} {'major' if self.mode else 'minor'}"

    def warning(self, name: str = "the audio") -> str | None:
        """What to tell a person about a damaged file of that name, or None."""
        return None if self.claimed_duration is None else cut_off(name, self.claimed_duration, self.duration)

    def to_json(self) -> dict[str, Any]:
        """Every field under its name, the candidates as objects with ``tempo`` and ``strength``.

        ``claimed_duration`` is left out where there is none.
        """
        found = asdict(self) | {"tempo_candidates": [asdict(candidate) for candidate in self.tempo_candidates]}
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Descriptors:
        """The inverse of :meth:`to_json`.

        Raises:
            TypeError, ValueError, KeyError: fields are missing, or there are others.
        """
        candidates = tuple(TempoCandidate(**candidate) for candidate in values["tempo_candidates"])
        return cls(**values | {"tempo_candidates": candidates})


NUMBERS = tuple(
    field.name for field in fields(Descriptors) if field.name not in ("tempo_candidates", "claimed_duration")
)
"""The descriptors that are a single number each, and say something of every track."""


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
    """Describe a path, bytes or an open file; of a truncated one, what can be decoded, and what it claims.

    Raises:
        AudioError: one of its kinds, such as NotAudio.
    """
    audio = load(path, RATE, limits=limits, on_truncated="ignore")
    found = analyze(audio.waveform, RATE)
    return replace(found, claimed_duration=audio.claimed_duration) if audio.truncated else found


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
