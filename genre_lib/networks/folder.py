"""A model as a folder: weights as safetensors, configuration, feature extractor, and how to cut and pool.

What the folder of a transformers model holds, and in ``config.json`` under ``inference`` the lengths and the
temperature of :class:`InferenceSettings`. Nothing in it is executed: neither pickles nor code.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from genre_lib.errors import ConfigurationError
from genre_lib.networks.files import CONFIG, GENRE_CNN, PREPROCESSOR

DEFAULT_CLIP_SECONDS = {GENRE_CNN: 3.0, "audio-spectrogram-transformer": 10.0}
"""Clip length by model type, for folders that do not say; 10 s for the types not named."""


@dataclass(frozen=True)
class InferenceSettings:
    """How a track becomes clips, and logits become probabilities.

    Args:
        clip_seconds: length of a clip.
        hop_seconds: from the start of a clip to the next one's.
        temperature: divides the logits (Guo et al. 2017, arXiv:1706.04599).
        calibrated_on: tracks that the temperature was fitted on; None where that is not known, or it was not fitted.
    """

    clip_seconds: float
    hop_seconds: float
    temperature: float = 1.0
    calibrated_on: int | None = None


@dataclass
class LoadedModel:
    """A network with all that is needed to predict with it.

    Args:
        network: takes the extractor's features of clips, and gives an output with ``logits`` [clips, genres].
        extractor: makes features of waveforms: a :class:`LogMel`, or a feature extractor of transformers.
    """

    network: torch.nn.Module
    extractor: Any
    inference: InferenceSettings
    folder: Path | None = None
    name: str = ""
    version: str = ""

    @property
    def genres(self) -> list[str]:
        """Genres in the order of the logits."""
        config: Any = self.network.config
        labels: dict[int, str] = dict(config.id2label or {})
        return [labels[index] for index in range(len(labels))]

    @property
    def sample_rate(self) -> int:
        """Samples a second that the feature extractor wants."""
        return int(self.extractor.sampling_rate)


def inference_settings(config: Any) -> InferenceSettings:
    """The lengths and the temperature that a configuration holds, or the defaults of its model type.

    Raises:
        ValueError: one of them is not above zero.
    """
    stored = getattr(config, "inference", None) or {}
    clip = float(stored.get("clip_seconds", DEFAULT_CLIP_SECONDS.get(config.model_type, 10.0)))
    hop = float(stored.get("hop_seconds", clip))
    tracks = stored.get("calibrated_on")
    settings = InferenceSettings(
        clip, hop, float(stored.get("temperature", 1.0)), None if tracks is None else int(tracks)
    )
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is not None and not value > 0:
            raise ValueError(f"inference.{field.name} in {CONFIG} must be positive, and is {value}")
    return settings


def require_labels(config: Any) -> None:
    """Refuse labels that do not name the logits.

    Raises:
        ValueError: ``id2label`` has gaps, or holds what is no name.
    """
    labels: dict[int, str] = config.id2label or {}
    if sorted(labels) != list(range(len(labels))) or not all(isinstance(label, str) for label in labels.values()):
        raise ValueError(f"id2label in {CONFIG} must give a name to each of 0, 1, 2 and so on, and is {labels!r}")


def in_fast_layout(network: Any) -> Any:
    """The network with its weights in the order that it names as ``memory_format``; as they are where it names none."""
    return network.to(memory_format=getattr(network, "memory_format", torch.preserve_format))


def resolve_device(name: str) -> str:
    """``"auto"`` becomes ``"cuda"`` where there is a GPU and ``"cpu"`` elsewhere.

    Raises:
        ConfigurationError: torch knows no device of that name here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigurationError(f"Expected auto, cpu, cuda or cuda:N as the device, and got {name!r}.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(f"The device {name!r} was asked for and is not there; choose auto or cpu.")
    return name


def weights_digest(folder: Path) -> str:
    """Twelve hexadecimal digits of the SHA-256 of the weights and of how they are used."""
    digest = hashlib.sha256()
    for name in (*sorted(file.name for file in folder.glob("*.safetensors")), CONFIG, PREPROCESSOR):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:12]
