"""Invented tracks: decided first, as a score, then played; rhythm, timbre and harmony differ by genre.

Genres cannot be told by loudness: every track has the same root mean square. Artists have habits (tempo, home key,
brightness, mix), and each of their tracks keeps near them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genre_lib.data.synthetic_sounds import harmonics, hertz, kick, noise_hit, place, reverberate, snare, swell

SYNTH_GENRES: tuple[str, ...] = ("classical", "electronic", "hiphop", "rock")

LEVEL = 0.1
"""Root mean square of every track, in full scale (-20 dB)."""

TEMPI = {"classical": (58, 84), "electronic": (122, 134), "hiphop": (74, 96), "rock": (108, 142)}
"""Beats per minute, from and to."""

PROGRESSIONS = ((0, 5, 7, 0), (0, 9, 5, 7), (9, 5, 0, 7), (0, 7, 9, 5), (0, 3, 5, 7))
"""Chord roots of four bars, in semitones above the key."""


@dataclass(frozen=True)
class Habits:
    """What an artist does in every track, each between 0 and 1."""

    pace: float
    home: float
    brightness: float
    drums: float


@dataclass(frozen=True)
class Score:
    """What is decided about a track before it sounds."""

    tempo: float  # beats per minute
    key: float  # semitones above C; parts of one are the tuning, which differs between recordings
    roots: tuple[int, ...]  # semitones above the key, a bar each
    minor: bool
    brightness: float  # 0 dark … 1 bright
    drums: float  # 0 quiet … 1 loud
    seconds: float
    sample_rate: int
    random: np.random.Generator

    @property
    def beat(self) -> float:
        """Seconds."""
        return 60 / self.tempo

    @property
    def beats(self) -> int:
        return int(np.ceil(self.seconds / self.beat))

    def chord(self, beat: int) -> np.ndarray:
        """Semitones above C of the triad that sounds at a beat."""
        root = self.key + self.roots[(beat // 4) % len(self.roots)]
        return root + np.array([0, 3 if self.minor else 4, 7])


def classical(score: Score) -> np.ndarray:
    """Slow sustained chords with soft attacks, and a melody above them, in a room; no drums."""
    rate, track = score.sample_rate, silence(score)
    falloff = 2.4 - 0.8 * score.brightness
    for beat in range(0, score.beats, 2):
        seconds = 2.3 * score.beat
        for delay, note in enumerate(score.chord(beat)):
            tone = harmonics(hertz(note, 3), seconds, rate, falloff, most=10)
            place(track, tone * swell(len(tone), rate, 0.18, 2), beat * score.beat + 0.02 * delay, rate, 0.5)
    for beat in range(score.beats):
        if score.random.random() < 0.8:
            note = score.random.choice(score.chord(beat)) + 12 * score.random.integers(0, 2)
            tone = harmonics(hertz(note, 4), 1.4 * score.beat, rate, falloff, most=8)
            place(track, tone * swell(len(tone), rate, 0.09, 1), beat * score.beat, rate, 0.6)
    return reverberate(track, rate, score.random, seconds=1.2)


def electronic(score: Score) -> np.ndarray:
    """Four on the floor: a kick on each beat, hats between, a saw bass in eighths that ducks under the kick."""
    rate, track = score.sample_rate, silence(score)
    for step in range(2 * score.beats):
        note = score.chord(step // 2)[0] + (12 if score.random.random() < 0.25 else 0)
        tone = harmonics(hertz(note, 1), score.beat / 2, rate, 1.1, most=10 + round(20 * score.brightness))
        place(track, tone * swell(len(tone), rate, 0.004, 0.2), step * score.beat / 2, rate, 0.5 if step % 2 else 0.2)
    for step in range(4 * score.beats):
        if score.random.random() < 0.75:
            note = score.random.choice(score.chord(step // 4)) + 12 * score.random.integers(0, 2)
            tone = harmonics(hertz(note, 4), score.beat / 4, rate, 1.0, most=6)
            place(track, tone * swell(len(tone), rate, 0.003, 0.06), step * score.beat / 4, rate, 0.2)
    thump, hat = kick(rate), noise_hit(rate, score.random, 0.025, bright=True)
    for beat in range(score.beats):
        place(track, thump, beat * score.beat, rate, 0.9 + 0.6 * score.drums)
        place(track, hat, (beat + 0.5) * score.beat, rate, 0.4 + 0.3 * score.drums)
    return track


def hiphop(score: Score) -> np.ndarray:
    """Slow swung drums with room between them, a long sub bass, a sparse dark chord."""
    rate, track, swing = score.sample_rate, silence(score), score.random.uniform(0.54, 0.7)
    boom, crack = kick(rate, low=42, seconds=0.4), snare(rate, score.random, tone=170)
    tick = noise_hit(rate, score.random, 0.015, bright=True)
    syncopation = score.random.choice([1.62, 2.62, 3.0])
    for bar in range(0, score.beats, 4):
        for beat, sound, gain in ((0, boom, 1.2), (syncopation, boom, 0.9), (1, crack, 0.8), (3, crack, 0.8)):
            place(track, sound, (bar + beat) * score.beat, rate, gain * (0.7 + 0.5 * score.drums))
        for beat in range(4):
            place(track, tick, (bar + beat) * score.beat, rate, 0.25)
            place(track, tick, (bar + beat + swing) * score.beat, rate, 0.15 * score.random.integers(0, 2))
        bass = harmonics(hertz(score.chord(bar)[0], 1), 2.4 * score.beat, rate, 3, most=3)
        place(track, bass * swell(len(bass), rate, 0.02, 1.5), bar * score.beat, rate, 0.7)
        for note in score.chord(bar):
            tone = harmonics(hertz(note, 3), score.beat, rate, 3 - score.brightness, most=6)
            place(track, tone * swell(len(tone), rate, 0.01, 0.3), (bar + 1 + swing) * score.beat, rate, 0.35)
        for beat in score.random.choice(8, size=3, replace=False) / 2:  # so that no two tracks pass for one recording
            note = score.random.choice(score.chord(bar)) + 12
            tone = harmonics(hertz(note, 3), score.beat, rate, 2.5 - score.brightness, most=6)
            place(track, tone * swell(len(tone), rate, 0.02, 0.7), (bar + beat) * score.beat, rate, 0.55)
    return track


def rock(score: Score) -> np.ndarray:
    """Distorted power chords in eighths, kick on one and three, snare on two and four, a ride in eighths."""
    rate, guitar = score.sample_rate, silence(score)
    for step in range(2 * score.beats):
        root, accent = score.chord(step // 2)[0], score.random.uniform(0.6, 1)
        for interval in (0, 7, 12):
            string = harmonics(hertz(root + interval, 2) * score.random.uniform(0.998, 1.002), score.beat / 2, rate, 1)
            place(guitar, string * swell(len(string), rate, 0.004, 0.5), step * score.beat / 2, rate, accent)
    track = np.tanh((3 + 5 * score.brightness) * guitar) * 0.35
    boom, crack = kick(rate, low=60, seconds=0.18), snare(rate, score.random, tone=210)
    ride = noise_hit(rate, score.random, 0.06, bright=True)
    for beat in range(score.beats):
        place(track, crack if beat % 2 else boom, beat * score.beat, rate, 0.8 + 0.5 * score.drums)
        for half in (0, 0.5):
            place(track, ride, (beat + half) * score.beat, rate, 0.2 + 0.15 * score.drums)
    return track


PLAYERS: dict[str, Callable[[Score], np.ndarray]] = {
    "classical": classical,
    "electronic": electronic,
    "hiphop": hiphop,
    "rock": rock,
}


def silence(score: Score) -> np.ndarray:
    return np.zeros(round(score.seconds * score.sample_rate), dtype=np.float32)


def generator(*parts: object) -> np.random.Generator:
    """A random generator that the parts decide alone, so that a track does not depend on those made before it."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def compose(genre: str, artist: int, index: int, seconds: float, sample_rate: int, seed: int) -> Score:
    """Decide a track: the artist's habits, and this track's deviation from them."""
    habits = Habits(*generator(seed, genre, "artist", artist).uniform(0, 1, 4))
    random = generator(seed, genre, "track", index)
    low, high = TEMPI[genre]

    def near(habit: float) -> float:
        return float(np.clip(habit + random.uniform(-0.2, 0.2), 0, 1))

    return Score(
        tempo=low + (high - low) * near(habits.pace),
        key=(int(12 * habits.home) + random.choice([0, 2, 5, 7])) % 12 + random.uniform(-0.5, 0.5),
        roots=PROGRESSIONS[random.integers(len(PROGRESSIONS))],
        minor=bool(random.random() < 0.5),
        brightness=near(habits.brightness),
        drums=near(habits.drums),
        seconds=seconds,
        sample_rate=sample_rate,
        random=random,
    )


def render(score: Score, genre: str) -> np.ndarray:
    """Sound of a track at the common level, with a floor of noise 60 dB below it: float32 [samples] in [-1, 1]."""
    track = PLAYERS[genre](score)
    track = np.tanh(track * (LEVEL / np.sqrt(np.mean(track**2))))
    track += score.random.uniform(-1, 1, len(track)) * LEVEL * 1e-3
    return (track * (LEVEL / np.sqrt(np.mean(track**2)))).astype(np.float32)
