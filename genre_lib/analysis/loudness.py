"""Loudness after ITU-R BS.1770-4, measured by pyloudnorm."""

from __future__ import annotations

import numpy as np
import pyloudnorm

BLOCK_SECONDS = 0.4
"""The standard's gating block; each begins a quarter of it after the one before."""

BLOCKS_A_SECOND = 10

STRETCH_BLOCKS, WARM_UP_BLOCKS = 3000, 10
"""Blocks that are filtered at once, five minutes, for pyloudnorm copies its input several times over; and how many
before them the filters hear first."""

QUIETEST = -70.0
"""LUFS: the standard's absolute gate; what is quieter, silence too, is given as this."""


def measure(waveform: np.ndarray, sample_rate: int) -> tuple[float, np.ndarray]:
    """Integrated loudness, and the momentary loudness of each block [blocks]; LUFS, :data:`QUIETEST` or more.

    A mono waveform is one channel: a stereo file whose channels are alike would measure 3 dB more. What is shorter
    than a gating block is one block by itself.

    Args:
        waveform: float32 [samples], one at least.
    """
    blocks = momentary(waveform, sample_rate)
    return gated_mean(blocks), np.maximum(QUIETEST, blocks)


def momentary(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Loudness of each block in LUFS, minus infinity for silence: [blocks]."""
    seconds, step = len(waveform) / sample_rate, sample_rate / BLOCKS_A_SECOND
    if seconds <= BLOCK_SECONDS:
        return _blocks(waveform, sample_rate, seconds)
    count = round((seconds - BLOCK_SECONDS) * BLOCKS_A_SECOND) + 1
    found = []
    for start in range(0, count, STRETCH_BLOCKS):
        begin, end = max(0, start - WARM_UP_BLOCKS), min(count, start + STRETCH_BLOCKS)
        samples = waveform[round(begin * step) : round((end - 1) * step + BLOCK_SECONDS * sample_rate)]
        found.append(_blocks(samples, sample_rate, BLOCK_SECONDS)[start - begin :])
    return np.concatenate(found)


def gated_mean(blocks: np.ndarray) -> float:
    """Integrated loudness in LUFS, :data:`QUIETEST` or more: equations 5 to 7 of the standard.

    Blocks count that are above the absolute gate and less than 10 LU below the mean of those.
    """
    power, heard = 10 ** (blocks / 10), blocks >= QUIETEST
    if not heard.any():
        return QUIETEST
    gate = 10 * np.log10(power[heard].mean()) - 10
    return max(QUIETEST, float(10 * np.log10(power[heard & (blocks > gate)].mean())))


def _blocks(waveform: np.ndarray, sample_rate: int, block_seconds: float) -> np.ndarray:
    meter = pyloudnorm.Meter(sample_rate, block_size=block_seconds)
    meter.integrated_loudness(waveform)
    return np.array(meter.blockwise_loudness)
