"""The CNN of :mod:`genre_lib.networks.cnn` as transformers knows models: for training and for ``pipeline``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

from genre_lib.models.of_labels import OfLabels
from genre_lib.networks.cnn import CNNShape, GenreCNNLayers
from genre_lib.networks.files import GENRE_CNN


class GenreCNNConfig(OfLabels, CNNShape, PreTrainedConfig):
    """:class:`genre_lib.networks.cnn.CNNShape`, and what every configuration of transformers holds."""

    model_type = GENRE_CNN

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.channels = list(self.channels)
        self.check_shape(self.num_labels or 0)

    @classmethod
    def tiny(cls, labels: Sequence[str] = ("a", "b"), **fields: Any) -> GenreCNNConfig:
        """A network of a few thousand parameters, for tests and smoke runs."""
        return cls.for_labels(labels, **{"channels": (4, 8, 16), "dropout": 0.0} | fields)


class GenreCNNForAudioClassification(GenreCNNLayers, PreTrainedModel):
    """The network with its head ``classifier``: log-mel [batch, mels, frames] → logits [batch, genres]."""

    config_class = GenreCNNConfig
    base_model_prefix = "backbone"
    main_input_name = "input_values"

    def __init__(self, config: GenreCNNConfig) -> None:
        super().__init__(config)
        self.add_layers(config)
        self.post_init()

    def forward(
        self, input_values: torch.Tensor, labels: torch.Tensor | None = None, return_dict: bool | None = None, **_: Any
    ) -> SequenceClassifierOutput | tuple:
        """Logits, and the cross entropy where ``labels`` [batch] (ids) or [batch, genres] (probabilities) are given."""
        logits = self.logits(input_values)
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(logits.float(), labels, label_smoothing=self.config.label_smoothing)
        output = SequenceClassifierOutput(loss=loss, logits=logits)
        return output.to_tuple() if return_dict is False else output

    def freeze_feature_encoder(self) -> None:
        """Let the first convolution and the norms around it rest; transformers' name for it."""
        for part in (self.backbone.input_norm, self.backbone.stem, self.backbone.stem_norm):
            part.requires_grad_(False)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        else:
            super()._init_weights(module)
