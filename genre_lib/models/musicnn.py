"""musicnn of :mod:`genre_lib.networks.musicnn` as transformers knows models: for training and for ``pipeline``."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from genre_lib.models.of_labels import OfLabels
from genre_lib.networks.files import MUSICNN
from genre_lib.networks.musicnn import MusicnnLayers, MusicnnShape


class MusicnnModelConfig(OfLabels, MusicnnShape, PreTrainedConfig):
    """:class:`genre_lib.networks.musicnn.MusicnnShape`, and what every configuration of transformers holds."""

    model_type = MUSICNN

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.timbral_filters, self.temporal_filters = list(self.timbral_filters), list(self.temporal_filters)
        self.check_shape(self.num_labels or 0)


class MusicnnForAudioClassification(MusicnnLayers, PreTrainedModel):
    """The network with its head ``classifier``: [batch, mels, frames] → logits [batch, labels].

    The published tags do not exclude each other: their probabilities are the logits' sigmoids
    (``problem_type="multi_label_classification"``). With genres for labels it is a classifier like any other.
    """

    config_class = MusicnnModelConfig
    base_model_prefix = "backbone"
    main_input_name = "input_values"

    def __init__(self, config: MusicnnModelConfig) -> None:
        super().__init__(config)
        self.add_layers(config)
        self.post_init()

    def freeze_feature_encoder(self) -> None:
        """Let the filters over the mel bands rest; transformers' name for it."""
        for part in (self.backbone.input_norm, self.backbone.banks):
            part.requires_grad_(False)

    def forward(
        self, input_values: torch.Tensor, labels: torch.Tensor | None = None, return_dict: bool | None = None, **_: Any
    ) -> SequenceClassifierOutput | tuple:
        """Logits, and the loss where ``labels`` are given: of genres (ids or probabilities), or of tags' shares."""
        logits = self.logits(input_values)
        loss = None
        if labels is not None and self.config.problem_type == "multi_label_classification":
            loss = functional.binary_cross_entropy_with_logits(logits.float(), labels)
        elif labels is not None:
            loss = functional.cross_entropy(logits.float(), labels, label_smoothing=self.config.label_smoothing)
        output = SequenceClassifierOutput(loss=loss, logits=logits)
        return output.to_tuple() if return_dict is False else output
