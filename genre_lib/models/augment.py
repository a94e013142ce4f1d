"""Changes to log-mels that leave the genre alone, made for a whole batch at once.

Pitch and tempo move by resampling the image; an equaliser is a curve added over the bands; SpecAugment blanks bands
and frames (Park et al. 2019, arXiv:1904.08779); mixup blends clips and their targets (Zhang et al. 2018,
arXiv:1710.09412).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from genre_lib.augmentation import Augmentation

NEPERS_PER_DB = math.log(10) / 10
"""A decibel in natural logarithm of power."""

EQ_KNOTS = 6
"""Points between which the equaliser's curve is straight."""


class LogMelAugment:
    """Log-mels [batch, mels, frames + margin] → changed ones [batch, mels, frames].

    Args:
        settings: how strongly.
        frames: frames of a clip as the network gets it.
        band_hz: centre of each mel band in Hz [mels].
        std: what the extractor divided log-mels by, so that dB can be told in its units.
    """

    def __init__(self, settings: Augmentation, frames: int, band_hz: np.ndarray, std: float) -> None:
        self.settings, self.frames, self.std = settings, frames, std
        self.band_hz = np.asarray(band_hz, dtype=np.float64)

    @property
    def margin(self) -> float:
        """Share by which clips should come longer, so that a faster tempo still fills them."""
        return self.settings.time_stretch

    def __call__(self, logmel: torch.Tensor) -> torch.Tensor:
        s = self.settings
        changed = self.warp(logmel) if s.pitch_semitones or s.time_stretch else logmel[..., : self.frames]
        changed = loop(changed, s.loop_share)
        if s.equalizer_db:
            changed = changed + self.equalizer(len(changed)).to(changed)
        if s.noise:
            changed = changed + s.noise * torch.randn_like(changed)
        changed = blank_stripes(changed, 1, s.frequency_masks, s.frequency_mask_bands)
        return blank_stripes(changed, 2, s.time_masks, s.time_mask_frames)

    def warp(self, logmel: torch.Tensor) -> torch.Tensor:
        """Move pitch and tempo of each clip by its own random amount, and cut it to ``frames``."""
        batch, mels, length = logmel.shape
        rows = self._source_bands(batch) / max(mels - 1, 1) * 2 - 1
        columns = self._source_frames(batch, length) / max(length - 1, 1) * 2 - 1
        shape = (batch, mels, self.frames)
        grid = torch.stack([columns[:, None].expand(shape), rows[:, :, None].expand(shape)], dim=-1)
        image = logmel[:, None]
        return functional.grid_sample(image, grid.to(image), align_corners=True, padding_mode="border")[:, 0]

    def equalizer(self, batch: int) -> torch.Tensor:
        """Random curves over the bands [batch, mels, 1] in the extractor's units; flat for the clips left alone."""
        knots = torch.randn(batch, 1, EQ_KNOTS) * self.settings.equalizer_db * NEPERS_PER_DB / self.std
        knots *= torch.rand(batch, 1, 1) < self.settings.equalizer_share
        return functional.interpolate(knots, size=len(self.band_hz), mode="linear", align_corners=True).transpose(1, 2)

    def _source_bands(self, batch: int) -> torch.Tensor:
        """Where each band's content comes from [batch, mels], as a fractional band: from f / 2^(s/12), shifted by s."""
        semitones = (torch.rand(batch).numpy() * 2 - 1) * self.settings.pitch_semitones
        wanted = self.band_hz[None] * 2.0 ** (-semitones[:, None] / 12)
        return torch.from_numpy(np.interp(wanted, self.band_hz, np.arange(len(self.band_hz)))).float()

    def _source_frames(self, batch: int, length: int) -> torch.Tensor:
        """Where each frame comes from [batch, frames], as a fractional frame."""
        speed = 1 + (torch.rand(batch, 1) * 2 - 1) * self.settings.time_stretch
        spare = (length - 1 - (self.frames - 1) * speed).clamp(min=0)
        return torch.rand(batch, 1) * spare + torch.arange(self.frames)[None] * speed


def loop(logmel: torch.Tensor, share: float) -> torch.Tensor:
    """Fill a share of the clips [batch, mels, frames] with their first part, half to nearly all of it, repeated.

    Tracks shorter than a clip are repeated to fill it. Where some genres have only short tracks, the seams would tell
    the genre; this puts them everywhere.
    """
    if not share:
        return logmel
    batch, _, frames = logmel.shape
    part = (frames * (0.5 + 0.5 * torch.rand(batch, 1))).long()
    part = torch.where(torch.rand(batch, 1) < share, part, frames)
    source = (torch.arange(frames)[None] % part).to(logmel.device)
    return logmel.gather(2, source[:, None].expand_as(logmel))


def blank_stripes(logmel: torch.Tensor, axis: int, stripes: int, widest: int) -> torch.Tensor:
    """Put each clip's mean in place of up to ``widest`` neighbours along an axis of [batch, mels, frames]."""
    if not stripes or not widest:
        return logmel
    batch, size = len(logmel), logmel.shape[axis]
    place = torch.arange(size)[None]
    blank = torch.zeros(batch, size, dtype=torch.bool)
    for _ in range(stripes):
        width = torch.rand(batch, 1) * min(widest, size)
        begin = torch.rand(batch, 1) * (size - width)
        blank |= (place >= begin) & (place < begin + width)
    where = blank[:, :, None] if axis == 1 else blank[:, None]
    return torch.where(where.to(logmel.device), logmel.mean((1, 2), keepdim=True), logmel)


def mixup(
    inputs: torch.Tensor, targets: torch.Tensor, alpha: float, share: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend each clip [batch, ...] and its target [batch, classes] with another's of the batch.

    The clip's own weight is the larger part of a draw from Beta(alpha, alpha). A clip outside the share stays as it is.
    """
    if alpha <= 0 or len(inputs) < 2:
        return inputs, targets
    own = torch.distributions.Beta(alpha, alpha).sample((len(inputs),))
    own = torch.where(torch.rand(len(inputs)) < share, torch.maximum(own, 1 - own), 1.0).to(inputs)
    other = torch.randperm(len(inputs), device=inputs.device)
    weight = own.view(-1, *[1] * (inputs.ndim - 1))
    mixed = weight * inputs + (1 - weight) * inputs[other]
    return mixed, own[:, None] * targets + (1 - own[:, None]) * targets[other]
