"""A model as a folder: weights as safetensors, configuration, feature extractor, and how to cut and pool.

What the folder of a transformers model holds, and in ``config.json`` under ``inference`` the lengths and the
temperature of :class:`InferenceSettings`. Nothing in it is executed: neither pickles nor code.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    PreTrainedModel,
    SequenceFeatureExtractor,
)
from transformers.utils import logging as hf_logging

import genre_lib.models  # noqa: F401  (the CNN becomes known to the Auto classes)
from genre_lib.errors import ConfigurationError, ModelInvalid, ModelNotFound, first_line
from genre_lib.files import replace_folder

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"

DEFAULT_CLIP_SECONDS = {"genre_cnn": 3.0, "audio-spectrogram-transformer": 10.0}
"""Clip length by model type, for folders that do not say; 10 s for the types not named."""


@dataclass(frozen=True)
class InferenceSettings:
    """How a track becomes clips, and logits become probabilities.

    Args:
        clip_seconds: length of a clip.
        hop_seconds: from the start of a clip to the next one's.
        temperature: divides the logits (Guo et al. 2017, arXiv:1706.04599).
    """

    clip_seconds: float
    hop_seconds: float
    temperature: float = 1.0


@dataclass
class GenreModel:
    """A network with all that is needed to predict with it."""

    network: PreTrainedModel
    extractor: SequenceFeatureExtractor
    inference: InferenceSettings
    folder: Path | None = None
    name: str = ""
    version: str = ""

    @property
    def genres(self) -> list[str]:
        """Genres in the order of the logits."""
        labels: dict[int, str] = dict(self.network.config.id2label or {})  # type: ignore[assignment]
        return [labels[index] for index in range(len(labels))]

    @property
    def sample_rate(self) -> int:
        """Samples a second that the feature extractor wants."""
        return int(self.extractor.sampling_rate)


def load(folder: Path | str, device: str = "cpu") -> GenreModel:
    """Read a model folder, ready to predict.

    Raises:
        ModelNotFound: there is no such folder.
        ModelInvalid: a file is missing, or cannot be read as an audio classifier.
    """
    folder = Path(folder)
    _require_files(folder)
    try:
        network, extractor = _read(folder)
        inference = _inference_settings(network.config)
    except Exception as error:  # what transformers, safetensors and json raise has no common root
        raise ModelInvalid(
            f"Expected an audio classifier in {folder}, and it could not be read: "
            f"{first_line(str(error) or type(error).__name__)}. Copy or train the model anew."
        ) from error
    nn.Module.to(network, resolve_device(device)).eval()
    return GenreModel(network, extractor, inference, folder, folder.resolve().name, weights_digest(folder))


def save(model: GenreModel, folder: Path | str) -> GenreModel:
    """Write the model whole: aside first, then into place, so that a reader never meets half of it.

    A model folder that stands at the place already is replaced.

    Returns:
        The model as it now lies in ``folder``, with its name and version.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        _write(model, aside)
        replace_folder(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return GenreModel(
        model.network, model.extractor, model.inference, folder, folder.resolve().name, weights_digest(folder)
    )


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


def _require_files(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelNotFound(f"Expected a model folder at {folder}, and there is none. `genre models list` shows them.")
    missing = [name for name in (CONFIG, PREPROCESSOR) if not (folder / name).is_file()]
    if not any(folder.glob("*.safetensors")):
        missing.append(WEIGHTS)
    if missing:
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.ckpt"))
        hint = " Pickled weights are never loaded; save them with safe_serialization." if pickled else ""
        raise ModelInvalid(
            f"Expected {CONFIG}, {PREPROCESSOR} and {WEIGHTS} in {folder}; missing: {', '.join(missing)}.{hint}"
        )


def _read(folder: Path) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    with _QuietTransformers():
        network, report = AutoModelForAudioClassification.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, **options
        )
        extractor = AutoFeatureExtractor.from_pretrained(folder, **options)
    if report["missing_keys"]:
        raise ValueError(f"the weights lack {', '.join(sorted(report['missing_keys'])[:3])}")
    return network, extractor


def _inference_settings(config: Any) -> InferenceSettings:
    stored = getattr(config, "inference", None) or {}
    clip = float(stored.get("clip_seconds", DEFAULT_CLIP_SECONDS.get(config.model_type, 10.0)))
    hop = float(stored.get("hop_seconds", clip))
    settings = InferenceSettings(clip, hop, float(stored.get("temperature", 1.0)))
    for field in fields(settings):
        value = getattr(settings, field.name)
        if not value > 0:
            raise ValueError(f"inference.{field.name} in {CONFIG} must be positive, and is {value}")
    return settings


def _write(model: GenreModel, folder: Path) -> None:
    model.network.config.inference = asdict(model.inference)
    with _QuietTransformers():
        model.network.save_pretrained(folder)
        model.extractor.save_pretrained(folder)
    # safetensors writes for the owner alone; the service may run as another user.
    (folder / WEIGHTS).chmod((folder / CONFIG).stat().st_mode)


class _QuietTransformers:
    """Keep transformers' progress bars and notices off the terminal while a folder is read or written."""

    def __enter__(self) -> None:
        self.verbosity, self.bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
        hf_logging.set_verbosity_error()
        hf_logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        hf_logging.set_verbosity(self.verbosity)
        if self.bars:
            hf_logging.enable_progress_bar()
