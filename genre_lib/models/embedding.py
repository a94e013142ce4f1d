"""A classifier in two halves: what its encoder hears, which is costly, and what its head makes of that.

The second half of the first gives the classifier's own logits, so that a head can be learned on embeddings that were
computed once. Where the head weighs the encoder's layers, the embedding holds all of them, each as its mean over time:
weighing, projecting and taking the mean are linear, and may change places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import ASTForAudioClassification

from genre_lib.errors import ModelInvalid
from genre_lib.models.head import backbone, last_layer

Inputs = Mapping[str, torch.Tensor]
"""What a network takes, by name: ``input_values`` [clips, ...], and ``attention_mask`` [clips, samples] where the
extractor makes one."""


def embed(network: Any, inputs: Inputs) -> torch.Tensor:
    """What the head is given of clips; a network with ``embed`` and ``classify`` of its own says it itself.

    Returns:
        The backbone's embedding [clips, dim] of our networks, the pooled output [clips, dim] of AST, and each layer's
        mean over time [clips, layers, dim] of HuBERT, wav2vec 2.0 and their like.

    Raises:
        ModelInvalid: the network is none of these.
    """
    if hasattr(network, "classify"):
        return network.embed(**inputs)
    if isinstance(network, ASTForAudioClassification):
        return backbone(network)(**inputs).pooler_output
    if _is_over_time(network):
        return _layer_means(network, inputs)
    raise ModelInvalid(
        f"{type(network).__name__} does not fall into an encoder and a head over its embedding; fine-tune it whole."
    )


def classify(network: Any, embeddings: torch.Tensor) -> torch.Tensor:
    """Logits [clips, classes] of what :func:`embed` gives; gradients reach all of the head."""
    if hasattr(network, "classify"):
        return network.classify(embeddings)
    return last_layer(network)[1](last_inputs(network, embeddings))


def last_inputs(network: Any, embeddings: torch.Tensor) -> torch.Tensor:
    """What the last layer is given [clips, dim], of what :func:`embed` gives."""
    if hasattr(network, "last_inputs"):
        return network.last_inputs(embeddings)
    if isinstance(network, ASTForAudioClassification):
        return network.classifier.layernorm(embeddings)
    if _is_over_time(network):
        return network.projector(_weighed(network, embeddings))
    return embeddings


def _is_over_time(network: Any) -> bool:
    """Whether its head is a projection of each frame, their mean, and a linear layer, as HuBERT's."""
    return hasattr(network, "projector") and hasattr(network, "_get_feature_vector_attention_mask")


def _layer_means(network: Any, inputs: Inputs) -> torch.Tensor:
    """Mean over a clip's frames [clips, layers, dim] of every layer, or of the last where they are not weighed."""
    all_layers = network.config.use_weighted_layer_sum
    output = backbone(network)(**inputs, output_hidden_states=all_layers)
    layers = torch.stack(output.hidden_states if all_layers else [output.last_hidden_state], 1)
    mask = inputs.get("attention_mask")
    if mask is None:
        return layers.mean(2)
    heard = network._get_feature_vector_attention_mask(layers.shape[2], mask)
    # What stands where nothing is heard may be anything: it is left out, not multiplied by zero.
    kept = layers.masked_fill(~heard[:, None, :, None], 0.0)
    return kept.sum(2) / heard.sum(1)[:, None, None]


def _weighed(network: Any, layers: torch.Tensor) -> torch.Tensor:
    """The layers' weighted mean: [clips, layers, dim] → [clips, dim]."""
    if not network.config.use_weighted_layer_sum:
        return layers[:, 0]
    return (layers * network.layer_weights.softmax(-1)[:, None]).sum(1)
