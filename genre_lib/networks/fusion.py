"""An audio network's embedding beside a small network over the track's features, either of which may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import nn

from genre_lib.networks.cnn import CNNShape, GenreCNNBackbone
from genre_lib.networks.files import GENRE_CNN, GENRE_FUSION, MUSICNN
from genre_lib.networks.fusion_encoder import FeatureEncoder
from genre_lib.networks.fusion_features import FEATURES, require_edges
from genre_lib.networks.musicnn import MusicnnBackbone, MusicnnShape
from genre_lib.networks.stored import Output, StoredConfig, require_counts

SHAPES: dict[str, type[Any]] = {GENRE_CNN: CNNShape, MUSICNN: MusicnnShape}
BACKBONES: dict[str, type[nn.Module]] = {GENRE_CNN: GenreCNNBackbone, MUSICNN: MusicnnBackbone}
"""By ``model_type`` of the audio network."""

DESCRIPTORS, CATALOGUE = "descriptors", "catalogue"
SOURCES = (DESCRIPTORS, CATALOGUE)


@dataclass(eq=False, repr=False)
class FusionShape:
    """Everything that shapes the network.

    Args:
        audio: ``model_type`` and shape of the audio network; None for a model of features alone.
        features_source: where the features were from that it learned by, and so where others are to come from:
            ``descriptors``, those that we compute of the sound, or ``catalogue``, which whoever asks must bring.
        edges: statistics of the training tracks, by which features are scaled: see
            :func:`genre_lib.networks.fusion_features.bin_edges`.
        width, depth, members: of the network over the features: its layers' size and number, and how many share its
            weights, each with scales of its own; what they say is averaged.
        dropout: share of the embeddings dropped in training.
        audio_dropout: share of the clips that are learned by their features alone.
        features_dropout: share of the clips that are learned by their sound alone.
        one_dropout: share of single features that are hidden in training.
        label_smoothing: used where labels are given to ``forward``.
    """

    audio: dict[str, Any] | None = None
    features_source: str = CATALOGUE
    edges: dict[str, list[float]] = field(default_factory=dict)
    width: int = 64
    depth: int = 2
    members: int = 8
    dropout: float = 0.2
    audio_dropout: float = 0.25
    features_dropout: float = 0.25
    one_dropout: float = 0.1
    label_smoothing: float = 0.0

    def check_shape(self, genres: int) -> None:
        """Refuse what no network for so many genres can be built or run with.

        Raises:
            ValueError: names the field, what it must be and what it is.
        """
        if self.features_source not in SOURCES:
            raise ValueError(f"features_source must be one of {', '.join(SOURCES)}, and is {self.features_source!r}.")
        require_counts(self, "width, depth and members", [self.width, self.depth, self.members])
        require_edges(self.edges)
        if self.audio is not None:
            audio_shape(self.audio).check_shape(genres)


@dataclass(eq=False, repr=False)
class FusionConfig(FusionShape, StoredConfig):
    """The content of a ``config.json``: the network's shape, and what else prediction asks for."""

    model_type: str = GENRE_FUSION


def audio_shape(stored: Mapping[str, Any]) -> Any:
    """The audio network's shape, of what :class:`FusionShape` keeps of it.

    Raises:
        ValueError: it is none of our networks.
    """
    kind = stored.get("model_type") if isinstance(stored, Mapping) else None
    if kind not in SHAPES:
        raise ValueError(f"audio.model_type must be one of {', '.join(SHAPES)}, and is {kind!r}.")
    return SHAPES[kind](**{name.name: stored[name.name] for name in fields(SHAPES[kind]) if name.name in stored})


def by_member(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each member's answers as rows of their own, with their targets; logits [batch, genres] stay as they are.

    Args:
        logits: [batch, members, genres].
        targets: [batch] or [batch, genres].
    """
    if logits.ndim == 2:
        return logits, targets
    return logits.flatten(0, 1), targets.repeat_interleave(logits.shape[1], 0)


class FusionLayers(nn.Module):
    """Backbone of the audio, encoder of the features and the head ``classifier`` over both.

    What the plain network and transformers' model have in common.
    """

    config: Any

    def add_layers(self, config: Any) -> None:
        """Make the layers, with weights that are to be read or initialised."""
        audio = config.audio
        self.backbone: nn.Module = BACKBONES[audio["model_type"]](audio_shape(audio)) if audio else nn.Identity()
        self.audio_dim: int = self.backbone.dim if audio else 0  # type: ignore[assignment]
        is_image = bool(audio) and audio["model_type"] == GENRE_CNN
        self.memory_format = torch.channels_last if is_image else torch.preserve_format
        self.encoder = FeatureEncoder(config.edges, config.width, config.depth, config.members, config.dropout)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(self.audio_dim + config.width, config.num_labels or 0)

    def logits(self, input_values: torch.Tensor | None = None, features: torch.Tensor | None = None) -> torch.Tensor:
        """Log-mels [batch, mels, frames] and features [batch, 13] → logits [batch, genres].

        Either may be left out; a feature that is NaN is missing. In training each member answers for itself, and is to
        learn by itself: [batch, members, genres].
        """
        audio, audio_known, features = self.inputs(input_values, features)
        own = self.encoder(features, audio_known)
        heard = self.dropout(audio[:, None].expand(-1, own.shape[1], -1))
        each = self.classifier(torch.cat([heard, own], 2))
        return each if self.training else each.float().log_softmax(-1).logsumexp(1)

    def inputs(
        self, input_values: torch.Tensor | None, features: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Embeddings of the audio [batch, dim], zeros where it is not known [batch], and features [batch, 13]."""
        given = input_values if features is None else features
        if given is None:
            raise ValueError("Expected input_values, features or both, and got neither.")
        batch, device = len(given), given.device
        hears = input_values is not None and self.audio_dim > 0
        if features is None:
            features = torch.full((batch, len(FEATURES)), torch.nan, device=device)
        audio_known = torch.full((batch,), hears, device=device)
        if self.training:
            audio_known, features = self.hidden(audio_known, features)
        audio = self.backbone(input_values) if hears else torch.zeros(batch, self.audio_dim, device=device)
        return audio * audio_known[:, None], audio_known, features.float()

    def hidden(self, audio_known: torch.Tensor, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hide the sound of some rows and the features of others, and single features; never all that is known."""
        draw, each = torch.rand(len(features)), torch.rand(features.shape)
        deaf = (draw < self.config.audio_dropout).to(features.device) & features.isfinite().any(1)
        blind = (draw > 1 - self.config.features_dropout).to(features.device) & audio_known & ~deaf
        gone = (each < self.config.one_dropout).to(features.device) | blind[:, None]
        return audio_known & ~deaf, features.masked_fill(gone, torch.nan)


class GenreFusion(FusionLayers):
    """The network for prediction: log-mels and features → logits [batch, genres]."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        self.add_layers(config)

    def forward(self, input_values: torch.Tensor | None = None, features: torch.Tensor | None = None) -> Output:
        return Output(self.logits(input_values, features))
