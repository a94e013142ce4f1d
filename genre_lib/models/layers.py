"""The layers of a pretrained transformer, counted from its input to its head."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from genre_lib.errors import ConfigurationError
from genre_lib.models.head import backbone

LAYERS = {
    "audio-spectrogram-transformer": "layers",
    "hubert": "encoder.layers",
    "wav2vec2": "encoder.layers",
}
"""Where the layers are in the backbone, by model type."""

CONVOLUTIONS = ("hubert", "wav2vec2")
"""Model types whose first features of the sound are made by convolutions that fine-tuning lets rest, as their authors
do (Baevski et al. 2020, arXiv:2006.11477; Hsu et al. 2021, arXiv:2106.07447)."""


def layers_of(network: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """The layers, the first one first, and the beginning of their parameters' names.

    Raises:
        ConfigurationError: the network is no transformer that is known here.
    """
    place = LAYERS.get(network.config.model_type)
    if place is None:
        raise ConfigurationError(
            f"layer_decay and unfreeze_every go by a transformer's layers, which {type(network).__name__} has not; "
            "leave them out."
        )
    layers = backbone(network).get_submodule(place)
    assert isinstance(layers, nn.ModuleList)
    return f"{network.base_model_prefix}.{place}.", layers


def depths(network: PreTrainedModel) -> dict[str, int]:
    """How deep each parameter lies, by name: 0 before the layers, 1 to their number in them, and one more behind them.

    A norm behind the last layer counts to the head, as in BEiT's ``get_num_layer_for_vit`` (Bao et al. 2022,
    arXiv:2106.08254).
    """
    beginning, layers = layers_of(network)
    last = len(layers) + 1
    return {name: _depth(name, beginning, last, network) for name, _ in network.named_parameters()}


def _depth(name: str, beginning: str, last: int, network: PreTrainedModel) -> int:
    if name.startswith(beginning):
        return 1 + int(name.removeprefix(beginning).split(".")[0])
    inside = name.startswith(f"{network.base_model_prefix}.")
    return 0 if inside and not name.startswith(_norm_behind(network)) else last


def _norm_behind(network: PreTrainedModel) -> str:
    """Beginning of the parameters' names of the norm behind the last layer."""
    if network.config.model_type not in CONVOLUTIONS:
        return f"{network.base_model_prefix}.layernorm."
    # These have one norm, before the layers or, where each layer's own comes first, behind them.
    behind = getattr(network.config, "do_stable_layer_norm", False)
    return f"{network.base_model_prefix}.encoder.layer_norm." if behind else "\0"


def rests_in_front(network: PreTrainedModel) -> bool:
    """Whether the network begins with convolutions that are left as they are."""
    return network.config.model_type in CONVOLUTIONS


def unfreeze(network: PreTrainedModel, depth_of: dict[str, int], most: int, epoch: int, every: int) -> None:
    """Let the head learn alone at first, and one more layer, from the last one back, every so many epochs.

    Gradual unfreezing, after Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018
    (arXiv:1801.06146).

    Args:
        depth_of: of the parameters that shall learn in the end, as :func:`depths` has them.
        most: depth of the head.
        epoch: from 0.
    """
    lowest = most - epoch // every
    for name, parameter in network.named_parameters():
        if name in depth_of:
            parameter.requires_grad_(depth_of[name] >= lowest)
