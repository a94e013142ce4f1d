"""A small residual network over log-mels.

Short clips, 3×3 convolutions and a pooling over the whole clip, after the short-chunk CNN with residual blocks, which
did best among the networks compared by Won, Ferraro, Bogdanov and Serra, "Evaluation of CNN-based automatic music
tagging models" (2020, arXiv:2006.00751).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from genre_lib.networks.files import GENRE_CNN
from genre_lib.networks.stored import Output, StoredConfig, require_counts

POOLINGS = {"avg": 1, "avgmax": 2, "avgstd": 2}
"""Ways to pool a clip's frames, and the numbers that each keeps of a channel."""

CLIP_NORMS = ("none", "mean", "mean_std")


@dataclass(eq=False, repr=False)
class CNNShape:
    """Everything that shapes the network.

    Args:
        num_mel_bins: mel bands of the input; bands beyond ``used_mel_bins`` are not looked at.
        used_mel_bins: lowest bands that the network sees; None for all.
        channels: channels of the residual stages; every stage but the first halves both axes.
        blocks_per_stage: residual blocks in a stage.
        stem_stride: stride of the first convolution.
        pooling: how frames become an embedding, one of ``POOLINGS``: mean; mean and maximum; mean and deviation.
        clip_norm: what is taken out of a clip before the network, one of ``CLIP_NORMS``.
        dynamic_range: what lies further below the clip's maximum is raised (in the extractor's units); None: kept.
        band_relax: share of each band's own mean over time that is taken out too, and with it that share of a fixed
            filter (relaxed instance frequency-wise normalisation, Kim et al. 2022, arXiv:2206.12513).
        subclass_genre: genre of each output, where a genre that two collections understand differently is learnt as
            several sub-classes, whose probabilities are then added (mixture discriminant analysis, Hastie and
            Tibshirani 1996); None for an output a genre.
        dropout: share of the embedding dropped in training.
        channel_dropout: share of channels dropped inside a block in training.
        label_smoothing: used where labels are given to ``forward``.
    """

    num_mel_bins: int = 128
    used_mel_bins: int | None = None
    channels: list[int] | tuple[int, ...] = (24, 48, 96, 192)
    blocks_per_stage: int = 1
    stem_stride: int = 2
    pooling: str = "avg"
    clip_norm: str = "mean"
    dynamic_range: float | None = None
    band_relax: float = 0.0
    subclass_genre: list[int] | None = None
    dropout: float = 0.2
    channel_dropout: float = 0.0
    label_smoothing: float = 0.0

    def check_shape(self, genres: int) -> None:
        """Refuse what no network for so many genres can be built or run with.

        Raises:
            ValueError: names the field, what it must be and what it is.
        """
        counts = [self.num_mel_bins, self.used_mel_bins or 1, *self.channels, self.blocks_per_stage, self.stem_stride]
        sub_classes = self.subclass_genre or [0]
        must_be = {
            "pooling": (self.pooling in POOLINGS, f"one of {', '.join(POOLINGS)}"),
            "clip_norm": (self.clip_norm in CLIP_NORMS, f"one of {', '.join(CLIP_NORMS)}"),
            "dynamic_range": (isinstance(self.dynamic_range or 0.0, int | float), "a number or null"),
            "band_relax": (isinstance(self.band_relax, int | float), "a number"),
            "subclass_genre": (all(of in range(genres) for of in sub_classes), "ids of genres, or null"),
        }
        for name, (fits, what) in must_be.items():
            if not fits:
                raise ValueError(f"{type(self).__name__}.{name} must be {what}, and is {getattr(self, name)!r}.")
        require_counts(self, "bands, channels, blocks and stride", counts)


@dataclass(eq=False, repr=False)
class CNNConfig(CNNShape, StoredConfig):
    """The content of a ``config.json``: the network's shape, and what else prediction asks for."""

    model_type: str = GENRE_CNN


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut: [batch, c_in, m, n] → [batch, c_out, m / stride, n / stride]."""

    def __init__(self, c_in: int, c_out: int, stride: int, channel_dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(c_out)
        self.dropout = nn.Dropout2d(channel_dropout)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or c_in != c_out:
            # Averaging first keeps what a strided 1×1 convolution would skip (ResNet-D, arXiv:1812.01187).
            shrink = nn.AvgPool2d(stride, ceil_mode=True) if stride != 1 else nn.Identity()
            self.shortcut = nn.Sequential(shrink, nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.dropout(functional.relu(self.norm1(self.conv1(x))))
        return functional.relu(self.norm2(self.conv2(hidden)) + self.shortcut(x))


class GenreCNNBackbone(nn.Module):
    """Log-mel [batch, mels, frames] → embedding [batch, dim]."""

    def __init__(self, config: CNNShape) -> None:
        super().__init__()
        self.config = config
        self.bands = config.used_mel_bins or config.num_mel_bins
        self.input_norm = nn.BatchNorm1d(self.bands)
        width = config.channels[0]
        self.stem = nn.Conv2d(1, width, 3, config.stem_stride, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.stages = nn.Sequential(*_blocks(config))
        self.dim = config.channels[-1] * POOLINGS[config.pooling]

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        clip = normalise_clip(input_values[:, : self.bands], self.config.clip_norm, self.config.dynamic_range)
        if self.config.band_relax:
            clip = clip - self.config.band_relax * clip.mean(2, keepdim=True)
        image = self.input_norm(clip)[:, None].contiguous(memory_format=torch.channels_last)
        hidden = self.stages(functional.relu(self.stem_norm(self.stem(image))))
        return pool_image(hidden, self.config.pooling)


class GenreCNNLayers(nn.Module):
    """Backbone and head ``classifier``: log-mel [batch, mels, frames] → logits [batch, genres].

    What the plain network and transformers' model have in common, which is all but the frame around them.
    """

    config: Any
    memory_format = torch.channels_last
    """The order that its convolutions like: a quarter less time on a processor, and the same numbers."""

    def add_layers(self, config: Any) -> None:
        """Make the layers, with weights that are to be read or initialised."""
        self.backbone = GenreCNNBackbone(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(self.backbone.dim, len(config.subclass_genre or range(config.num_labels or 0)))

    def logits(self, input_values: torch.Tensor) -> torch.Tensor:
        """Log-mel [batch, mels, frames] → logits [batch, genres]."""
        return self.classify(self.embed(input_values))

    def embed(self, input_values: torch.Tensor) -> torch.Tensor:
        """Log-mel [batch, mels, frames] → embedding [batch, dim]."""
        return self.backbone(input_values)

    def classify(self, embedding: torch.Tensor) -> torch.Tensor:
        """Embedding [batch, dim] → logits [batch, genres]."""
        return self.genre_logits(self.classifier(self.dropout(embedding)))

    def subclass_logits(self, input_values: torch.Tensor) -> torch.Tensor:
        """Log-mel [batch, mels, frames] → the head's outputs [batch, outputs], of genres or of their sub-classes."""
        return self.classifier(self.dropout(self.embed(input_values)))

    def genre_logits(self, outputs: torch.Tensor) -> torch.Tensor:
        """Outputs [batch, outputs] → logits [batch, genres]: the logarithm of the sub-classes' summed probability."""
        if self.config.subclass_genre is None:
            return outputs
        genre = torch.tensor(self.config.subclass_genre, device=outputs.device)
        member = functional.one_hot(genre, len(self.config.id2label or ())).float()
        return (outputs.float().softmax(-1) @ member).clamp_min(1e-8).log()


class GenreCNN(GenreCNNLayers):
    """The network for prediction: log-mel [batch, mels, frames] → logits [batch, genres]."""

    def __init__(self, config: CNNConfig) -> None:
        super().__init__()
        self.config = config
        self.add_layers(config)

    def forward(self, input_values: torch.Tensor) -> Output:
        return Output(self.logits(input_values))


def normalise_clip(clip: torch.Tensor, how: str, dynamic_range: float | None = None) -> torch.Tensor:
    """Take loudness (``mean``), and its spread (``mean_std``), out of each clip [batch, mels, frames]."""
    if dynamic_range is not None:
        clip = torch.maximum(clip, clip.amax((1, 2), keepdim=True) - dynamic_range)
    if how == "none":
        return clip
    centred = clip - clip.mean((1, 2), keepdim=True)
    if how == "mean":
        return centred
    return centred / (centred.std((1, 2), keepdim=True) + 1e-2)


def pool_image(hidden: torch.Tensor, how: str) -> torch.Tensor:
    """Feature maps [batch, channels, mels, frames] → embedding [batch, channels * POOLINGS[how]] in float32."""
    if how == "avg":
        return hidden.float().mean((2, 3))
    over_time = hidden.float().mean(2)
    if how == "avgmax":
        return torch.cat([over_time.mean(2), over_time.amax(2)], 1)
    return torch.cat([over_time.mean(2), (over_time.var(2, unbiased=False) + 1e-4).sqrt()], 1)


def _blocks(config: CNNShape) -> list[ResidualBlock]:
    blocks, c_in = [], config.channels[0]
    for stage, c_out in enumerate(config.channels):
        for block in range(config.blocks_per_stage):
            stride = 2 if stage > 0 and block == 0 else 1
            blocks.append(ResidualBlock(c_in, c_out, stride, config.channel_dropout))
            c_in = c_out
    return blocks
