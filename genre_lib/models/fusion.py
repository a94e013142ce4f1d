"""The network of :mod:`genre_lib.networks.fusion` as transformers knows models: for training and for ``pipeline``."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

from genre_lib.errors import ConfigurationError
from genre_lib.models.cnn import GenreCNNForAudioClassification
from genre_lib.models.of_labels import OfLabels
from genre_lib.networks.files import GENRE_CNN, GENRE_FUSION, MUSICNN
from genre_lib.networks.fusion import SHAPES, FusionLayers, FusionShape, by_member
from genre_lib.networks.fusion_encoder import MemberLinear
from genre_lib.wording import with_article

FRONTS = {GENRE_CNN: ("input_norm", "stem", "stem_norm"), MUSICNN: ("input_norm", "banks")}
"""Parts of the audio networks that :meth:`freeze_feature_encoder` of each lets rest."""


class GenreFusionConfig(OfLabels, FusionShape, PreTrainedConfig):
    """:class:`genre_lib.networks.fusion.FusionShape`, and what every configuration of transformers holds."""

    model_type = GENRE_FUSION

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.check_shape(self.num_labels or 0)


class GenreFusionForAudioClassification(FusionLayers, PreTrainedModel):
    """Log-mels [batch, mels, frames] and features [batch, 13], either of which may be missing → logits."""

    config_class = GenreFusionConfig
    base_model_prefix = "backbone"
    main_input_name = "input_values"

    def __init__(self, config: GenreFusionConfig) -> None:
        super().__init__(config)
        self.add_layers(config)
        self.post_init()

    def forward(
        self,
        input_values: torch.Tensor | None = None,
        features: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput | tuple:
        """Logits, and the cross entropy where ``labels`` [batch] (ids) or [batch, genres] (probabilities) are given."""
        logits = self.logits(input_values, features)
        loss = None
        if labels is not None:
            each, labels = by_member(logits.float(), labels)
            loss = functional.cross_entropy(each, labels, label_smoothing=self.config.label_smoothing)
        output = SequenceClassifierOutput(loss=loss, logits=logits)
        return output.to_tuple() if return_dict is False else output

    def freeze_feature_encoder(self) -> None:
        """Let the first layers that the sound goes through rest, as the audio network alone would."""
        if self.config.audio:
            for part in FRONTS[self.config.audio["model_type"]]:
                getattr(self.backbone, part).requires_grad_(False)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, MemberLinear):
            bound = 1 / math.sqrt(module.weight.shape[1])
            init.uniform_(module.weight, -bound, bound)
            init.copy_(module.before, torch.randn_like(module.before).sign())
            init.ones_(module.after)
            init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            GenreCNNForAudioClassification._init_weights(self, module)  # type: ignore[arg-type]
        else:
            super()._init_weights(module)


def with_features(
    network: PreTrainedModel, source: str, edges: dict[str, list[float]], **shape: Any
) -> PreTrainedModel:
    """The network with features beside its sound; before it has learned of them, it says what it said without.

    A network that takes features already keeps what it knows of them, with the statistics it learned by, unless they
    are to come from elsewhere.

    Args:
        source, edges, shape: fields of :class:`genre_lib.networks.fusion.FusionShape`; ``audio=None`` drops the sound.

    Raises:
        ConfigurationError: it is none of our networks, or the shape is none.
    """
    known = isinstance(network, GenreFusionForAudioClassification) and network.config.features_source == source
    if known and "audio" not in shape:
        return network
    try:
        fused = GenreFusionForAudioClassification(_fused_config(network, source, edges, shape))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"feature_network cannot be built: {error}") from error
    _take_over(network, fused)
    return fused


def _fused_config(
    network: PreTrainedModel, source: str, edges: dict[str, list[float]], shape: dict[str, Any]
) -> GenreFusionConfig:
    config: Any = network.config
    kind = config.model_type
    if kind not in (*SHAPES, GENRE_FUSION):
        raise ConfigurationError(
            f"Features stand beside the sound of our networks ({', '.join(SHAPES)}); this one is "
            f"{with_article(str(kind))}. Start from one of them, or set features to none."
        )
    own = {} if kind == GENRE_FUSION else {field.name: getattr(config, field.name) for field in fields(SHAPES[kind])}
    audio = config.audio if kind == GENRE_FUSION else own | {"model_type": kind}
    if audio:
        audio = audio | ({"subclass_genre": None} if "subclass_genre" in audio else {})
    names = [config.id2label[index] for index in range(len(config.id2label))]
    shape = {"audio": audio} | shape
    kept = ("base_model", "trained_on") if shape["audio"] else ()  # without the sound nothing is kept of the base
    carried = {name: getattr(config, name) for name in kept if getattr(config, name, None)}
    return GenreFusionConfig.for_labels(names, **shape, features_source=source, edges=edges, **carried)


@torch.no_grad()
def _take_over(network: Any, fused: Any) -> None:
    """Give the new network the old one's audio, and its head over it."""
    if not fused.audio_dim:
        return
    fused.backbone.load_state_dict(network.backbone.state_dict())
    old, new = network.classifier, fused.classifier
    if len(old.weight) != len(new.weight):  # sub-classes, whose probabilities are added: no linear layer says the same
        return
    nn.init.zeros_(new.weight)
    new.weight[:, : fused.audio_dim] = old.weight[:, : fused.audio_dim]
    new.bias.copy_(old.bias)
