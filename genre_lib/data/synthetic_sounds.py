"""What invented music is made of: tones of harmonics, drums of noise, and a room, float32 [samples] each."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


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
