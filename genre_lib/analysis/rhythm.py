"""Onsets, tempo and metre of a track, from its mel bands.

The onset strength is the rise of the level, summed over bands (Dixon, "Onset Detection Revisited", DAFx 2006). Its
generalised autocorrelation (Tolonen and Karjalainen, 2000; for tempo: Percival and Tzanetakis, "Streamlined Tempo
Estimation Based on Autocorrelation and Cross-correlation with Pulses", IEEE/ACM TASLP 22, 2014) is high at a beat and
at its multiples. That finds the tempo up to a factor of two; which of its octaves a person would tap is decided by how
common each is in popular music, and by whether the faster beat really sounds at every other of its places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from genre_lib.analysis.spectrum import MEL_RATE

SLOWEST, FASTEST = 40.0, 220.0
"""Beats per minute that are answered."""

SHORTEST_SECONDS = 2.0
"""Less holds too few beats to tell a tempo."""

COMPRESSION = 100.0
"""In log(1 + compression * magnitude): quiet onsets count nearly as much as loud ones."""

RISE_FRAMES = 3
"""Frames between the two that are compared, 35 ms: an attack lasts longer than a hop."""

FAINTEST_RISE = 0.05
"""Mean rise of a band, added before each band is divided by its own: one that hardly moves has no say."""

SMOOTHING_FRAMES = 1.5
"""Standard deviation in frames: players are no clocks."""

SEGMENT_SECONDS, SEGMENT_HOP_SECONDS = 12.0, 3.0
"""Autocorrelations are of stretches, so that a tempo may drift."""

GENERALISED = 0.5
"""Power of the magnitude spectrum; 2 would be the plain autocorrelation, less makes narrower peaks."""

MULTIPLES = {1: 1.0, 2: 1.0, 3: 0.5, 4: 1.0}
"""Multiples of a beat at which the autocorrelation is looked up, and their weights."""

WIDE_PRIOR = (110.0, 0.9)
"""Beats per minute and octaves: centre and deviation of the log-normal weight while peaks are compared."""

OCTAVE_PRIOR = (102.0, 0.35)
"""The same for choosing among a tempo's octaves: 72 to 144 is where most popular music is tapped."""

ODD_WEIGHT, ODD_BALANCE = 1.2, 0.55
"""Weight of a faster beat's odd multiples against its even ones, and the ratio at which they speak for neither."""

GRID = np.exp(np.linspace(np.log(30), np.log(300), 900))
"""Tempos that are scored: steps of 0.26 %."""

SAME_TEMPO = 0.04
"""Share by which two tempos may differ and be one, as evaluations of tempo count them."""

FEWEST_BANDS = 0.02
"""Mean onset strength in bands: below it nothing begins, as in silence and in a steady tone."""

WALTZ = 1.3
"""A bar is of three beats where its multiples fit so many times better than those of four."""


@dataclass(frozen=True)
class TempoCandidate:
    """A tempo that fits the onsets, and how well it does beside the others."""

    tempo: float
    """Beats per minute."""
    strength: float
    """Share of all candidates, 0 to 1."""


@dataclass(frozen=True)
class Rhythm:
    """What was found out about a track's beat."""

    candidates: tuple[TempoCandidate, ...] = ()
    """The chosen tempo, then the others by their strength; empty where nothing begins."""
    confidence: float = 0.0
    """0 where another tempo, not an octave of this, fits as well, to 1 where none does."""
    time_signature: int = 4
    """Beats in a bar: 3 or 4."""
    pulse: float = 0.0
    """How regular the onsets are, 0 to 1: the autocorrelation at the beat."""

    @property
    def tempo(self) -> float:
        """Beats per minute; 0 where nothing begins."""
        return self.candidates[0].tempo if self.candidates else 0.0


def analyze(mel: np.ndarray) -> Rhythm:
    """The rhythm of mel magnitudes, float32 [frames, bands]."""
    onsets = onset_strength(mel)
    if len(onsets) < SHORTEST_SECONDS * MEL_RATE or onsets.mean() < FEWEST_BANDS * mel.shape[1]:
        return Rhythm()
    correlation = autocorrelation(onsets)
    first, second, margin = two_tempos(tempo_scores(correlation))
    candidates = _candidates(correlation, first, second, margin)
    beat = 60 * MEL_RATE / candidates[0].tempo
    return Rhythm(candidates, margin, time_signature(correlation, beat), float(np.clip(_peak(correlation, beat), 0, 1)))


def onset_strength(mel: np.ndarray) -> np.ndarray:
    """How much begins at each frame: the rise of every band's level in units of its mean, summed: [frames]."""
    level = np.log1p(COMPRESSION * mel)
    rise = np.zeros_like(level)
    rise[RISE_FRAMES:] = np.maximum(level[RISE_FRAMES:] - level[:-RISE_FRAMES], 0)
    rise /= rise.mean(axis=0) + FAINTEST_RISE
    return gaussian_filter1d(rise.sum(axis=1), SMOOTHING_FRAMES)


def autocorrelation(onsets: np.ndarray) -> np.ndarray:
    """Mean generalised autocorrelation of overlapping stretches, 1 at lag 0: [lags]."""
    length = min(len(onsets), round(SEGMENT_SECONDS * MEL_RATE))
    stretches = np.lib.stride_tricks.sliding_window_view(onsets, length)[:: round(SEGMENT_HOP_SECONDS * MEL_RATE)]
    centred = stretches - stretches.mean(axis=1, keepdims=True)
    spectrum = np.abs(fft.rfft(centred, 2 * length, axis=1)) ** GENERALISED
    products = fft.irfft(spectrum, axis=1)[:, :length]
    mean = (products / np.maximum(products[:, :1], 1e-9)).mean(axis=0)
    return mean / max(mean[0], 1e-9)


def tempo_scores(correlation: np.ndarray) -> np.ndarray:
    """Score of each tempo of :data:`GRID`: the autocorrelation at multiples of its beat, times the prior: [tempos]."""
    beats = 60 * MEL_RATE / GRID
    scores = sum(weight * np.maximum(_at(correlation, n * beats), 0) for n, weight in MULTIPLES.items())
    return scores * np.exp(_log_prior(GRID, *WIDE_PRIOR))


def two_tempos(scores: np.ndarray) -> tuple[float, float, float]:
    """The best tempo, the best that is none of its octaves, and by what share the first is better."""
    first = _refined(scores, int(scores.argmax()))
    octaves = np.abs(np.log2(GRID / first) - np.round(np.log2(GRID / first))) < np.log2(1 + SAME_TEMPO)
    others = np.where(octaves, 0.0, scores)
    place = int(others.argmax())
    margin = 1 - others[place] / max(scores.max(), 1e-9)
    return first, float(GRID[place]), float(np.clip(margin, 0, 1))


def octaves(correlation: np.ndarray, tempo: float) -> dict[float, float]:
    """The tempo and its octaves between :data:`SLOWEST` and :data:`FASTEST`, with their log-odds.

    From an octave to the next faster one, the odds change with the prior, and with how the autocorrelation at the odd
    multiples of the faster beat compares to that at the even ones: where the faster is only imagined, it is less.
    """
    slowest = tempo / 2 ** np.floor(np.log2(tempo / SLOWEST))
    found, evidence, current = {}, 0.0, float(slowest)
    while current <= FASTEST:
        found[current] = evidence + float(_log_prior(current, *OCTAVE_PRIOR))
        current *= 2
        evidence += ODD_WEIGHT * np.log(odd_to_even(correlation, current) / ODD_BALANCE)
    return found


def odd_to_even(correlation: np.ndarray, tempo: float) -> float:
    """Autocorrelation at one and three beats over that at two and four, 0.1 to 2."""
    one, two, three, four = (_peak(correlation, n * 60 * MEL_RATE / tempo) for n in (1, 2, 3, 4))
    return float(np.clip((one + three) / max(two + four, 1e-6), 0.1, 2))


def beat_grid(onsets: np.ndarray, tempo: float) -> np.ndarray:
    """Seconds of evenly spaced beats, as many as fit, where they meet the most onsets [frames]: [beats].

    For a picture: music that drifts leaves the grid.
    """
    step = 60 * MEL_RATE / tempo
    places = np.arange(0, len(onsets), step)
    phases = np.arange(0, step, 1.0)
    sums = [np.interp(places + phase, np.arange(len(onsets)), onsets, right=0).sum() for phase in phases]
    beats = places + phases[int(np.argmax(sums))]
    return beats[beats < len(onsets)] / MEL_RATE


def time_signature(correlation: np.ndarray, beat: float) -> int:
    """3 where bars of three beats of so many frames repeat clearly better than bars of four, else 4."""
    three = _peak(correlation, 3 * beat) + _peak(correlation, 6 * beat)
    four = _peak(correlation, 4 * beat) + max(_peak(correlation, 2 * beat), _peak(correlation, 8 * beat))
    return 3 if three > WALTZ * max(four, 0.05) else 4


def _candidates(correlation: np.ndarray, first: float, second: float, margin: float) -> tuple[TempoCandidate, ...]:
    """The octaves of both tempos; the most likely octave of the first stands first."""
    shares: dict[float, float] = {}
    for tempo, share in ((first, 1 / (2 - margin)), (second, (1 - margin) / (2 - margin))):
        odds = octaves(correlation, tempo)
        weights = np.exp(np.array(list(odds.values())) - max(odds.values()))
        shares |= dict(zip(odds, share * weights / weights.sum(), strict=True))
    own = octaves(correlation, first)
    chosen = max(own, key=lambda tempo: own[tempo])
    ranked = sorted(shares, key=lambda tempo: (tempo != chosen, -shares[tempo]))
    return tuple(TempoCandidate(tempo, float(shares[tempo])) for tempo in ranked)


def _log_prior(tempo: np.ndarray | float, centre: float, deviation: float) -> np.ndarray:
    return -0.5 * (np.log2(np.asarray(tempo) / centre) / deviation) ** 2


def _refined(scores: np.ndarray, place: int) -> float:
    """Tempo at the top of the parabola through a score and its neighbours."""
    if not 0 < place < len(scores) - 1:
        return float(GRID[place])
    left, top, right = scores[place - 1 : place + 2]
    offset = np.clip(0.5 * (left - right) / min(left - 2 * top + right, -1e-12), -0.5, 0.5)
    return float(GRID[place] * (GRID[1] / GRID[0]) ** offset)


def _at(correlation: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Autocorrelation at lags that are no whole numbers, 0 beyond its end."""
    return np.interp(lags, np.arange(len(correlation)), correlation, right=0.0)


def _peak(correlation: np.ndarray, lag: float) -> float:
    """The highest autocorrelation within 3 % of a lag."""
    return float(_at(correlation, np.linspace(0.97 * lag, 1.03 * lag, 9)).max())
