"""Tuning and key of a track, from how strongly each note of the chromatic scale sounds.

Each note's share of a long-window spectrum is taken after the noise floor is removed, harmonics speak for the notes
below them (Gómez, "Tonal Description of Polyphonic Audio for Music Content Processing", INFORMS Journal on Computing
18, 2006), and octaves are folded into twelve pitch classes. The key is the one whose profile correlates best
(Krumhansl, "Cognitive Foundations of Musical Pitch", 1990).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import uniform_filter1d

from genre_lib.analysis.spectrum import RATE, magnitudes

WINDOW, HOP = 16384, 8192
"""Samples: 743 ms, long enough to tell a semitone from 65 Hz up."""

FRAMES_A_SECOND = RATE / HOP

BINS = slice(20, 3000)
"""Of the spectrum, 27 Hz to 4 kHz."""

HERTZ = np.arange(BINS.start, BINS.stop) * RATE / WINDOW
SEMITONES = 12 * np.log2(HERTZ / 440) + 57
"""Each bin's height in semitones above C0 (16.35 Hz), at A = 440 Hz."""

NOTES = np.arange(19, 96)
"""G1 to B7, in semitones above C0."""

NOTE_WIDTH = 0.35
"""Standard deviation in semitones of what belongs to a note; a bin's width where that is more."""

FLOOR_BINS = 60
"""The noise floor of a bin is the mean over so many, 81 Hz."""

TUNING_STEP = 0.05
"""Semitones: tuning is rounded to this, so that filters can be kept."""

COMPRESSION = 0.5
"""Power of a note's magnitude: a loud one does not silence the rest."""

HARMONICS = {12: 0.6, 19: 0.36, 24: 0.216}
"""Semitones from a note to its second, third and fourth harmonic, and what share of them it is given."""

REGISTER = (200.0, 1.0)
"""Hz and octaves: centre and deviation of the weight of a note, for the low ones show the tonic."""

FAINTEST = 1e-5
"""Magnitude, in full scale, below which a bin holds nothing."""

FLATTEST, FLATTEST_FRAME = 0.07, 0.35
"""Deviation over mean of the pitch classes of a track, and of a frame: noise stays below, and has no key."""

CLEAR_MARGIN = 0.3
"""How much better the best key correlates than the next where there is no doubt."""

# fmt: off
MAJOR = np.array([1.891, -0.593, 0.032, -0.885, 0.327, 0.368, -0.629, 1.228, -0.734, 0.028, -0.762, -0.271])
MINOR = np.array([1.988, -0.623, -0.322, 0.313, -0.623, 0.271, -0.709, 1.291, -0.438, -0.853, 0.175, -0.470])
# fmt: on
"""How much each pitch class above the tonic sounds, in deviations from the mean.

They were learned without a single annotation: from the profiles of Albrecht and Shanahan ("The Use of Large Corpora to
Train a New Type of Key-Finding Algorithm", Music Perception 31, 2013) by fifteen rounds of giving each of 304 clips of
popular music the key that fits it best, and averaging the clips of each mode, turned to a common tonic.
"""


@dataclass(frozen=True)
class Tonality:
    """What was found out about a track's pitches."""

    key: int = -1
    """Tonic, 0 = C to 11 = B; -1 where nothing has a pitch."""
    mode: int = 1
    """1 major, 0 minor."""
    confidence: float = 0.0
    """0 where another key fits as well, to 1 where none does nearly."""
    tuning: float = 0.0
    """Cents above A = 440 Hz, -50 to 50."""


def analyze(waveform: np.ndarray) -> Tonality:
    """The tonality of a waveform, float32 [samples] at :data:`~genre_lib.analysis.spectrum.RATE`."""
    chroma, tuning = chromagram(waveform)
    classes = chroma.mean(axis=0)
    if classes.std() <= max(FLATTEST, FLATTEST_FRAME / np.sqrt(len(chroma))) * classes.mean():
        return Tonality(tuning=100 * tuning)
    key, mode, confidence = find_key(classes)
    return Tonality(key, mode, confidence, 100 * tuning)


def chromagram(waveform: np.ndarray) -> tuple[np.ndarray, float]:
    """Strength of each pitch class in each frame, [frames, 12], C first, and the tuning in semitones, -0.5 to 0.5."""
    spectrum = np.concatenate(list(magnitudes(waveform, WINDOW, HOP, BINS)))
    spectrum -= uniform_filter1d(spectrum, FLOOR_BINS, axis=1)
    np.maximum(spectrum, 0, out=spectrum)
    spectrum[spectrum < FAINTEST] = 0
    tuning = estimate_tuning(spectrum)
    notes = (spectrum @ note_filters(round(tuning / TUNING_STEP))) ** COMPRESSION
    notes /= np.maximum(notes.max(axis=1, keepdims=True), 1e-9)
    return fold(notes), tuning


def estimate_tuning(spectrum: np.ndarray) -> float:
    """Semitones, -0.5 to 0.5, by which the peaks of [frames, bins] lie above the nearest note: their circular mean."""
    middle = spectrum[:, 1:-1]
    frame, place = np.nonzero((middle > spectrum[:, :-2]) & (middle >= spectrum[:, 2:]))
    if not len(frame):
        return 0.0
    left, top, right = (np.log(spectrum[frame, place + shift] + FAINTEST) for shift in (0, 1, 2))
    offset = 0.5 * (left - right) / np.minimum(left - 2 * top + right, -1e-6)
    hertz = (BINS.start + place + 1 + offset) * RATE / WINDOW
    weight = np.exp(top) * _register(hertz, 600, 0.8)
    turns = np.exp(2j * np.pi * 12 * np.log2(hertz / 440)) @ weight
    return float(np.angle(turns) / (2 * np.pi))


@lru_cache(maxsize=32)
def note_filters(tuning_steps: int) -> np.ndarray:
    """A bell on each note, tuned up by steps of :data:`TUNING_STEP`, of equal norm: float32 [bins, notes]."""
    distance = (SEMITONES - tuning_steps * TUNING_STEP)[:, None] - NOTES
    bin_width = 12 * np.log2(1 + RATE / WINDOW / HERTZ)[:, None]
    filters = np.exp(-0.5 * (distance / np.maximum(NOTE_WIDTH, 0.6 * bin_width)) ** 2)
    filters[np.abs(distance) > 2] = 0
    return (filters / np.linalg.norm(filters, axis=0)).astype(np.float32)


def fold(notes: np.ndarray) -> np.ndarray:
    """Strength of the notes [frames, notes] → of the pitch classes [frames, 12], harmonics given to their notes too."""
    summed = notes.copy()
    for semitones, share in HARMONICS.items():
        summed[:, :-semitones] += share * notes[:, semitones:]
    summed *= _register(440 * 2 ** ((NOTES - 57) / 12), *REGISTER)
    classes = np.zeros((len(notes), 12))
    for pitch_class in range(12):
        classes[:, pitch_class] = summed[:, pitch_class == NOTES % 12].sum(axis=1)
    return classes


def find_key(classes: np.ndarray) -> tuple[int, int, float]:
    """Tonic, mode and confidence of the strengths of the pitch classes [12]: the profile that correlates best."""
    scores = key_scores(classes)
    second, best = np.sort(scores, axis=None)[-2:]
    row, key = divmod(int(scores.argmax()), 12)
    return key, 1 - row, float(np.clip((best - second) / CLEAR_MARGIN, 0, 1))


def key_scores(classes: np.ndarray) -> np.ndarray:
    """Correlation with each key's profile: [2, 12], major above minor, tonics C to B."""
    centred = (classes - classes.mean()) / max(float(classes.std()), 1e-9)
    profiles = np.array([[np.roll(profile, key) for key in range(12)] for profile in (MAJOR, MINOR)])
    return (profiles / profiles.std(axis=2, keepdims=True)) @ centred / 12


def _register(hertz: np.ndarray, centre: float, octaves: float) -> np.ndarray:
    return np.exp(-0.5 * (np.log2(hertz / centre) / octaves) ** 2)
