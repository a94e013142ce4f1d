"""LoRA: small matrices beside a frozen network's own, which learn in their place and are added to them on saving.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021 (arXiv:2106.09685). With queries and values
adapted, as there, some hundredths of the parameters learn, and the saved network is a plain one again.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForAudioClassification, PreTrainedModel

from genre_lib.errors import ConfigurationError
from genre_lib.models.head import backbone
from genre_lib.models.quiet import QuietTransformers
from genre_lib.networks.files import TRANSFORMERS, as_model_invalid

TARGETS = {model_type: ["q_proj", "v_proj"] for model_type in TRANSFORMERS}
"""Layers that give queries and values, by model type."""

PREFIX = "lora_"
"""In the names of all parameters that are LoRA's."""


def add(
    network: PreTrainedModel, rank: int, alpha: float | None, dropout: float, targets: Sequence[str] | None = None
) -> None:
    """Put matrices beside the backbone's layers; they and the head learn, all else rests.

    They begin at zero, so that the network gives what it gave.

    Raises:
        ConfigurationError: the backbone has no linear layers of these names.
    """
    from peft import LoraConfig, inject_adapter_in_model  # on demand: it takes a second

    body = backbone(network)
    names = list(targets or TARGETS.get(network.config.model_type, []))
    _require_layers(network, names)
    scale: Any = 2 * rank if alpha is None else alpha  # it is typed as whole, and need not be
    settings = LoraConfig(r=rank, lora_alpha=scale, lora_dropout=dropout, target_modules=names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inject_adapter_in_model(settings, body)


def require_targets(folder: Path, targets: Sequence[str]) -> None:
    """Refuse layers that the network of a folder does not have; its weights are not read.

    Raises:
        ModelInvalid: its configuration cannot be read.
        ConfigurationError: as for :func:`add`.
    """
    with as_model_invalid(folder), QuietTransformers(), torch.device("meta"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        network = AutoModelForAudioClassification.from_config(config)
    _require_layers(network, targets)


def merge(network: nn.Module) -> None:
    """Add the matrices to the weights that they stand beside, and take them out; nothing where there are none."""
    if not any(PREFIX in name for name, _ in network.named_parameters()):
        return
    from peft.tuners.lora import LoraLayer

    adapted = [(name, module) for name, module in network.named_modules() if isinstance(module, LoraLayer)]
    for name, module in adapted:
        module.merge()
        network.set_submodule(name, module.get_base_layer())


def _require_layers(network: PreTrainedModel, names: Sequence[str]) -> None:
    known = _linear_layers(backbone(network))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ConfigurationError(_advice(network, unknown, known))


def _linear_layers(body: nn.Module) -> dict[str, None]:
    """Last parts of the names of the backbone's linear layers."""
    return {name.split(".")[-1]: None for name, module in body.named_modules() if isinstance(module, nn.Linear)}


def _advice(network: PreTrainedModel, unknown: list[str], known: dict[str, None]) -> str:
    if unknown:
        return (
            f"lora_targets names {', '.join(unknown)}, which {type(network).__name__} does not have; its linear layers "
            f"are {', '.join(known) or 'none'}."
        )
    return f"method='lora' adapts the attention of transformers; {type(network).__name__} has none: take method='full'."
