"""What an optimizer is given: weights that decay and that do not, layers at rates of their own, and the schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import PreTrainedModel

from genre_lib.models.layers import depths
from genre_lib.networks.fusion import FusionLayers


def parameter_groups(
    network: torch.nn.Module, weight_decay: float, features_learning_rate: float | None = None
) -> list[dict[str, Any]]:
    """Weights that decay, and those that do not: biases and scales of norms, tensors of fewer than two dimensions.

    After nanoGPT's ``configure_optimizers`` and beat_this's ``pl_module.py``. The network over features, where there is
    one and it has a learning rate of its own, makes two groups more.
    """
    learning = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    own = isinstance(network, FusionLayers) and features_learning_rate is not None
    beside = [p for name, p in learning if own and name.startswith("encoder.")]
    others = [p for name, p in learning if not (own and name.startswith("encoder."))]
    groups = _by_decay(others, weight_decay)
    return groups + [group | {"lr": features_learning_rate} for group in _by_decay(beside, weight_decay) if beside]


def layered_groups(
    network: PreTrainedModel, weight_decay: float, learning_rate: float, layer_decay: float
) -> list[dict[str, Any]]:
    """As :func:`parameter_groups`, and the head first: each layer learns at ``layer_decay`` of the next one's rate.

    What the first layers know holds for all sound, and what the last ones know for the task that they learned. From
    ULMFiT's discriminative rates (Howard and Ruder 2018, arXiv:1801.06146, section 3.2, layer by layer 1 / 2.6), as
    BERT (Sun et al. 2019, arXiv:1905.05583: 0.95) and BEiT (Bao et al. 2022, arXiv:2106.08254: 0.65 to 0.75) have them.
    """
    depth_of = depths(network)
    last = max(depth_of.values())
    groups = []
    for depth in range(last, -1, -1):
        here = [p for name, p in network.named_parameters() if p.requires_grad and depth_of[name] == depth]
        rate = learning_rate * layer_decay ** (last - depth)
        groups += [group | {"lr": rate} for group in _by_decay(here, weight_decay) if group["params"]]
    return groups


def _by_decay(parameters: list[torch.nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def learning_rate_factor(step: int, warmup: int, total: int, final: float = 0.0) -> float:
    """Share of the learning rate at a step: a line up to ``warmup``, then half a cosine down to ``final`` at ``total``.

    >>> [round(learning_rate_factor(step, 2, 6), 3) for step in range(7)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    progress = min((step - warmup) / max(total - warmup, 1), 1.0)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))
