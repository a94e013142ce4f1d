"""Spectra of a whole track, computed a stretch at a time, so that an hour costs no more memory than its result."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from scipy import fft

RATE = 22050
"""Samples a second at which everything is analysed; pitch and rhythm lie below its half."""

FRAMES_AT_ONCE = 2048
"""Frames that are transformed together: 10 MB of spectrum."""

MEL_WINDOW, MEL_HOP = 1024, 256
"""Samples: 46 ms every 12 ms, short enough for drums."""

MEL_BANDS = 40
MEL_LOW = 30.0
"""Hz."""

MEL_RATE = RATE / MEL_HOP
"""Frames a second."""


def magnitudes(waveform: np.ndarray, window: int, hop: int, bins: slice = slice(None)) -> Iterator[np.ndarray]:
    """Stretches of the short-time Fourier transform: float32 [frames, bins] each, Hann-windowed.

    A full-scale sine gives 0.5 at its bin. A frame begins at every multiple of ``hop`` at which a whole window fits;
    what is shorter than a window is filled up with zeros.

    Args:
        waveform: float32 [samples].
        window: samples of a frame.
        hop: samples between the beginnings of two frames.
        bins: those wanted, of ``window // 2 + 1``.
    """
    if len(waveform) < window:
        waveform = np.pad(waveform, (0, window - len(waveform)))
    frames = np.lib.stride_tricks.sliding_window_view(waveform, window)[::hop]
    hann = _hann(window)
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        spectrum = fft.rfft(frames[start : start + FRAMES_AT_ONCE] * hann, axis=1, overwrite_x=True)
        yield np.abs(spectrum[:, bins])


def mel(waveform: np.ndarray) -> np.ndarray:
    """Magnitude in each mel band of each frame: float32 [frames, bands]. Rhythm and character are read from it."""
    bank = mel_bank()
    return np.concatenate([stretch @ bank for stretch in magnitudes(waveform, MEL_WINDOW, MEL_HOP)])


@lru_cache(maxsize=1)
def mel_bank() -> np.ndarray:
    """Triangular bands of equal width on O'Shaughnessy's mel scale (1987), each of sum 1: float32 [bins, bands]."""
    corners = mel_hertz(MEL_BANDS + 2)
    bins = np.arange(MEL_WINDOW // 2 + 1)[:, None] * RATE / MEL_WINDOW
    rising = (bins - corners[:-2]) / np.maximum(corners[1:-1] - corners[:-2], RATE / MEL_WINDOW)
    falling = (corners[2:] - bins) / np.maximum(corners[2:] - corners[1:-1], RATE / MEL_WINDOW)
    bank = np.maximum(0, np.minimum(rising, falling))
    return (bank / bank.sum(axis=0)).astype(np.float32)


def mel_hertz(count: int) -> np.ndarray:
    """Frequencies, equally spaced in mel from the lowest band's lower end to half of the rate: [count]."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (MEL_LOW, RATE / 2))
    return 700 * (10 ** (np.linspace(low, high, count) / 2595) - 1)


@lru_cache(maxsize=4)
def _hann(length: int) -> np.ndarray:
    """Periodic Hann window of sum 1: float32 [length]."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return (window / window.sum()).astype(np.float32)
