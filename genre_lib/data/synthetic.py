"""A catalogue of invented music: seeded clips whose rhythm, timbre and harmony differ by genre.

It is small enough to write in seconds and to learn in minutes, so that every part of the package can be tried without
a download. Genres cannot be told by loudness: every track has the same root mean square. Artists have habits (tempo,
home key, brightness, mix), so that a split by artist is a real one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from genre_lib import audio
from genre_lib.errors import CatalogueInvalid, ConfigurationError

SYNTH_GENRES: tuple[str, ...] = ("classical", "electronic", "hiphop", "rock")

MIN_TRACKS = 4
"""Tracks a genre needs, so that each split gets an artist and train gets two."""

MAX_ARTISTS = 10
LEVEL = 0.1
"""Root mean square of every track, in full scale (-20 dB)."""

RECIPE = "synthetic.json"
VERSION = 1
"""Raised when the same arguments begin to sound different."""

TEMPI = {"classical": (58, 84), "electronic": (122, 134), "hiphop": (74, 96), "rock": (108, 142)}
"""Beats per minute, from and to."""

FIRST_NAMES = ("Amber", "Birch", "Cobalt", "Dahlia", "Ember", "Fern", "Garnet", "Hazel", "Indigo", "Juniper")
BANDS = {"classical": "{} Quartet", "electronic": "{} Circuit", "hiphop": "MC {}", "rock": "The {} Engines"}

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


# --- sounds -----------------------------------------------------------------------------------------------------------


def hertz(semitones: float, octave: int) -> float:
    """Frequency of a note so many semitones, or parts of one, above the C of an octave (C4 is 261.6 Hz)."""
    return float(440 * 2 ** ((semitones - 9) / 12 + octave - 4))


def harmonics(frequency: float, seconds: float, sample_rate: int, falloff: float, most: int = 16) -> np.ndarray:
    """A tone whose k-th harmonic has amplitude k**-falloff, as far as the sample rate carries it: float32 [samples]."""
    table = period(max(1, min(most, int(0.45 * sample_rate / frequency))), falloff)
    steps = np.arange(round(seconds * sample_rate)) * (frequency * len(table) / sample_rate)
    return table[steps.astype(np.int32) & (len(table) - 1)]


@lru_cache(maxsize=256)
def period(count: int, falloff: float, length: int = 8192) -> np.ndarray:
    """One period of a tone of so many harmonics, to be read at any speed: float32 [length], a power of two."""
    order = np.arange(1, count + 1)
    phase = 2 * np.pi * np.arange(length) / length
    return (order ** -float(falloff) @ np.sin(order[:, None] * phase)).astype(np.float32)


def swell(length: int, sample_rate: int, attack: float, decay: float) -> np.ndarray:
    """An envelope that rises for ``attack`` seconds and fades by a factor of e in ``decay`` seconds: [length]."""
    time = np.arange(length, dtype=np.float32) / sample_rate
    release = np.minimum(1, (length / sample_rate - time) / min(0.03, length / sample_rate))
    return np.minimum(1, time / attack) * np.exp(-np.maximum(0, time - attack) / decay) * release


def kick(sample_rate: int, low: float = 48, seconds: float = 0.25) -> np.ndarray:
    """A sine that falls from 160 Hz to ``low``."""
    time = np.arange(round(seconds * sample_rate), dtype=np.float32) / sample_rate
    phase = 2 * np.pi * (low * time + (160 - low) * 0.03 * (1 - np.exp(-time / 0.03)))
    return np.sin(phase) * swell(len(time), sample_rate, 0.002, seconds / 3)


def noise_hit(sample_rate: int, random: np.random.Generator, decay: float, bright: bool) -> np.ndarray:
    """A burst of noise: differenced twice for a hat, plain for a snare."""
    noise = random.uniform(-1, 1, round(5 * decay * sample_rate) + 2)
    noise = np.diff(noise, 2) / 2 if bright else noise[2:]
    return noise.astype(np.float32) * swell(len(noise), sample_rate, 0.001, decay)


def snare(sample_rate: int, random: np.random.Generator, tone: float = 190) -> np.ndarray:
    body = noise_hit(sample_rate, random, 0.07, bright=False)
    return 0.7 * body + 0.5 * harmonics(tone, len(body) / sample_rate, sample_rate, 1)[: len(body)] * swell(
        len(body), sample_rate, 0.001, 0.05
    )


def place(track: np.ndarray, sound: np.ndarray, second: float, sample_rate: int, gain: float = 1) -> None:
    """Add a sound to a track in place, cut where the track ends."""
    start = round(second * sample_rate)
    end = min(len(track), start + len(sound))
    if start < end:
        track[start:end] += gain * sound[: end - start]


def reverberate(track: np.ndarray, sample_rate: int, random: np.random.Generator, seconds: float) -> np.ndarray:
    """Mix in a room: convolution with noise that fades out."""
    room = random.uniform(-1, 1, round(seconds * sample_rate)) * swell(
        round(seconds * sample_rate), sample_rate, 0.005, seconds / 4
    )
    room *= 0.5 / np.linalg.norm(room)
    size = 2 ** int(np.ceil(np.log2(len(track) + len(room))))
    wet = np.fft.irfft(np.fft.rfft(track, size) * np.fft.rfft(room, size), size)[: len(track)]
    return (track + wet).astype(np.float32)


# --- genres -----------------------------------------------------------------------------------------------------------


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
    rate, track, swing = score.sample_rate, silence(score), 0.62
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
        for beat in score.random.choice(8, size=2, replace=False) / 2:
            note = score.random.choice(score.chord(bar)) + 12
            tone = harmonics(hertz(note, 3), score.beat, rate, 2.5 - score.brightness, most=6)
            place(track, tone * swell(len(tone), rate, 0.02, 0.4), (bar + beat) * score.beat, rate, 0.25)
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


# --- tracks -----------------------------------------------------------------------------------------------------------


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


def artist_count(tracks: int) -> int:
    return int(np.clip(tracks // 2, 4, MAX_ARTISTS))


def split_of(artist: int, artists: int) -> str:
    """The last artists are tested on, those before them validated on: a sixth each, but one at least."""
    held = max(1, artists // 6)
    return "test" if artist >= artists - held else "valid" if artist >= artists - 2 * held else "train"


@dataclass(frozen=True)
class Recipe:
    """All that decides the catalogue's bytes; kept beside it."""

    genres: tuple[str, ...]
    tracks_per_genre: int
    seconds: float
    sample_rate: int
    seed: int
    version: int = VERSION

    def __post_init__(self) -> None:
        unknown = sorted(set(self.genres) - set(SYNTH_GENRES))
        if unknown or not self.genres:
            came = ", ".join(unknown) or "none"
            raise ConfigurationError(f"Synthetic genres are {', '.join(SYNTH_GENRES)}; came: {came}.")
        if self.tracks_per_genre < MIN_TRACKS:
            raise ConfigurationError(
                f"tracks_per_genre must be {MIN_TRACKS} or more, so that each split gets an artist; "
                f"came {self.tracks_per_genre}."
            )
        if self.seconds <= 0 or self.sample_rate < 4000:
            raise ConfigurationError(
                "A synthetic track needs seconds above 0 and a sample_rate of 4000 or more; "
                f"came {self.seconds} and {self.sample_rate}."
            )

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


def make(
    root: Path | str,
    *,
    genres: Sequence[str] = SYNTH_GENRES,
    tracks_per_genre: int = 12,
    seconds: float = 12.0,
    sample_rate: int = 22050,
    seed: int = 0,
) -> Path:
    """Write the catalogue as a real folder, or reuse the one that the same arguments made before; returns the folder.

    ``root/<genre>/<artist>/<title>.wav``, with ``root/catalogue.csv`` beside them. The folder appears whole or not at
    all. The same arguments give the same bytes. :func:`genre_lib.data.catalogue_table.read` reads it.

    Raises:
        ConfigurationError: an unknown genre, fewer tracks than four a genre, or no length.
        CatalogueInvalid: ``root`` holds something else.
    """
    root, recipe = Path(root), Recipe(tuple(genres), tracks_per_genre, float(seconds), sample_rate, seed)
    if root.exists() and any(root.iterdir() if root.is_dir() else [root]):
        refuse_other(root, recipe)
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        write(recipe, aside)
        aside.chmod(0o755)
        move_into_place(aside, root, recipe)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return root


def refuse_other(root: Path, recipe: Recipe) -> None:
    note = root / RECIPE if root.is_dir() else root
    if not root.is_dir() or not note.is_file() or note.read_text() != recipe.to_json():
        raise CatalogueInvalid(
            f"{root} should be absent, empty or a synthetic catalogue made with the same arguments; it holds something "
            "else. Name another folder or remove it."
        )


def move_into_place(aside: Path, root: Path, recipe: Recipe) -> None:
    """Rename the finished folder; where another process was faster, keep what it made."""
    try:
        aside.replace(root)
    except OSError:
        refuse_other(root, recipe)


def write(recipe: Recipe, folder: Path) -> None:
    rows = []
    artists = artist_count(recipe.tracks_per_genre)
    for genre in recipe.genres:
        for index in range(recipe.tracks_per_genre):
            artist = index % artists
            name, title = BANDS[genre].format(FIRST_NAMES[artist]), f"Take {index + 1:03d}"
            score = compose(genre, artist, index, recipe.seconds, recipe.sample_rate, recipe.seed)
            path = Path(genre, name, f"{title}.wav")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            audio.write_wav(folder / path, render(score, genre), recipe.sample_rate)
            row = {"path": path.as_posix(), "genre": genre, "artist": name, "split": split_of(artist, artists)}
            rows.append(row | {"source": "synthetic", "title": title, "duration": recipe.seconds})
    pd.DataFrame(rows).to_csv(folder / "catalogue.csv", index=False)
    (folder / RECIPE).write_text(recipe.to_json())
