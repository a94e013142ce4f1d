"""The last layer of an audio classifier: freezing all before it, and giving it other genres."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from genre_lib.errors import ModelInvalid
from genre_lib.labels import canonical


def backbone(network: PreTrainedModel) -> nn.Module:
    """Everything but the head; transformers names it by ``base_model_prefix`` in all of its classifiers.

    Raises:
        ModelInvalid: the network does not tell the two apart.
    """
    body = network.base_model
    if body is network:
        raise ModelInvalid(
            f"{type(network).__name__} does not tell its head from its backbone, so neither can be changed."
        )
    return body


def freeze_backbone(network: PreTrainedModel) -> None:
    """Let only the head learn."""
    backbone(network).requires_grad_(False)


def rest_frozen(network: PreTrainedModel) -> None:
    """Put frozen parts into evaluation mode: without dropout, and with the statistics of batch norms left alone."""
    body = backbone(network)
    if not any(parameter.requires_grad for parameter in body.parameters()):
        body.eval()


def with_genres(network: PreTrainedModel, genres: Sequence[str]) -> list[str]:
    """Let the network's last layer tell these genres, in this order, apart.

    Rows of genres that it knew already, in any spelling that :func:`genre_lib.labels.canonical` brings together, are
    copied; the others start small and random, as transformers' own heads do.

    Returns:
        The genres whose rows were copied.
    """
    known = {canonical(name): index for index, name in network.config.id2label.items()}
    name, old = last_layer(network)
    new = nn.Linear(old.in_features, len(genres), device=old.weight.device, dtype=old.weight.dtype)
    nn.init.normal_(new.weight, std=0.02)
    nn.init.zeros_(new.bias)
    copied = [genre for genre in genres if canonical(genre) in known]
    with torch.no_grad():
        for genre in copied:
            _copy_row(old, known[canonical(genre)], new, list(genres).index(genre))
    network.set_submodule(name, new)
    _relabel(network, genres)
    return copied


def last_layer(network: PreTrainedModel) -> tuple[str, nn.Linear]:
    """Name and module of the linear layer that gives the logits.

    Raises:
        ModelInvalid: there is no such layer outside the backbone.
    """
    inside = {id(module) for module in backbone(network).modules()}
    layers = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
        and id(module) not in inside
        and module.out_features == network.config.num_labels
    ]
    if not layers:
        raise ModelInvalid(f"{type(network).__name__} ends in no linear layer with an output for each of its labels.")
    return layers[-1]


def _copy_row(old: nn.Linear, source: int, new: nn.Linear, target: int) -> None:
    new.weight[target] = old.weight[source]
    if old.bias is not None:
        new.bias[target] = old.bias[source]


def _relabel(network: PreTrainedModel, genres: Sequence[str]) -> None:
    network.config.id2label = dict(enumerate(genres))
    network.config.label2id = {genre: index for index, genre in enumerate(genres)}
    network.num_labels = len(genres)
