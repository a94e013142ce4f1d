"""The musicnn network: filters shaped after timbre and rhythm, layers over time, pooling over the clip.

Pons and Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging" (2019, arXiv:1909.06654),
written anew from the description. Of the 561 filters that its authors published 64 have weights above zero; the others
answer every sound with the same number, so that here they are one channel of ones. The logits are the same to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from genre_lib.networks.files import MUSICNN
from genre_lib.networks.stored import Output, StoredConfig, require_counts

TIMBRAL_SHARES = (0.4, 0.7)
"""Widths of the timbral filters, as shares of the mel bands; they are ``WINDOW`` frames long."""
TEMPORAL_FRAMES = (128, 64, 32)
"""Lengths of the temporal filters, which are one band wide."""
WINDOW = 7
"""Frames that the layers over time, and the timbral filters, look at."""
LAYERS = 3
"""Layers over time; each but the first is added to the one before."""
BLOCK = 16
"""Frames that one row of a product of matrices answers for; 8 and 32 are no faster."""
EPSILON = 1e-3
"""Of the batch norms; TensorFlow's default, with which the weights were learnt."""


@dataclass(eq=False, repr=False)
class MusicnnShape:
    """Everything that shapes the network; the defaults are those of the published weights.

    Args:
        num_mel_bins: mel bands of the input.
        timbral_filters: filters of each width in ``TIMBRAL_SHARES``.
        temporal_filters: filters of each length in ``TEMPORAL_FRAMES``.
        channels: of the layers over time.
        units: of the layer behind the pooling.
        dropout: share dropped before and after the layer behind the pooling, in training.
        label_smoothing: used where labels are given to ``forward``.
    """

    num_mel_bins: int = 96
    timbral_filters: list[int] | tuple[int, ...] = (23, 14)
    temporal_filters: list[int] | tuple[int, ...] = (3, 7, 17)
    channels: int = 64
    units: int = 200
    dropout: float = 0.5
    label_smoothing: float = 0.0

    def check_shape(self, genres: int) -> None:
        """Refuse what no network can be built or run with.

        Raises:
            ValueError: names the field, what it must be and what it is.
        """
        for name, expected in (("timbral_filters", TIMBRAL_SHARES), ("temporal_filters", TEMPORAL_FRAMES)):
            came = getattr(self, name)
            if not isinstance(came, list | tuple) or len(came) != len(expected):
                raise ValueError(f"{type(self).__name__}.{name} must be {len(expected)} numbers, and is {came!r}.")
        counts = [self.num_mel_bins, *self.timbral_filters, *self.temporal_filters, self.channels, self.units]
        require_counts(self, "bands, filters, channels and units", counts)


@dataclass(eq=False, repr=False)
class MusicnnConfig(MusicnnShape, StoredConfig):
    """The content of a ``config.json``: the network's shape, and what else prediction asks for."""

    model_type: str = MUSICNN


class FilterBank(nn.Module):
    """Filters of one shape, and their strongest answer over the bands.

    [batch, 1, frames, mels] → [batch, filters, frames].

    The authors normalise every answer and then take the largest. A batch norm keeps the order where its scale is
    positive and turns it round elsewhere, so that for prediction the extremes are taken first: the same numbers with
    less work. In training it is as they do, since there the statistics are those of all answers.
    """

    def __init__(self, filters: int, frames: int, bands: int) -> None:
        super().__init__()
        self.frames = frames
        self.conv = nn.Conv2d(1, filters, (frames, bands))
        self.norm = nn.BatchNorm2d(filters, eps=EPSILON)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        before = (self.frames - 1) // 2
        padded = functional.pad(image, (0, 0, before, self.frames - 1 - before))
        if self.norm.training:
            return self.norm(functional.relu(self.conv(padded))).amax(3)
        sign = torch.where(self.norm.weight > 0, 1.0, -1.0).to(padded.dtype)
        weight = self.conv.weight * sign[:, None, None, None]
        # A compiler that traces the network has better means than ours for convolutions of one band.
        one_band = weight.shape[3] == 1 and not torch.jit.is_tracing()
        largest = largest_of_one_band(padded, weight) if one_band else functional.conv2d(padded, weight).amax(3)
        extreme = largest * sign[:, None] + cast(torch.Tensor, self.conv.bias)[:, None]
        return self.norm(functional.relu(extreme)[..., None])[..., 0]


def largest_of_one_band(image: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The largest answer over the bands of filters [filters, 1, frames, 1] to [batch, 1, frames, mels].

    The same numbers as ``conv2d(image, weight).amax(3)`` to rounding, in half the time: with one channel in and few
    out, a convolution leaves a processor idle, and a product of matrices that answers for :data:`BLOCK` frames in each
    row does not.
    """
    filters, _, length, _ = weight.shape
    frames = image.shape[2] - length + 1
    spare = -frames % BLOCK
    reach = length + BLOCK - 1
    bands = functional.pad(image[:, 0].transpose(1, 2).contiguous(), (0, spare))
    windows = bands.unfold(2, reach, BLOCK).transpose(1, 2)
    # Rows one shorter than the period: each begins a step earlier in it, so that the filter stands a frame later.
    periods = functional.pad(weight[:, 0, :, 0], (0, BLOCK)).repeat(1, BLOCK)
    shifted = periods[:, : BLOCK * reach].reshape(filters * BLOCK, reach).T.contiguous()
    largest = (windows @ shifted).amax(2)
    return largest.unflatten(2, (filters, BLOCK)).transpose(1, 2).flatten(2)[:, :, :frames]


class MusicnnBackbone(nn.Module):
    """Mel bands over time [batch, mels, frames] → embedding [batch, dim].

    The embedding is what the layer behind the pooling says, which is what the published tags are told by, and beside it
    what was pooled: genres that no tag stands for are told better by both together.
    """

    def __init__(self, config: MusicnnShape) -> None:
        super().__init__()
        bands, channels = config.num_mel_bins, config.channels
        self.input_norm = nn.BatchNorm2d(1, eps=EPSILON)
        timbral = zip(config.timbral_filters, TIMBRAL_SHARES, strict=True)
        temporal = zip(config.temporal_filters, TEMPORAL_FRAMES, strict=True)
        self.banks = nn.ModuleList(
            [FilterBank(filters, WINDOW, max(int(share * bands), 1)) for filters, share in timbral]
            + [FilterBank(filters, frames, 1) for filters, frames in temporal]
        )
        width = sum(config.timbral_filters) + sum(config.temporal_filters)
        inputs = [width + 1] + [channels] * (LAYERS - 1)
        self.layers = nn.ModuleList([nn.Conv1d(size, channels, WINDOW, padding=WINDOW // 2) for size in inputs])
        self.norms = nn.ModuleList([nn.BatchNorm1d(channels, eps=EPSILON) for _ in inputs])
        pooled = 2 * (width + LAYERS * channels)
        self.pool_norm = nn.BatchNorm1d(pooled, eps=EPSILON)
        self.dropout = nn.Dropout(config.dropout)
        self.dense = nn.Linear(pooled, config.units)
        self.dense_norm = nn.BatchNorm1d(config.units, eps=EPSILON)
        self.dim = config.units + pooled

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        image = self.input_norm(input_values.transpose(1, 2)[:, None])
        answers = torch.cat([bank(image) for bank in self.banks], 1)
        kept = [answers, *self.over_time(answers)]
        largest, mean = zip(*((part.amax(2), part.mean(2)) for part in kept), strict=True)
        pooled = self.pool_norm(torch.cat([*largest, *mean], 1).float())
        return torch.cat([self.dense_norm(functional.relu(self.dense(self.dropout(pooled)))), pooled], 1)

    def over_time(self, answers: torch.Tensor) -> list[torch.Tensor]:
        """Filters' answers [batch, filters, frames] → what each layer makes of them [batch, channels, frames]."""
        hidden = torch.cat([answers, torch.ones_like(answers[:, :1])], 1)
        kept: list[torch.Tensor] = []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            changed = norm(functional.relu(layer(hidden)))
            hidden = changed + kept[-1] if kept else changed
            kept.append(hidden)
        return kept


class MusicnnLayers(nn.Module):
    """Backbone and head ``classifier``: what the plain network and transformers' model have in common."""

    config: Any

    def add_layers(self, config: Any) -> None:
        """Make the layers, with weights that are to be read or initialised."""
        self.backbone = MusicnnBackbone(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(self.backbone.dim, config.num_labels or 0)

    def logits(self, input_values: torch.Tensor) -> torch.Tensor:
        """Mel bands over time [batch, mels, frames] → logits [batch, labels]."""
        return self.classify(self.embed(input_values))

    def embed(self, input_values: torch.Tensor) -> torch.Tensor:
        """Mel bands over time [batch, mels, frames] → embedding [batch, dim]."""
        return self.backbone(input_values)

    def classify(self, embedding: torch.Tensor) -> torch.Tensor:
        """Embedding [batch, dim] → logits [batch, labels]."""
        return self.classifier(self.dropout(embedding))


class Musicnn(MusicnnLayers):
    """The network for prediction: mel bands over time [batch, mels, frames] → logits [batch, labels]."""

    def __init__(self, config: MusicnnConfig) -> None:
        super().__init__()
        self.config = config
        self.add_layers(config)

    def forward(self, input_values: torch.Tensor) -> Output:
        return Output(self.logits(input_values))
