"""What a track is like, from 0 to 1: estimates under the names of Spotify's audio features.

Spotify has never said how it computes these, so the figures are not its figures. Each is a weighted mean of a few cues
that its documentation, or research, names; a cue is 0 up to one value, 1 from another, and rises evenly between. The
weights and the bounds were set by hand so that they spread real music over the range, and were fitted to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import fft

from genre_lib.analysis.rhythm import Rhythm
from genre_lib.analysis.spectrum import MEL_BANDS, MEL_RATE, mel_hertz
from genre_lib.analysis.tonality import Tonality

SILENT = 1e-5
"""Magnitude of the loudest band, -100 dB, below which a frame holds nothing."""

BAND_HERTZ = mel_hertz(MEL_BANDS + 2)[1:-1]
"""Centre of each mel band."""

VOICE = (BAND_HERTZ > 250) & (BAND_HERTZ < 3500)
TREBLE = BAND_HERTZ > 5000
BASS = BAND_HERTZ < 200

SYLLABLES = (2.5, 8.0)
"""Syllables a second of speech and song: Houtgast and Steeneken, "The Modulation Transfer Function" (1985)."""


@dataclass(frozen=True)
class Character:
    """Estimates, each from 0 to 1."""

    energy: float = 0.0
    danceability: float = 0.0
    valence: float = 0.0
    acousticness: float = 0.0
    instrumentalness: float = 0.0
    speechiness: float = 0.0
    liveness: float = 0.0


@dataclass(frozen=True)
class Cues:
    """What is heard in a track, in units of its own. None of it is a descriptor yet."""

    mel: np.ndarray
    """Magnitudes of the frames that are not silent, float32 [frames, bands]."""
    blocks: np.ndarray
    """Momentary loudness in LUFS, ten a second: [blocks]."""

    @cached_property
    def power(self) -> np.ndarray:
        return np.square(self.mel)

    @cached_property
    def decibels(self) -> np.ndarray:
        """Level of each band, float32 [frames, bands]."""
        return 10 * np.log10(self.power + 1e-10)

    @cached_property
    def centroid(self) -> float:
        """Mean frequency in Hz, weighted by magnitude."""
        return float(np.mean(self.mel @ BAND_HERTZ / self.mel.sum(axis=1)))

    @cached_property
    def flatness(self) -> float:
        """Geometric over arithmetic mean of the bands' powers: 0 one band, 1 white."""
        geometric = 10 ** (self.decibels.mean(axis=1) / 10)
        return float(np.mean(geometric / (self.power.mean(axis=1) + 1e-10)))

    @cached_property
    def treble(self) -> float:
        """Level of the bands above 5 kHz against the mean level, in dB; negative in nearly all music."""
        mean = 10 * np.log10(self.power.mean(axis=0) + 1e-10)
        return float(mean[TREBLE].mean() - mean.mean())

    @cached_property
    def spread(self) -> float:
        """Dynamics in LU: 95th less 10th percentile of the momentary loudness."""
        low, high = np.percentile(self.blocks, [10, 95])
        return float(high - low)

    @cached_property
    def movement(self) -> float:
        """Mean rise of a band's level from one frame to the next, in dB."""
        return float(np.maximum(np.diff(self.decibels, axis=0), 0).mean()) if len(self.mel) > 1 else 0.0

    @cached_property
    def syllables(self) -> float:
        """Share of the voice bands' modulation between 0.5 and 16 Hz that is at the pace of syllables."""
        level = self.decibels[:, VOICE]
        spectrum = np.abs(fft.rfft(level - level.mean(axis=0), axis=0)) ** 2
        pace = np.arange(len(spectrum)) * MEL_RATE / len(level)
        total = spectrum[(pace >= 0.5) & (pace <= 16)].sum()
        return float(spectrum[(pace >= SYLLABLES[0]) & (pace <= SYLLABLES[1])].sum() / total) if total > 0 else 0.0

    @cached_property
    def gaps(self) -> float:
        """Share of frames whose voice bands lie 6 dB or more below their mean: Scheirer and Slaney (1997)."""
        level = 10 * np.log10(self.power[:, VOICE].sum(axis=1) + 1e-10)
        return float(np.mean(level < 10 * np.log10(np.mean(10 ** (level / 10))) - 6))

    @cached_property
    def floor(self) -> float:
        """How far the quiet moments lie below the mean, in dB, above 1 kHz: little in a room full of people."""
        level = self.decibels[:, BAND_HERTZ > 1000]
        return float(np.mean(level.mean(axis=0) - np.percentile(level, 10, axis=0)))


def analyze(mel: np.ndarray, blocks: np.ndarray, loudness: float, rhythm: Rhythm, tonality: Tonality) -> Character:
    """The estimates, from mel magnitudes [frames, bands], momentary loudness [blocks] and what was measured before."""
    heard = mel[mel.max(axis=1) > SILENT]
    if not len(heard):
        return Character()
    cues = Cues(heard, blocks)
    energy = _mean(
        (3, ramp(loudness, -32, -8)),
        (2, ramp(cues.movement, 0.5, 2.0)),
        (2, ramp(cues.flatness, 0.0, 0.12)),
        (1, ramp(cues.spread, 20, 3)),
    )
    danceability = _mean(
        (3, ramp(rhythm.pulse, 0.01, 0.11)),
        (2, _near(rhythm.tempo, 115, 0.5)),
        (2, ramp(cues.movement, 0.5, 1.6)),
        (1, ramp(cues.spread, 15, 3)),
    )
    valence = _mean(
        (2, tonality.mode if tonality.key >= 0 else 0.5),
        (2, ramp(rhythm.tempo, 60, 150)),
        (2, ramp(cues.centroid, 600, 2400)),
        (2, danceability),
    )
    acousticness = 1 - _mean(
        (3, ramp(cues.flatness, 0.0, 0.10)),
        (2, ramp(cues.treble, -25, -8)),
        (2, ramp(cues.movement, 0.5, 1.6)),
        (1, ramp(cues.spread, 15, 3)),
    )
    voice = _mean((2, ramp(cues.syllables, 0.25, 0.5)), (1, ramp(cues.gaps, 0.1, 0.45)))
    return Character(
        energy=energy,
        danceability=danceability,
        valence=valence,
        acousticness=acousticness,
        instrumentalness=1 - voice,
        speechiness=_mean((2, ramp(cues.syllables, 0.45, 0.8)), (2, ramp(cues.gaps, 0.3, 0.7))),
        # What is dense all along, as metal, has no quiet moments: only where the level moves do they tell of a room.
        liveness=ramp(cues.floor, 12, 5) * ramp(cues.spread, 2, 8),
    )


def ramp(value: float, zero: float, one: float) -> float:
    """0 at ``zero`` and before, 1 at ``one`` and beyond, even between them; ``zero`` may be the larger."""
    return float(np.clip((value - zero) / (one - zero), 0, 1))


def _near(value: float, centre: float, octaves: float) -> float:
    """1 at the centre, falling as a bell over octaves; 0 for 0."""
    return float(np.exp(-0.5 * (np.log2(value / centre) / octaves) ** 2)) if value > 0 else 0.0


def _mean(*cues: tuple[float, float]) -> float:
    """Weighted mean of (weight, cue)."""
    return float(sum(weight * cue for weight, cue in cues) / sum(weight for weight, _ in cues))
