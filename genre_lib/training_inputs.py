"""What training begins with: a catalogue whose genres and splits can be learnt, and the clips of its tracks."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from genre_lib import audio
from genre_lib.cache import ArrayCache
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_folder import CatalogueWarning
from genre_lib.data.check import check
from genre_lib.data.datamodule import FeatureRows, GenreDataModule, Store
from genre_lib.data.embeddings import EmbeddingStore
from genre_lib.data.features import FeatureStore, Prepared
from genre_lib.data.generated import rows_of
from genre_lib.data.opening import open_catalogue
from genre_lib.data.soundless import SoundlessStore
from genre_lib.errors import CatalogueInvalid, ConfigurationError, ModelExists
from genre_lib.files import can_be_made
from genre_lib.models.embedding import embed
from genre_lib.models.folder import GenreModel
from genre_lib.models.track_logits import CLIPS_AT_ONCE
from genre_lib.networks.folder import in_fast_layout
from genre_lib.networks.front_ends import Filterbank, front_end_of
from genre_lib.runs import Run
from genre_lib.settings import get_settings
from genre_lib.training_config import TrainingConfig
from genre_lib.training_hardware import device_of, precision_of
from genre_lib.wording import counted

Subclasses = list[tuple[str, str]] | None
"""Pairs of source and genre that the head learns apart; None where it learns genres."""


def data_path(config: TrainingConfig) -> Any:
    return config.data_path if config.data_path is not None else get_settings().fine_tune_data_path


def opened(config: TrainingConfig) -> Catalogue:
    """The catalogue to train on, with splits."""
    return open_catalogue(data_path(config), seed=config.seed, sound=not config.without_sound)


def check_output(config: TrainingConfig) -> None:
    """Refuse a place that cannot be filled before hours are spent, not after."""
    place = Path(config.output_path) if config.output_path else None
    if place is None:
        return
    if not can_be_made(place):
        raise ConfigurationError(f"output_path {place}: no folder can be made there; choose another place.")
    if not place.exists():
        return
    if not place.is_dir() or (any(place.iterdir()) and not (place / "config.json").is_file()):
        raise ModelExists(f"output_path {place} is there already and is no model folder; choose another place.")
    if (place / "config.json").is_file() and not config.overwrite:
        raise ModelExists(f"There is a model at output_path {place} already; choose another, or set overwrite.")


def check_tracks(catalogue: Catalogue, config: TrainingConfig) -> list[str]:
    """Genres of the train tracks, sorted, once splits and genres are such that they can be learnt."""
    genres = catalogue.split("train").genres
    if len(genres) < 2:
        raise CatalogueInvalid(
            f"Training needs tracks of two genres or more in the train split; got {', '.join(genres)}."
        )
    if config.evaluation_strategy == "no":
        return genres
    if "valid" not in catalogue.splits:
        raise ConfigurationError(
            "The catalogue has no tracks in the split 'valid'. Add some, or set evaluation_strategy to 'no', and the "
            "last epoch's weights are kept."
        )
    unknown = sorted(set(catalogue.split("valid").genres) - set(genres))
    if unknown:
        raise CatalogueInvalid(f"These genres have valid tracks and no train tracks: {', '.join(unknown)}.")
    return genres


def subclasses_of(catalogue: Catalogue, config: TrainingConfig) -> Subclasses:
    """The pairs of source and genre among the train tracks, where they are to be learnt apart."""
    train = catalogue.split("train").tracks
    unknown = set(config.source_shares or ()) ^ set(train["source"].astype(str)) if config.source_shares else set()
    if unknown:
        raise ConfigurationError(
            f"source_shares must name the sources of the train tracks, {', '.join(sorted(set(train['source'])))}; "
            f"it names {', '.join(config.source_shares or ())}."
        )
    if config.subclasses == "none":
        return None
    return sorted(set(zip(train["source"].astype(str), train["genre"], strict=True)))


def check_catalogue(catalogue: Catalogue, config: TrainingConfig, run: Run) -> None:
    """Say what is wrong with the catalogue, and where that was asked, listen to all of it and refuse any error.

    Where it was not, nothing is decoded: what was heard when splits were drawn is remembered.
    """
    told = run.telling("tracks_checked")
    report = check(catalogue, decode=config.strict, sound=not config.without_sound, progress=told)
    kinds = pd.Series([finding.kind for finding in report.findings], dtype=str).value_counts().to_dict()
    counts = {name: len(catalogue.split(name)) for name in catalogue.splits}
    if config.strict:
        report.raise_if_errors()
    places = data_path(config)
    named = [shlex.quote(str(place)) for place in ([places] if isinstance(places, str | Path) else places)]
    said, see = report.told(), f"All of them: genre catalogue check {' or '.join(named)}"
    run.event(
        "catalogue_checked", ok=report.ok, findings=kinds, tracks=counts, genres=catalogue.genres, said=said, see=see
    )
    if said:
        warnings.warn(f"{said} {see}", CatalogueWarning, stacklevel=3)


def clips_of(
    config: TrainingConfig,
    catalogue: Catalogue,
    model: GenreModel,
    run: Run,
    subclasses: Subclasses,
    features: FeatureRows | None = None,
) -> tuple[Prepared, GenreDataModule]:
    """Features of all tracks, computed where the cache has none, and clips from them."""
    train, valid = _tracks(catalogue, "train"), _tracks(catalogue, "valid")
    if by_data(config, model):
        _normalise(config, model, list(train["path"]), run)
    store: Store = SoundlessStore() if config.without_sound else store_of(config, model)
    paths = [*train["path"], *valid["path"]]
    tell = run.telling("tracks_loaded")
    whole = paths if config.solver == "lbfgs" else list(valid["path"])
    prepared = store.prepare(paths, progress=lambda done: tell(done, len(paths)), heard_whole=whole)
    run.event("features_ready", computed=prepared.computed, kept=prepared.kept, seconds=prepared.seconds)
    train, valid = (_without(tracks, prepared, run) for tracks in (train, valid))
    if train["genre"].nunique() < len(model.genres):
        raise CatalogueInvalid("No train track of some genres can be decoded; see the events of the run for the files.")
    data = GenreDataModule(
        train,
        valid if config.evaluation_strategy != "no" else valid.iloc[:0],
        model.genres,
        store,
        batch_size=config.batch_size,
        max_clips_per_track=config.max_clips_per_track,
        clips_per_epoch=config.clips_per_epoch,
        class_balance=config.class_balance,
        source_shares=config.source_shares,
        subclasses=subclasses,
        features=features,
        margin=config.augmentation.time_stretch,
        seed=config.seed,
        num_workers=config.num_workers,
    )
    return prepared, data


def by_data(config: TrainingConfig, model: GenreModel) -> bool:
    """Whether the extractor's mean and deviation are to be those of the train tracks.

    Raises:
        ConfigurationError: that was asked for, and it has none.
    """
    has_any = isinstance(front_end_of(model.extractor), Filterbank)
    if config.normalize == "data" and not has_any:
        raise ConfigurationError(
            f"normalize='data' is for AST's filterbank, and {type(model.extractor).__name__} makes none; leave it out."
        )
    unsaid = config.normalize is None and not {"mean", "std"} & set(config.feature_extractor)
    return has_any and (config.normalize == "data" or (unsaid and config.init == "scratch"))


def _normalise(config: TrainingConfig, model: GenreModel, paths: list[str], run: Run) -> None:
    """Give the model's extractor the mean and the deviation of the tracks' filterbanks, as AST's authors did."""
    extractor: Any = model.extractor
    store, tell = _features_of(config, model), run.telling("tracks_loaded")
    failed = store.prepare(paths, progress=lambda done: tell(done, len(paths))).failed
    heard = [path for path in paths if path not in failed]
    if heard:
        extractor.mean, extractor.std, extractor.do_normalize = *store.moments(heard), True
        run.event("normalisation_measured", mean=extractor.mean, std=extractor.std, tracks=len(heard))


def store_of(config: TrainingConfig, model: GenreModel) -> FeatureStore:
    """Where the clips of the model's length come from; for ``method='head'`` these are what its encoder hears."""
    store = _features_of(config, model)
    if config.method != "head":
        return store
    precision = precision_of(config)
    hear = encoder_of(model, device_of(config), precision)
    return EmbeddingStore(store, hear, f"{model.version} {precision}")


def _features_of(config: TrainingConfig, model: GenreModel) -> FeatureStore:
    settings = get_settings()
    cache = ArrayCache(
        Path(config.cache_path or settings.cache_path) / "features",
        settings.cache_max_bytes if config.cache_max_bytes is None else config.cache_max_bytes,
    )
    limits = audio.Limits(settings.max_audio_bytes, settings.max_audio_seconds)
    return FeatureStore(model.extractor, cache, model.inference.clip_seconds, model.inference.hop_seconds, limits)


def encoder_of(model: GenreModel, device: str, precision: str) -> Callable[[np.ndarray], np.ndarray]:
    """What makes embeddings [clips, ...] of features of clips [clips, ...], all float32."""

    @torch.inference_mode()
    def hear(clips: np.ndarray) -> np.ndarray:
        network = in_fast_layout(model.network).to(device).eval()
        found = []
        for part in torch.from_numpy(clips).split(CLIPS_AT_ONCE):
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16-mixed"):
                found.append(embed(network, {network.main_input_name: part.to(device)}).float().cpu())
        return torch.cat(found).numpy()

    return hear


def _tracks(catalogue: Catalogue, split: str) -> pd.DataFrame:
    return rows_of(catalogue.tracks, split)


def _without(tracks: pd.DataFrame, prepared: Prepared, run: Run) -> pd.DataFrame:
    """The tracks that could be decoded; the others are named."""
    failed = tracks["path"].isin(list(prepared.failed))
    if failed.any():
        faults = {path: prepared.failed[path] for path in tracks["path"][failed]}
        run.event("tracks_skipped", tracks=faults)
        first = next(iter(faults.values()))
        told = counted(len(faults), "track")
        warnings.warn(f"{told} cannot be decoded and left out; the first: {first}", stacklevel=3)
    return tracks[~failed]
