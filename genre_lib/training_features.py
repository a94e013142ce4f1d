"""The features of whole tracks that training learns from beside the sound, and the network that takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genre_lib.audio import Limits
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.features import given_features
from genre_lib.described_files import analyze_files
from genre_lib.errors import ConfigurationError
from genre_lib.models.folder import GenreModel
from genre_lib.models.fusion import with_features
from genre_lib.networks.fusion import CATALOGUE, DESCRIPTORS
from genre_lib.networks.fusion_features import FEATURES, bin_edges, feature_row
from genre_lib.runs import Run
from genre_lib.settings import get_settings
from genre_lib.training_config import TrainingConfig
from genre_lib.training_scratch import check_names

NETWORK = ("width", "depth", "members", "dropout", "one_dropout")
"""What may be said of the network over the features."""


def features_beside(
    config: TrainingConfig, catalogue: Catalogue, model: GenreModel, run: Run
) -> dict[str, np.ndarray] | None:
    """Features of the train and valid tracks by path, and into the model a network that takes them; None for neither.

    Raises:
        ConfigurationError: the catalogue has no such column, or the model's network can have nothing beside it.
    """
    tracks = catalogue.tracks[catalogue.tracks["split"].isin(["train", "valid"])]
    source = source_of(config, tracks, model)
    if source is None:
        return None
    rows = described(tracks, config, run) if source == DESCRIPTORS else in_catalogue(tracks)
    train = np.array([rows[path] for path in tracks["path"][tracks["split"] == "train"]])
    check_names("feature_network", config.feature_network, list(NETWORK))
    shape: dict[str, Any] = {"audio": None} if config.audio_dropout == 1 else {}
    model.network = with_features(model.network, source, bin_edges(train), **shape | config.feature_network)
    model.network.config.audio_dropout = config.audio_dropout
    model.network.config.features_dropout = config.features_dropout
    known = np.isfinite(train).mean(0)
    run.event("features_known", source=source, shares=dict(zip(FEATURES, known.round(4).tolist(), strict=True)))
    return rows


def source_of(config: TrainingConfig, tracks: pd.DataFrame, model: GenreModel) -> str | None:
    """Whence the features are to come; None where the sound is all."""
    if config.features is None:
        return getattr(model.network.config, "features_source", None)
    if config.features == "auto":
        known = [np.isfinite(feature_row(values)).any() for values in given_features(tracks).values()]
        return CATALOGUE if any(known) else DESCRIPTORS
    return None if config.features == "none" else config.features


def in_catalogue(tracks: pd.DataFrame) -> dict[str, np.ndarray]:
    """Features that the catalogue's columns hold."""
    rows = {path: feature_row(values) for path, values in given_features(tracks).items()}
    if not any(np.isfinite(row).any() for row in rows.values()):
        raise ConfigurationError(
            f"features='catalogue' needs columns such as {', '.join(FEATURES[:3])} with numbers in them, and the "
            f"catalogue has none. Set features to descriptors, which are computed of the sound."
        )
    return rows


def described(tracks: pd.DataFrame, config: TrainingConfig, run: Run) -> dict[str, np.ndarray]:
    """Descriptors of every track's sound, remembered by its content; nothing is known of one that cannot be decoded."""
    settings = get_settings()
    if config.cache_path:
        settings = settings.model_copy(update={"cache_path": Path(config.cache_path)})
    limits = Limits(settings.max_audio_bytes, settings.max_audio_seconds)
    paths, rows = tracks["path"].tolist(), {}
    tell = run.telling("tracks_described")
    for found in analyze_files(paths, settings=settings, limits=limits):
        values: dict[str, Any] = found.features.to_json() if found.features else {}
        rows[found.path] = feature_row(values)
        tell(len(rows), len(paths))
    return rows
