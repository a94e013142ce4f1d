"""A model's folder as transformers reads and writes it: for training, and for networks of other makers.

What such a folder holds is told in :mod:`genre_lib.networks.folder`; for prediction alone the CNN is read without
transformers, by :mod:`genre_lib.networks.reading`.
"""

from __future__ import annotations

import shutil
import uuid
from dataclasses import asdict, dataclass
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

import genre_lib.models  # noqa: F401  (the CNN becomes known to the Auto classes)
from genre_lib.errors import ModelInvalid
from genre_lib.files import replace_folder
from genre_lib.models.cnn import GenreCNNForAudioClassification
from genre_lib.models.musicgen import from_musicgen
from genre_lib.models.quiet import QuietTransformers
from genre_lib.networks.files import (
    CONFIG,
    GENERATORS,
    MODEL_TYPES,
    WEIGHTS,
    as_model_invalid,
    read_json,
    require_files,
)
from genre_lib.networks.folder import (
    InferenceSettings,
    LoadedModel,
    inference_settings,
    require_labels,
    resolve_device,
    weights_digest,
)

__all__ = ["GenreModel", "InferenceSettings", "load", "load_base", "save"]

ONLY_FOR_TRAINING = ("masked_spec_embed",)
"""Weights that stand for what SpecAugment blanks, and that some published encoders come without."""


@dataclass
class GenreModel(LoadedModel):
    """A model that can be trained and saved, too."""

    network: PreTrainedModel
    extractor: SequenceFeatureExtractor


def load(folder: Path | str, device: str = "cpu") -> GenreModel:
    """Read a model folder, ready to predict, to be trained and to be saved.

    Raises:
        ModelNotFound: there is no such folder.
        ModelInvalid: a file is missing, or cannot be read as an audio classifier; or it is an encoder without genres.
    """
    folder = Path(folder)
    model, headless = (None, True) if _generates(folder) else _loaded(folder, device)
    if model is None or headless:
        raise ModelInvalid(
            f"{folder.resolve().name} is an encoder without genres; fine-tune it first: "
            f"genre finetune --base-model {folder} --data-path MUSIC."
        )
    return model


def load_base(folder: Path | str, device: str = "cpu") -> GenreModel:
    """Read a model folder to fine-tune it: a classifier as it is, and an encoder without genres with a fresh head.

    Such a head tells the two labels that transformers makes up, until :func:`genre_lib.models.head.with_genres` gives
    it genres. What makes music, as MusicGen does, is read as what hears it: :mod:`genre_lib.models.musicgen`. The head
    of HuBERT and wav2vec 2.0 weighs all layers (Yang et al., SUPERB, 2021, arXiv:2105.01051), since it
    is not the last that knows most about music.

    Raises:
        ModelNotFound, ModelInvalid: as for :func:`load`.
    """
    folder = Path(folder)
    if _generates(folder):
        return _listener(folder, device)
    model, headless = _loaded(folder, device)
    if headless:
        _weigh_layers(model.network)
    return model


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


def _loaded(folder: Path, device: str) -> tuple[GenreModel, bool]:
    """The model, and whether its head is not the folder's but random."""
    require_files(folder)
    with as_model_invalid(folder):
        network, extractor, headless = _read(folder)
        require_labels(network.config)
        inference = inference_settings(network.config)
    nn.Module.to(network, resolve_device(device)).eval()
    model = GenreModel(network, extractor, inference, folder, folder.resolve().name, weights_digest(folder))
    return model, headless


def _generates(folder: Path) -> bool:
    require_files(folder)
    with as_model_invalid(folder):
        return read_json(folder / CONFIG).get("model_type") in GENERATORS


def _listener(folder: Path, device: str) -> GenreModel:
    with as_model_invalid(folder), QuietTransformers():
        network, extractor = from_musicgen(folder)
        inference = inference_settings(network.config)
    nn.Module.to(network, resolve_device(device)).eval()
    return GenreModel(network, extractor, inference, folder, folder.resolve().name, weights_digest(folder))


def _read(folder: Path) -> tuple[PreTrainedModel, SequenceFeatureExtractor, bool]:
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    with QuietTransformers():
        network, report = AutoModelForAudioClassification.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, **options
        )
        extractor = AutoFeatureExtractor.from_pretrained(folder, **options)
    lacking = {name for name in report["missing_keys"] if not name.endswith(ONLY_FOR_TRAINING)}
    headless = lacking == _head_names(network) and network.config.model_type not in MODEL_TYPES
    if lacking and not headless:
        raise ValueError(f"the weights lack {', '.join(sorted(lacking)[:3])}")
    if report["unexpected_keys"] and isinstance(network, GenreCNNForAudioClassification):
        strange = ", ".join(sorted(report["unexpected_keys"])[:3])
        raise ValueError(f"the weights hold {strange}, which the network does not have")
    return network, extractor, headless


def _head_names(network: PreTrainedModel) -> set[str]:
    """Names of the weights outside the encoder."""
    return {name for name in network.state_dict() if not name.startswith(f"{network.base_model_prefix}.")}


def _weigh_layers(network: PreTrainedModel) -> None:
    """Let the head weigh the encoder's layers, where its class knows how to; all alike at first, as it does."""
    config: Any = network.config
    if getattr(config, "use_weighted_layer_sum", None) is not False:
        return
    config.use_weighted_layer_sum = True
    layers = config.num_hidden_layers + 1  # what goes into the first is one too
    network.layer_weights = nn.Parameter(torch.full((layers,), 1 / layers, device=network.device, dtype=network.dtype))


def _write(model: GenreModel, folder: Path) -> None:
    known = {name: value for name, value in asdict(model.inference).items() if value is not None}
    model.network.config.inference = known
    with QuietTransformers():
        model.network.save_pretrained(folder)
        model.extractor.save_pretrained(folder)
    # safetensors writes for the owner alone; the service may run as another user.
    (folder / WEIGHTS).chmod((folder / CONFIG).stat().st_mode)
