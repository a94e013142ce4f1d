"""Onsets, tempo and metre of a track, from its mel bands.

The tempo is where the autocorrelation of the onset strength is high at a lag and at its multiples, weighted by how
common the tempo is in popular music.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import uniform_filter1d

from genre_lib.analysis.spectrum import MEL_RATE

SLOWEST, FASTEST = 40.0, 220.0
"""Beats per minute that are looked for."""

COMPRESSION = 1000.0
"""In log(1 + compression * magnitude): quiet onsets count nearly as much as loud ones."""

FLUX_LAG = 2
"""Frames between the two that are compared: an attack lasts longer than a hop."""

MEAN_SECONDS = 0.8
"""The onset strength is taken against its mean over this long."""

SEGMENT_SECONDS, SEGMENT_HOP_SECONDS = 12.0, 3.0
"""Autocorrelations are of stretches, so that a tempo may drift."""

MULTIPLES = {1: 1.0, 2: 1.0, 3: 0.5, 4: 1.0}
"""Multiples of a beat at which the autocorrelation is looked up, and their weights."""

PRIOR_TEMPO, PRIOR_OCTAVES = 100.0, 0.5
"""Centre in beats per minute and standard deviation in octaves of the log-normal prior."""

GRID = np.exp(np.linspace(np.log(SLOWEST), np.log(FASTEST), 480))
"""Tempos that are scored: steps of 0.36 %."""

SHORTEST_SECONDS = 2.0
"""Less holds too few beats to tell a tempo."""

MAX_CANDIDATES = 4
SAME_TEMPO = 0.04
"""Share by which two tempos may differ and be one, as evaluations of tempo count them."""


@dataclass(frozen=True)
class TempoCandidate:
    """A tempo that fits the onsets, and how well it does beside the others."""

    tempo: float
    """Beats per minute."""
    strength: float
    """Share of all candidates' scores, 0 to 1; they add up to 1."""


@dataclass(frozen=True)
class Rhythm:
    """What was found out about a track's beat."""

    candidates: tuple[TempoCandidate, ...]
    """The strongest first; empty where nothing repeats."""
    confidence: float
    """0 to 1."""
    time_signature: int
    """Beats in a bar: 3 or 4."""
    pulse: float
    """How regular the onsets are, 0 to 1: the autocorrelation at the beat."""

    @property
    def tempo(self) -> float:
        """Beats per minute; 0 where nothing repeats."""
        return self.candidates[0].tempo if self.candidates else 0.0


def analyze(mel: np.ndarray) -> Rhythm:
    """The rhythm of mel magnitudes, float32 [frames, bands]."""
    correlation = autocorrelation(onset_strength(mel)) if len(mel) >= SHORTEST_SECONDS * MEL_RATE else None
    if correlation is None:
        return Rhythm((), 0.0, 4, 0.0)
    candidates = tempo_candidates(correlation)
    beat = 60 * MEL_RATE / candidates[0].tempo
    pulse = float(np.clip(_at(correlation, np.array([beat]))[0], 0, 1))
    return Rhythm(candidates, pulse * candidates[0].strength, time_signature(correlation, beat), pulse)


def onset_strength(mel: np.ndarray) -> np.ndarray:
    """Half-wave rectified rise of the compressed level, summed over the bands, less its local mean: [frames]."""
    level = np.log1p(COMPRESSION * mel)
    rise = np.zeros(len(level), np.float32)
    rise[FLUX_LAG:] = np.maximum(level[FLUX_LAG:] - level[:-FLUX_LAG], 0).sum(axis=1)
    return np.maximum(rise - uniform_filter1d(rise, round(MEAN_SECONDS * MEL_RATE)), 0)


def autocorrelation(onsets: np.ndarray) -> np.ndarray | None:
    """Mean normalised autocorrelation of overlapping stretches, 1 at lag 0: [lags]; None where there are no onsets."""
    length = min(len(onsets), round(SEGMENT_SECONDS * MEL_RATE))
    stretches = np.lib.stride_tricks.sliding_window_view(onsets, length)[:: round(SEGMENT_HOP_SECONDS * MEL_RATE)]
    centred = stretches - stretches.mean(axis=1, keepdims=True)
    power = np.abs(fft.rfft(centred, 2 * length, axis=1)) ** 2
    products = fft.irfft(power, axis=1)[:, :length].sum(axis=0)
    if products[0] <= 1e-6 * length:
        return None
    return products / products[0] * (length / np.maximum(length - np.arange(length), length / 4))


def tempo_candidates(correlation: np.ndarray) -> tuple[TempoCandidate, ...]:
    """Tempos at the peaks of the score, the strongest first."""
    scores = tempo_scores(correlation)
    inner = (scores[1:-1] >= scores[:-2]) & (scores[1:-1] > scores[2:]) & (scores[1:-1] > 0)
    peaks = np.flatnonzero(inner) + 1
    if not len(peaks):
        return (TempoCandidate(float(GRID[scores.argmax()]), 1.0),)
    best = peaks[np.argsort(-scores[peaks], kind="stable")][:MAX_CANDIDATES]
    return tuple(TempoCandidate(float(GRID[i]), float(scores[i] / scores[best].sum())) for i in best)


def tempo_scores(correlation: np.ndarray) -> np.ndarray:
    """Score of each tempo of :data:`GRID`: the autocorrelation at multiples of its beat, times the prior: [tempos]."""
    beats = 60 * MEL_RATE / GRID
    scores = sum(weight * np.maximum(_at(correlation, n * beats), 0) for n, weight in MULTIPLES.items())
    prior = np.exp(-0.5 * (np.log2(GRID / PRIOR_TEMPO) / PRIOR_OCTAVES) ** 2)
    return scores * prior


def time_signature(correlation: np.ndarray, beat: float) -> int:
    """3 where bars of three beats of so many frames repeat clearly better than bars of four, else 4."""
    three, four = (_at(correlation, np.array([n * beat, 2 * n * beat])).sum() for n in (3, 4))
    return 3 if three > 1.2 * max(four, 0.05) else 4


def _at(correlation: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Autocorrelation at lags that are no whole numbers, 0 beyond its end."""
    return np.interp(lags, np.arange(len(correlation)), correlation, right=0.0)
