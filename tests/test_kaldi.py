from __future__ import annotations

import numpy as np
import pytest
import torch
from torchaudio.compliance.kaldi import fbank as theirs

from genre_lib.networks.kaldi import fbank


def sound(seconds: float, rate: int = 16000) -> torch.Tensor:
    """Noise that swells over a tone, with a second of digital silence in it."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * rate)) / rate
    waveform = 0.3 * np.sin(2 * np.pi * 440 * time) + rng.normal(0, 0.1, len(time)) * time / seconds + 0.05
    waveform[rate // 2 : rate] = 0
    return torch.from_numpy(waveform.astype(np.float32))


@pytest.mark.parametrize(("rate", "mels"), [(16000, 128), (16000, 64), (22050, 40), (8000, 16)])
def test_the_numbers_are_torchaudios(rate, mels):
    waveform = sound(2.0, rate)
    expected = theirs(waveform[None], sample_frequency=rate, window_type="hanning", num_mel_bins=mels)
    assert fbank(waveform, rate, mels).shape == expected.shape
    assert torch.allclose(fbank(waveform, rate, mels), expected, atol=1e-4)


def test_many_at_once_and_long_ones_in_parts(monkeypatch):
    waveform = sound(3.0)
    whole = fbank(waveform, 16000, 32)
    monkeypatch.setattr("genre_lib.networks.kaldi.FRAMES_AT_ONCE", 7)
    assert torch.allclose(fbank(torch.stack([waveform, waveform]), 16000, 32), whole, atol=1e-5)


def test_frames_of_a_clip_are_a_slice_of_the_tracks():
    waveform = sound(3.0)
    clip = fbank(waveform[160 * 70 : 160 * 70 + 16000], 16000, 32)
    assert torch.equal(clip, fbank(waveform, 16000, 32)[70 : 70 + len(clip)])


def test_less_than_a_frame_is_one():
    assert fbank(torch.ones(100), 16000, 32).shape == (1, 32)
