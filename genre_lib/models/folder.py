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

from torch import nn
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    PreTrainedModel,
    SequenceFeatureExtractor,
)
from transformers.utils import logging as hf_logging

import genre_lib.models  # noqa: F401  (the CNN becomes known to the Auto classes)
from genre_lib.files import replace_folder
from genre_lib.models.cnn import GenreCNNForAudioClassification
from genre_lib.networks.files import CONFIG, WEIGHTS, as_model_invalid, require_files
from genre_lib.networks.folder import (
    InferenceSettings,
    LoadedModel,
    inference_settings,
    require_labels,
    resolve_device,
    weights_digest,
)

__all__ = ["GenreModel", "InferenceSettings", "load", "save"]


@dataclass
class GenreModel(LoadedModel):
    """A model that can be trained and saved, too."""

    network: PreTrainedModel
    extractor: SequenceFeatureExtractor


def load(folder: Path | str, device: str = "cpu") -> GenreModel:
    """Read a model folder, ready to predict, to be trained and to be saved.

    Raises:
        ModelNotFound: there is no such folder.
        ModelInvalid: a file is missing, or cannot be read as an audio classifier.
    """
    folder = Path(folder)
    require_files(folder)
    with as_model_invalid(folder):
        network, extractor = _read(folder)
        require_labels(network.config)
        inference = inference_settings(network.config)
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


def _read(folder: Path) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    with _QuietTransformers():
        network, report = AutoModelForAudioClassification.from_pretrained(
            folder, use_safetensors=True, output_loading_info=True, **options
        )
        extractor = AutoFeatureExtractor.from_pretrained(folder, **options)
    if report["missing_keys"]:
        raise ValueError(f"the weights lack {', '.join(sorted(report['missing_keys'])[:3])}")
    if report["unexpected_keys"] and isinstance(network, GenreCNNForAudioClassification):
        strange = ", ".join(sorted(report["unexpected_keys"])[:3])
        raise ValueError(f"the weights hold {strange}, which the network does not have")
    return network, extractor


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
