"""Magnitudes of known tones, and that a stretch boundary is not heard."""

from __future__ import annotations

import numpy as np
import pytest

from genre_lib.analysis import spectrum
from genre_lib.analysis.spectrum import MEL_HOP, MEL_WINDOW, RATE


def sine(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


def test_a_full_scale_sine_is_a_half_at_its_bin():
    frames = np.concatenate(list(spectrum.magnitudes(sine(64 * RATE / 1024), 1024, 256)))
    assert frames[5].argmax() == 64
    assert frames[5].max() == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (1024, 1), (1279, 1), (1280, 2), (2048, 5)])
def test_a_frame_begins_wherever_a_window_fits(samples: int, frames: int):
    assert spectrum.mel(np.ones(samples, np.float32)).shape == (frames, spectrum.MEL_BANDS)


def test_stretches_are_one_spectrum(monkeypatch):
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    whole = spectrum.mel(noise)
    monkeypatch.setattr(spectrum, "FRAMES_AT_ONCE", 7)
    assert spectrum.mel(noise) == pytest.approx(whole, abs=1e-6)


def test_only_the_bins_wanted():
    noise = np.random.default_rng(0).normal(0, 0.1, 4096).astype(np.float32)
    every = next(spectrum.magnitudes(noise, MEL_WINDOW, MEL_HOP))
    assert np.array_equal(next(spectrum.magnitudes(noise, MEL_WINDOW, MEL_HOP, slice(5, 9))), every[:, 5:9])


def test_mel_bands_are_means_and_rise():
    bank = spectrum.mel_bank()
    assert bank.sum(axis=0) == pytest.approx(1, abs=1e-5)
    assert (np.diff(spectrum.mel_hertz(10)) > 0).all()
    assert spectrum.mel_hertz(3)[[0, -1]] == pytest.approx([spectrum.MEL_LOW, RATE / 2])
    centres = spectrum.mel_hertz(spectrum.MEL_BANDS + 2)[1:-1]
    assert centres[spectrum.mel(sine(1000)).mean(axis=0).argmax()] == pytest.approx(1000, rel=0.06)
