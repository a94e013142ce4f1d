"""Loudness against the standard's own example, and where there is hardly anything to measure."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest

from genre_lib.analysis import loudness


def sine(seconds: float, amplitude: float = 1.0, rate: int = 48000) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * 997 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def test_a_full_scale_sine_in_one_channel_is_minus_3_01_lkfs():
    """ITU-R BS.1770-4, annex 1: 997 Hz at 0 dB full scale."""
    assert loudness.measure(sine(5), 48000)[0] == pytest.approx(-3.01, abs=0.05)


def test_half_the_amplitude_is_6_02_less():
    full, half = (loudness.measure(sine(3, amplitude), 48000)[0] for amplitude in (0.8, 0.4))
    assert full - half == pytest.approx(6.02, abs=0.01)


def test_silence_between_is_gated_out():
    quiet = np.concatenate([sine(5), np.zeros(10 * 48000, np.float32)])
    assert loudness.measure(quiet, 48000)[0] == pytest.approx(loudness.measure(sine(5), 48000)[0], abs=0.3)


def test_less_than_a_block_is_one_block():
    level, blocks = loudness.measure(sine(0.1), 48000)
    assert level == pytest.approx(-3.01, abs=0.5)
    assert len(blocks) == 1


@pytest.mark.parametrize("samples", [1, 480, 48000])
def test_silence_is_the_quietest(samples: int):
    level, blocks = loudness.measure(np.zeros(samples, np.float32), 48000)
    assert level == loudness.QUIETEST
    assert (blocks == loudness.QUIETEST).all()


def test_ten_blocks_a_second():
    assert len(loudness.measure(sine(5), 48000)[1]) == 47  # the last begins 0.4 s before the end


def test_it_is_what_pyloudnorm_says_however_long_it_lasts(monkeypatch):
    random = np.random.default_rng(0)
    music = (np.repeat(random.uniform(0, 0.5, 30), 24000) * random.normal(0, 0.3, 30 * 24000)).astype(np.float32)
    expected = pyloudnorm.Meter(48000).integrated_loudness(music)
    whole = loudness.measure(music, 48000)
    assert whole[0] == pytest.approx(expected, abs=1e-3)
    monkeypatch.setattr(loudness, "STRETCH_BLOCKS", 40)
    in_parts = loudness.measure(music, 48000)
    assert in_parts[0] == pytest.approx(expected, abs=1e-2)
    assert in_parts[1] == pytest.approx(whole[1], abs=1e-2)
