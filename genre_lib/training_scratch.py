"""Networks with random weights, as ``architecture`` and ``feature_extractor`` of a configuration describe them."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from genre_lib.errors import ConfigurationError, first_line
from genre_lib.models.cnn import GenreCNNConfig, GenreCNNForAudioClassification
from genre_lib.models.folder import GenreModel, InferenceSettings
from genre_lib.models.logmel import LogMelFeatureExtractor
from genre_lib.models.untrained import FAMILIES, Family
from genre_lib.networks.files import GENRE_CNN
from genre_lib.networks.folder import DEFAULT_CLIP_SECONDS
from genre_lib.networks.front_ends import front_end_of
from genre_lib.training_config import TrainingConfig, nearest
from genre_lib.training_inputs import Subclasses

ENCODERS: dict[str, Family] = {
    FAMILIES[name].config.model_type: FAMILIES[name] for name in ("ast", "hubert", "wav2vec2")
}
"""By ``model_type``: those of other makers that can be built of their configuration alone."""

SHARED = ("num_mel_bins", "max_length")
"""What an AST and its feature extractor must agree on."""


def from_scratch(config: TrainingConfig, genres: list[str], subclasses: Subclasses) -> GenreModel:
    """A network with random weights: the CNN, or what ``architecture.model_type`` names.

    Raises:
        ConfigurationError: a field is unknown, or no network can be built of them.
    """
    kind = config.architecture.get("model_type", GENRE_CNN)
    if kind not in (GENRE_CNN, *ENCODERS):
        raise ConfigurationError(f"architecture.model_type is {kind!r}; {nearest(str(kind), [GENRE_CNN, *ENCODERS])}")
    architecture = {name: value for name, value in config.architecture.items() if name != "model_type"}
    clip = config.clip_seconds or DEFAULT_CLIP_SECONDS.get(kind, 10.0)
    if kind == GENRE_CNN:
        network, extractor = _cnn(architecture, config.feature_extractor, genres, subclasses)
    elif subclasses:
        raise ConfigurationError(f"subclasses='source' shapes the CNN's head, and architecture is a {kind}.")
    else:
        network, extractor = _encoder(ENCODERS[kind], architecture, config.feature_extractor, genres, clip)
    return GenreModel(network, extractor, InferenceSettings(clip, config.hop_seconds or clip))


def check_names(field: str, given: dict[str, Any], known: list[str]) -> None:
    for name in given:
        if name not in known:
            raise ConfigurationError(f"Unknown field {field}.{name}; {nearest(name, known)}")


def _cnn(
    architecture: dict[str, Any], feature_extractor: dict[str, Any], genres: list[str], subclasses: Subclasses
) -> tuple[Any, Any]:
    check_names("architecture", architecture, [field.name for field in fields(GenreCNNConfig)])
    check_names("feature_extractor", feature_extractor, _arguments(LogMelFeatureExtractor))
    try:
        extractor = LogMelFeatureExtractor(**feature_extractor)
        architecture = {"num_mel_bins": extractor.feature_size} | architecture
        if subclasses:
            architecture["subclass_genre"] = [genres.index(genre) for _, genre in subclasses]
        return GenreCNNForAudioClassification(GenreCNNConfig.for_labels(genres, **architecture)), extractor
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"architecture or feature_extractor cannot be built: {error}") from error


def _encoder(
    family: Family, architecture: dict[str, Any], feature_extractor: dict[str, Any], genres: list[str], clip: float
) -> tuple[Any, Any]:
    """A network of another maker with its feature extractor, tried on a clip of silence."""
    made_by = family.extractor(family.config())
    check_names("architecture", architecture, [field.name for field in fields(family.config)])
    check_names("feature_extractor", feature_extractor, _arguments(type(made_by)))
    labels = {"id2label": dict(enumerate(genres)), "label2id": {genre: row for row, genre in enumerate(genres)}}
    try:
        shape = _agreed(made_by, architecture, feature_extractor, clip)
        if "use_weighted_layer_sum" in {field.name for field in fields(family.config)}:
            shape = {"use_weighted_layer_sum": True} | shape
        settings = family.config(**shape | labels)
        described = {name: getattr(family.extractor(settings), name) for name in _arguments(type(made_by))}
        extractor = type(made_by)(**described | feature_extractor)
        network: Any = family.classifier(settings)
        front = front_end_of(extractor)
        assert front is not None
        with torch.no_grad():
            network.eval()(**front.inputs([np.zeros(round(clip * front.sampling_rate), np.float32)], "cpu"))
    except Exception as error:  # what transformers, its configurations and torch raise has no common root
        reason = " ".join(first_line(line).strip() for line in str(error).splitlines()[-1:]) or type(error).__name__
        raise ConfigurationError(f"architecture or feature_extractor cannot be built: {reason}") from error
    return network, extractor


def _agreed(extractor: Any, architecture: dict[str, Any], given: dict[str, Any], clip: float) -> dict[str, Any]:
    """The architecture with what it has in common with the feature extractor, which a clip fills where none says."""
    if not hasattr(extractor, "max_length"):
        return architecture
    differing = [name for name in SHARED if name in given and architecture.get(name, given[name]) != given[name]]
    if differing:
        raise ValueError(
            f"{differing[0]} is {architecture[differing[0]]} in one and {given[differing[0]]} in the other"
        )
    front: Any = front_end_of(type(extractor)(**given))
    frames = {"max_length": front.rows(round(clip * front.sampling_rate))}
    return frames | {name: given[name] for name in SHARED if name in given} | architecture


def _arguments(extractor: type[Any]) -> list[str]:
    return [name for name in inspect.signature(extractor.__init__).parameters if name not in ("self", "kwargs")]
