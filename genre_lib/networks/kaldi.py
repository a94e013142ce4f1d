"""Kaldi's log mel filterbank, which AST hears by, in torch on the waveform's device.

The numbers of ``torchaudio.compliance.kaldi.fbank`` with Hann windows (to rounding), for many waveforms at once. Frames
are not centred: frame ``i`` hears the samples ``[i * hop, i * hop + length)`` and nothing else, so that the frames of a
clip that starts on a multiple of the hop are a slice of the whole track's.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch.nn import functional

FRAME_SECONDS, HOP_SECONDS = 0.025, 0.010
PREEMPHASIS = 0.97
LOWEST_HZ = 20.0
MELS = 1127.0
"""Mels in which a frequency grows by a factor of e, far above 700 Hz."""
SMALLEST = torch.finfo(torch.float32).eps
"""Energy that silence is taken for."""

FRAMES_AT_ONCE = 8192
"""Frames that are transformed together, so that an hour of music needs no more memory than a minute."""


def frame_length(sampling_rate: int) -> int:
    """Samples in a frame."""
    return int(sampling_rate * FRAME_SECONDS)


def hop_length(sampling_rate: int) -> int:
    """Samples from a frame to the next."""
    return int(sampling_rate * HOP_SECONDS)


def fbank(waveform: torch.Tensor, sampling_rate: int, mels: int) -> torch.Tensor:
    """Waveform [..., samples] → natural logarithm of the power in mel bands [..., frames, mels].

    What does not fill a frame is left out; a waveform shorter than one is filled with silence.
    """
    length, hop = frame_length(sampling_rate), hop_length(sampling_rate)
    if waveform.shape[-1] < length:
        waveform = functional.pad(waveform, (0, length - waveform.shape[-1]))
    frames = waveform.unfold(-1, length, hop)
    window, banks = _window_and_banks(sampling_rate, mels, waveform.device)
    return torch.cat([_log_energies(part, window, banks) for part in frames.split(FRAMES_AT_ONCE, dim=-2)], dim=-2)


def _log_energies(frames: torch.Tensor, window: torch.Tensor, banks: torch.Tensor) -> torch.Tensor:
    """[..., frames, samples] → [..., frames, mels]."""
    centred = frames - frames.mean(-1, keepdim=True)
    steeper = centred.clone()
    steeper[..., 1:] -= PREEMPHASIS * centred[..., :-1]
    steeper[..., 0] -= PREEMPHASIS * centred[..., 0]
    spectrum = torch.fft.rfft(steeper.mul_(window), n=2 * len(banks) - 2)
    energies = (spectrum.real.square() + spectrum.imag.square()) @ banks
    return energies.clamp_min(SMALLEST).log()


@lru_cache(maxsize=8)
def _window_and_banks(sampling_rate: int, mels: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    length = frame_length(sampling_rate)
    window = torch.hann_window(length, periodic=False, device=device)
    return window, mel_banks(sampling_rate, 2 ** math.ceil(math.log2(length)), mels).to(device)


def mel_banks(sampling_rate: int, n_fft: int, mels: int) -> torch.Tensor:
    """Triangles on Kaldi's mel scale: weights [bins, mels] of the frequencies from 0 to the Nyquist's, which has 0."""
    frequencies = torch.arange(n_fft // 2) * (sampling_rate / n_fft)
    at = MELS * (1.0 + frequencies / 700.0).log()[:, None]
    low, high = (MELS * math.log(1.0 + hz / 700.0) for hz in (LOWEST_HZ, sampling_rate / 2))
    width = (high - low) / (mels + 1)
    left, centre, right = (low + (torch.arange(mels) + float(side)) * width for side in range(3))
    triangles = torch.minimum((at - left) / (centre - left), (right - at) / (right - centre)).clamp_min(0)
    return functional.pad(triangles, (0, 0, 0, 1))
