"""Tuning and key of a track, from the pitch classes of its spectral peaks.

Sources: peaks to pitch classes with interpolation after Gómez, "Tonal Description of Polyphonic Audio for Music
Content Processing" (INFORMS Journal on Computing 18, 2006); keys by correlation with profiles after Krumhansl,
"Cognitive Foundations of Musical Pitch" (1990).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genre_lib.analysis.spectrum import RATE, magnitudes

WINDOW, HOP = 8192, 4096
"""Samples: 372 ms, long enough to tell semitones from 60 Hz up."""

LOW, HIGH = 55.0, 1760.0
"""Hz, between which peaks count: A1 to A6."""

BINS = slice(int(LOW * WINDOW / RATE) - 1, int(HIGH * WINDOW / RATE) + 3)
FLOOR = 1e-4
"""Magnitude, in full scale, of the quietest peak that counts."""

MAJOR = np.array([0.748, 0.060, 0.488, 0.082, 0.67, 0.46, 0.096, 0.715, 0.104, 0.366, 0.057, 0.4])
MINOR = np.array([0.712, 0.084, 0.474, 0.618, 0.049, 0.46, 0.105, 0.747, 0.404, 0.067, 0.133, 0.33])
"""How much each pitch class above the tonic is used: Temperley's of 2005, from the Kostka-Payne corpus."""


@dataclass(frozen=True)
class Tonality:
    """What was found out about a track's pitches."""

    key: int
    """Tonic, 0 = C to 11 = B; -1 where nothing has a pitch."""
    mode: int
    """1 major, 0 minor."""
    confidence: float
    """0 to 1."""
    tuning: float
    """Cents above A = 440 Hz, -50 to 50."""
    chroma: np.ndarray
    """Mean share of each pitch class, C first: [12], of sum 1, or zeros."""


@dataclass(frozen=True)
class Peaks:
    """Spectral peaks of all frames, side by side."""

    frame: np.ndarray
    """int [peaks]."""
    semitone: np.ndarray
    """Semitones above C0 at A = 440 Hz, with parts of one: [peaks]."""
    magnitude: np.ndarray
    """[peaks], in full scale."""


def analyze(waveform: np.ndarray) -> Tonality:
    """The tonality of a waveform, float32 [samples] at :data:`RATE`."""
    spectrum = np.concatenate(list(magnitudes(waveform, WINDOW, HOP, BINS)))
    peaks = find_peaks(spectrum)
    if not len(peaks.frame):
        return Tonality(-1, 1, 0.0, 0.0, np.zeros(12))
    tuning = estimate_tuning(peaks)
    chroma = chromagram(peaks, tuning, len(spectrum)).mean(axis=0)
    chroma /= chroma.sum()
    key, mode, confidence = find_key(chroma)
    return Tonality(key, mode, confidence, 100 * tuning, chroma)


def find_peaks(spectrum: np.ndarray) -> Peaks:
    """Local maxima above :data:`FLOOR`, their frequency from a parabola through the log-magnitudes beside them."""
    middle = spectrum[:, 1:-1]
    is_peak = (middle > spectrum[:, :-2]) & (middle >= spectrum[:, 2:]) & (middle > FLOOR)
    frame, place = np.nonzero(is_peak)
    left, centre, right = (np.log(spectrum[frame, place + shift] + 1e-12) for shift in (0, 1, 2))
    offset = 0.5 * (left - right) / np.minimum(left - 2 * centre + right, -1e-6)
    hertz = (BINS.start + place + 1 + offset) * RATE / WINDOW
    inside = (hertz >= LOW) & (hertz <= HIGH)
    semitone = 12 * np.log2(hertz[inside] / 440) + 57
    return Peaks(frame[inside], semitone, np.exp(centre[inside]))


def estimate_tuning(peaks: Peaks) -> float:
    """Semitones, -0.5 to 0.5, by which the peaks lie above the nearest note: their circular mean."""
    turns = np.exp(2j * np.pi * peaks.semitone) @ peaks.magnitude
    return float(np.angle(turns) / (2 * np.pi))


def chromagram(peaks: Peaks, tuning: float, frames: int) -> np.ndarray:
    """Weight of each pitch class in each frame, at most 1: [frames, 12]."""
    note = np.round(peaks.semitone - tuning)
    off = peaks.semitone - tuning - note
    weight = np.sqrt(peaks.magnitude) * np.cos(np.pi * off) ** 2
    place = peaks.frame * 12 + note.astype(int) % 12
    chroma = np.bincount(place, weight, minlength=12 * frames).reshape(frames, 12)
    return chroma / np.maximum(chroma.max(axis=1, keepdims=True), 1e-9)


def find_key(chroma: np.ndarray) -> tuple[int, int, float]:
    """Tonic, mode and confidence of pitch-class weights [12]: the profile that correlates best, and by how much."""
    scores = key_scores(chroma)
    best, second = np.sort(scores.ravel())[::-1][:2]
    mode, key = divmod(int(scores.argmax()), 12)
    return key, 1 - mode, float(np.clip((best - second) / max(best, 1e-9), 0, 1))


def key_scores(chroma: np.ndarray) -> np.ndarray:
    """Correlation with each key's profile: [2, 12], major then minor, tonic C to B."""
    scores = [[np.corrcoef(chroma, np.roll(profile, key))[0, 1] for key in range(12)] for profile in (MAJOR, MINOR)]
    return np.nan_to_num(np.array(scores))
