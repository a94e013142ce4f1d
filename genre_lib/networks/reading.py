"""Folders of our own networks, read into the plain ones without transformers.

What :func:`genre_lib.models.folder.load` refuses is refused here too: weights that lack a tensor of the network, hold
another one or one of another shape, files that are no JSON or no safetensors, values that nothing can be built with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as read_safetensors
from torch import nn

from genre_lib.networks import cnn, fusion, musicnn
from genre_lib.networks.files import (
    CONFIG,
    GENRE_CNN,
    GENRE_FUSION,
    MUSICNN,
    PREPROCESSOR,
    WEIGHTS,
    as_model_invalid,
    read_json,
    require_files,
)
from genre_lib.networks.folder import LoadedModel, inference_settings, require_labels, resolve_device, weights_digest
from genre_lib.networks.logmel import LogMel

NETWORKS: dict[str, tuple[type[Any], type[nn.Module]]] = {
    GENRE_CNN: (cnn.CNNConfig, cnn.GenreCNN),
    MUSICNN: (musicnn.MusicnnConfig, musicnn.Musicnn),
    GENRE_FUSION: (fusion.FusionConfig, fusion.GenreFusion),
}
"""Configuration and network by ``model_type``."""


def read(folder: Path | str, device: str = "cpu") -> LoadedModel:
    """Read such a folder, ready to predict.

    Raises:
        ModelNotFound: there is no such folder.
        ModelInvalid: a file is missing, or cannot be read as one of our networks.
    """
    folder = Path(folder)
    require_files(folder)
    with as_model_invalid(folder):
        stored = read_json(folder / CONFIG)
        config_class, network_class = NETWORKS[stored["model_type"]]
        config = config_class.from_json(stored)
        require_labels(config)
        network = _with_weights(network_class, config, folder / WEIGHTS)
        extractor = LogMel.from_json(read_json(folder / PREPROCESSOR))
        inference = inference_settings(config)
    network.to(resolve_device(device)).eval()
    return LoadedModel(network, extractor, inference, folder, folder.resolve().name, weights_digest(folder))


def _with_weights(network_class: type[nn.Module], config: Any, path: Path) -> nn.Module:
    """The network with the file's weights, in float32; none is made before all of them are known to fit."""
    with torch.device("meta"):
        network = network_class(config)
    # Read, and not mapped: the file may be written anew while the network is in use.
    stored = read_safetensors(path.read_bytes())
    expected = network.state_dict()
    _require_same(expected, stored)
    weights = {name: tensor.to(expected[name].dtype, copy=True) for name, tensor in stored.items()}
    network.load_state_dict(weights, assign=True)
    return network


def _require_same(expected: dict[str, torch.Tensor], stored: dict[str, torch.Tensor]) -> None:
    lacking, strange = sorted(expected.keys() - stored.keys()), sorted(stored.keys() - expected.keys())
    if lacking:
        raise ValueError(f"the weights lack {', '.join(lacking[:3])}")
    if strange:
        raise ValueError(f"the weights hold {', '.join(strange[:3])}, which the network does not have")
    for name, tensor in expected.items():
        came = stored[name]
        if came.shape != tensor.shape or came.is_floating_point() != tensor.is_floating_point():
            raise ValueError(
                f"{name} is {came.dtype} {list(came.shape)} in the weights, "
                f"and {tensor.dtype} {list(tensor.shape)} in the network"
            )
