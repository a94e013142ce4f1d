"""What feature extractors of transformers make of waveforms, in torch, on any device, and for whole tracks.

The extractors themselves know NumPy and one clip at a time. Here a track is heard once, as rows of which a clip is a
slice, so that training takes clips from anywhere; what is done to a clip by itself comes after. The numbers are the
extractors' own to rounding, and the folder of a model keeps its extractor as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn import functional

from genre_lib.networks import kaldi
from genre_lib.networks.device import sent

SHORTEST_SECONDS = 0.1
"""A track shorter than this is repeated up to it: the networks' first convolutions need 0.025 s, and some to spare."""

LONGEST_TO_SHORTEST = 1.25
"""Of clips that are filled up to one length: so at most a fifth of the work is done on nothing."""

Inputs = dict[str, torch.Tensor]


class FrontEnd(Protocol):
    """A front end of a network that takes clips at their own length."""

    @property
    def sampling_rate(self) -> int:
        """Samples a second that waveforms must have."""

    @property
    def stretch(self) -> float:
        """How many times as long as the shortest clip the longest of a batch may be; 1 where all are of one length."""

    @property
    def fixed(self) -> bool:
        """Whether the network's input has one size, however long the clip is."""

    @property
    def hop_length(self) -> int:
        """Samples from a row to the next."""

    @property
    def key(self) -> str:
        """All that the rows of a track depend on."""

    def rows(self, samples: int) -> int:
        """Rows that so many samples have; at least one."""

    def track(self, waveform: torch.Tensor) -> torch.Tensor:
        """A track [samples] → its rows [rows, ...]."""

    def clip(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows of clips [..., rows, ...] → what the network takes as its main input."""

    def inputs(self, clips: Sequence[np.ndarray], device: torch.device | str) -> Inputs:
        """Clips, each [samples] → what the network takes, by name, on the device."""


@dataclass(frozen=True)
class Filterbank:
    """AST's: Kaldi's filterbank [frames, mels], filled with zeros or cut to ``max_length`` frames, and normalised.

    Args:
        sampling_rate: samples a second that waveforms must have.
        mels: bands.
        max_length: frames that the network takes.
        mean, std: of the filterbank over music; None to leave it as it is. AST halves what is left after both.
    """

    sampling_rate: int
    mels: int
    max_length: int
    mean: float | None
    std: float | None
    stretch = math.inf
    fixed = True

    @classmethod
    def of(cls, extractor: Any) -> Filterbank:
        """As an ``ASTFeatureExtractor`` has it."""
        mean, std = (extractor.mean, extractor.std) if extractor.do_normalize else (None, None)
        return cls(extractor.sampling_rate, extractor.num_mel_bins, extractor.max_length, mean, std)

    @property
    def hop_length(self) -> int:
        return kaldi.hop_length(self.sampling_rate)

    @property
    def key(self) -> str:
        return f"kaldi filterbank {self.sampling_rate} {self.mels}"

    def rows(self, samples: int) -> int:
        return max(1 + (samples - kaldi.frame_length(self.sampling_rate)) // self.hop_length, 1)

    def track(self, waveform: torch.Tensor) -> torch.Tensor:
        """[..., samples] → [..., frames, mels], as yet without normalisation."""
        return kaldi.fbank(waveform, self.sampling_rate, self.mels)

    def clip(self, rows: torch.Tensor) -> torch.Tensor:
        """[..., frames, mels] → [..., max_length, mels]."""
        filled = functional.pad(rows[..., : self.max_length, :], (0, 0, 0, max(self.max_length - rows.shape[-2], 0)))
        if self.mean is None or self.std is None:
            return filled
        return (filled - self.mean) / (self.std * 2)

    def inputs(self, clips: Sequence[np.ndarray], device: torch.device | str) -> Inputs:
        if len({len(clip) for clip in clips}) == 1:
            return {"input_values": self.clip(self.track(_stacked(clips, device)))}
        each = [self.clip(self.track(torch.from_numpy(np.ascontiguousarray(clip)).to(device))) for clip in clips]
        return {"input_values": torch.stack(each)}


@dataclass(frozen=True)
class Samples:
    """That of HuBERT, wav2vec 2.0 and their like: the samples themselves, each clip with mean 0 and variance 1.

    Args:
        sampling_rate: samples a second that waveforms must have.
        normalises: whether clips are brought to mean 0 and variance 1.
        masks: whether the network is told which samples are there. Networks with a norm over all of a clip's frames
            (``feat_extract_norm="group"``) are not, and never see clips that are filled up.
        fills: what stands where nothing is.
    """

    sampling_rate: int
    normalises: bool
    masks: bool
    fills: float = 0.0
    fixed = False
    hop_length = 1

    @classmethod
    def of(cls, extractor: Any) -> Samples:
        """As a ``Wav2Vec2FeatureExtractor`` has it."""
        masks = bool(extractor.return_attention_mask)
        return cls(extractor.sampling_rate, extractor.do_normalize, masks, extractor.padding_value)

    @property
    def stretch(self) -> float:
        return LONGEST_TO_SHORTEST if self.masks else 1.0

    @property
    def key(self) -> str:
        return f"samples {self.sampling_rate}"

    def rows(self, samples: int) -> int:
        return max(samples, 1)

    def track(self, waveform: torch.Tensor) -> torch.Tensor:
        """The samples themselves."""
        return waveform

    def clip(self, rows: torch.Tensor) -> torch.Tensor:
        """[..., samples] → the same, normalised."""
        if not self.normalises:
            return rows
        centred = rows - rows.mean(-1, keepdim=True)
        return centred / (rows.var(-1, correction=0, keepdim=True) + 1e-7).sqrt()

    def inputs(self, clips: Sequence[np.ndarray], device: torch.device | str) -> Inputs:
        """With ``attention_mask`` [clips, samples] where the network is told; else all clips are of one length."""
        lengths = torch.tensor([len(clip) for clip in clips])
        if (lengths == lengths[0]).all():
            values = self.clip(_stacked(clips, device))
        else:
            each = [self.clip(torch.from_numpy(np.ascontiguousarray(clip))) for clip in clips]
            values = torch.nn.utils.rnn.pad_sequence(each, batch_first=True, padding_value=self.fills).to(device)
        if not self.masks:
            return {"input_values": values}
        mask = torch.arange(values.shape[1])[None] < lengths[:, None]
        return {"input_values": values, "attention_mask": mask.to(device, torch.int32)}


KINDS: dict[str, type[Filterbank] | type[Samples]] = {
    "ASTFeatureExtractor": Filterbank,
    "Wav2Vec2FeatureExtractor": Samples,
}
"""By the name of the extractor's class, so that transformers need not be imported to ask."""


def front_end_of(extractor: Any) -> FrontEnd | None:
    """The front end that stands for an extractor of transformers, or None: any other is used as it is."""
    kind = KINDS.get(type(extractor).__name__)
    return None if kind is None else kind.of(extractor)


def _stacked(clips: Sequence[np.ndarray], device: torch.device | str) -> torch.Tensor:
    return sent(torch.from_numpy(np.stack(clips)), device)
