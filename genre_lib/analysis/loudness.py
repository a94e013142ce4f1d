"""Loudness after ITU-R BS.1770-4, measured by pyloudnorm."""

from __future__ import annotations

import numpy as np
import pyloudnorm

BLOCK_SECONDS = 0.4
"""The standard's gating block; each begins a quarter of it after the one before."""

BLOCKS_A_SECOND = 10

QUIETEST = -70.0
"""LUFS: the standard's absolute gate; what is quieter, silence too, is given as this."""


def measure(waveform: np.ndarray, sample_rate: int) -> tuple[float, np.ndarray]:
    """Integrated loudness, and the momentary loudness of each block [blocks]; LUFS, :data:`QUIETEST` or more.

    A mono waveform is one channel: a stereo file whose channels are alike would measure 3 dB more. What is shorter
    than a gating block is one block by itself.

    Args:
        waveform: float32 [samples], one at least.
    """
    seconds = len(waveform) / sample_rate
    meter = pyloudnorm.Meter(sample_rate, block_size=min(BLOCK_SECONDS, seconds))
    integrated = float(meter.integrated_loudness(waveform))
    blocks = np.array(meter.blockwise_loudness)
    return max(QUIETEST, integrated), np.maximum(QUIETEST, blocks)
