"""Music whose tempo, bar and key are known, since it is made here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genre_lib.data.synthetic_sounds import harmonics, hertz, kick, noise_hit, place, snare, swell

RATE = 22050
MAJOR, MINOR = (0, 4, 7), (0, 3, 7)


def drums(tempo: float, beats: int = 4, seconds: float = 20, swing: float = 0.5) -> np.ndarray:
    """Kick on one, snare on two and four (of three: on two and three), hats between: float32 [samples]."""
    random, beat = np.random.default_rng(0), 60 / tempo
    track = np.zeros(round(seconds * RATE), np.float32)
    backbeats = (1, 3) if beats == 4 else range(1, beats)
    for index in range(int(seconds / beat)):
        place_in_bar = index % beats
        if place_in_bar == 0 or (beats == 4 and place_in_bar == 2):
            place(track, kick(RATE), index * beat, RATE, 1.2 if place_in_bar == 0 else 0.8)
        if place_in_bar in backbeats:
            place(track, snare(RATE, random), index * beat, RATE, 0.6)
        for part in (0, swing):
            place(track, noise_hit(RATE, random, 0.03, bright=True), (index + part) * beat, RATE, 0.3)
    return 0.3 * track


def chords(progression: Sequence[tuple[int, tuple[int, ...]]], tonic: float, seconds: float = 2.0) -> np.ndarray:
    """Chords over a bass, each so long: (semitones above the tonic, intervals); parts of a semitone are the tuning."""
    track = np.zeros(round(len(progression) * seconds * RATE), np.float32)
    for index, (degree, intervals) in enumerate(progression):
        for note, octave in [(tonic + degree, 2), *((tonic + degree + interval, 3) for interval in intervals)]:
            tone = harmonics(hertz(note, octave), seconds, RATE, 1.5, most=8)
            place(track, tone * swell(len(tone), RATE, 0.02, 1.5), index * seconds, RATE, 0.1)
    return track


def cadence(tonic: float, major: bool) -> np.ndarray:
    """I IV V I, or i iv V i with the major dominant that minor borrows, twice."""
    third = MAJOR if major else MINOR
    return chords(((0, third), (5, third), (7, MAJOR), (0, third)) * 2, tonic)
