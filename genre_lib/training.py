"""From a configuration to a trained model folder: one function, :func:`fit`, that returns its results."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, EarlyStopping, TQDMProgressBar
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from genre_lib import audio, metrics, registry
from genre_lib.augmentation import Augmentation
from genre_lib.cache import ArrayCache
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.check import check
from genre_lib.data.datamodule import GenreDataModule, WholeTracks
from genre_lib.data.features import FeatureStore, Prepared
from genre_lib.data.opening import open_catalogue
from genre_lib.errors import (
    CatalogueInvalid,
    ConfigurationError,
    GenreLibError,
    ModelExists,
    RunFailed,
    RunStopped,
    first_line,
)
from genre_lib.models import folder
from genre_lib.models.augment import LogMelAugment
from genre_lib.models.classifier import GenreClassifier, Recipe, inverse_frequency, track_logits, track_scores
from genre_lib.models.cnn import GenreCNNConfig, GenreCNNForAudioClassification
from genre_lib.models.folder import GenreModel, InferenceSettings
from genre_lib.models.head import with_genres
from genre_lib.models.logmel import LogMelFeatureExtractor
from genre_lib.runs import Run
from genre_lib.settings import get_settings
from genre_lib.training_callbacks import (
    EpochCheckpoints,
    EventWriter,
    FiniteLoss,
    MovingAverage,
    best_checkpoint,
    last_checkpoint,
)
from genre_lib.training_config import TrainingConfig, load_experiment, nearest

__all__ = ["FitResult", "TrainingConfig", "fit", "load_experiment"]

SCRATCH_CLIP_SECONDS = 3.0

Subclasses = list[tuple[str, str]] | None
"""Pairs of source and genre that the head learns apart; None where it learns genres."""


@dataclass(frozen=True)
class FitResult:
    """What training left behind.

    Args:
        run: the run's folder.
        model_folder: the trained model: ``output_path`` where one was given, else the run's ``model/``.
        best_epoch: epoch whose weights were kept; epochs count from one.
        metrics: ``valid_loss``, ``valid_accuracy`` and ``valid_macro_f1`` of the kept weights; empty without any.
        history: a row for each epoch, the fields of ``epoch_ended``.
        seconds: from call to return.
    """

    run: Run
    model_folder: Path
    best_epoch: int
    metrics: dict[str, float]
    history: pd.DataFrame
    seconds: float


def fit(config: TrainingConfig | dict[str, Any], catalogue: Catalogue | None = None) -> FitResult:
    """Train a network on a catalogue's train tracks, keep the weights that do best on its valid tracks, and save them.

    Args:
        config: what to do; a mapping is checked as :class:`TrainingConfig`.
        catalogue: tracks with splits; None to open ``config.data_path``.

    Raises:
        ConfigurationError, CatalogueError, ModelError: what was asked cannot be done; nothing was trained.
        RunFailed: training broke off.
        RunStopped: it was interrupted; ``resume`` goes on after the last whole epoch.
    """
    began = time.perf_counter()
    config = config if isinstance(config, TrainingConfig) else TrainingConfig(**config)
    finished = _finished(config)
    if finished is not None:
        return finished
    with _quiet():
        seed_everything(config.seed, verbose=False)
        _check_output(config)
        tracks = catalogue if catalogue is not None else open_catalogue(_data_path(config), seed=config.seed)
        genres = _check_tracks(tracks, config)
        subclasses = _subclasses(tracks, config)
        model, copied = _build(config, genres, subclasses)
        run = _open_run(config)
        with _recorded(run):
            run.begin(genres=genres, copied_genres=copied, resumed=config.resume)
            _check_catalogue(tracks, config, run)
            prepared, data = _data(config, tracks, model, run, subclasses)
            checkpoints = _train(config, model, data, run, prepared)
            return _finish(config, model, data, run, checkpoints, began)


# ---- before the training


def _finished(config: TrainingConfig) -> FitResult | None:
    """The result of a run that is to be resumed and is complete already."""
    result = Run(config.run_path).result() if config.resume and config.run_path else None
    if not result or result.get("num_epochs", 0) < config.num_epochs:
        return None
    run = Run(str(config.run_path))
    return FitResult(
        run, Path(result["model_folder"]), result["best_epoch"], result["metrics"], run.history(), result["seconds"]
    )


def _data_path(config: TrainingConfig) -> Any:
    return config.data_path if config.data_path is not None else get_settings().fine_tune_data_path


def _check_output(config: TrainingConfig) -> None:
    """Refuse a place that cannot be filled before hours are spent, not after."""
    place = Path(config.output_path) if config.output_path else None
    if place is None or not place.exists():
        return
    if not place.is_dir() or (any(place.iterdir()) and not (place / "config.json").is_file()):
        raise ModelExists(f"output_path {place} is there already and is no model folder; choose another place.")
    if (place / "config.json").is_file() and not config.overwrite:
        raise ModelExists(f"There is a model at output_path {place} already; choose another, or set overwrite.")


def _check_tracks(catalogue: Catalogue, config: TrainingConfig) -> list[str]:
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


def _build(config: TrainingConfig, genres: list[str], subclasses: Subclasses) -> tuple[GenreModel, list[str]]:
    """The network to train, with a head for the genres, and the genres whose head rows came with it."""
    if config.init == "scratch":
        return _from_scratch(config, genres, subclasses), []
    settings = get_settings()
    source = registry.resolve(config.base_model, settings) if config.base_model else settings.model_path
    model = folder.load(source)
    copied = [] if model.genres == genres else with_genres(model.network, genres)
    model.network.config.base_model = model.name
    clip = config.clip_seconds or model.inference.clip_seconds
    hop = config.hop_seconds or (clip if config.clip_seconds else model.inference.hop_seconds)
    model.inference = InferenceSettings(clip, hop)
    return model, copied or [genre for genre in genres if genre in model.genres]


def _from_scratch(config: TrainingConfig, genres: list[str], subclasses: Subclasses) -> GenreModel:
    _check_names("architecture", config.architecture, [field.name for field in fields(GenreCNNConfig)])
    known = [name for name in inspect.signature(LogMelFeatureExtractor).parameters if name != "kwargs"]
    _check_names("feature_extractor", config.feature_extractor, known)
    try:
        extractor = LogMelFeatureExtractor(**config.feature_extractor)
        architecture = {"num_mel_bins": extractor.feature_size} | config.architecture
        if subclasses:
            architecture["subclass_genre"] = [genres.index(genre) for _, genre in subclasses]
        network = GenreCNNForAudioClassification(GenreCNNConfig.for_labels(genres, **architecture))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"architecture or feature_extractor cannot be built: {error}") from error
    clip = config.clip_seconds or SCRATCH_CLIP_SECONDS
    return GenreModel(network, extractor, InferenceSettings(clip, config.hop_seconds or clip))


def _subclasses(catalogue: Catalogue, config: TrainingConfig) -> Subclasses:
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


def _check_names(field: str, given: dict[str, Any], known: list[str]) -> None:
    for name in given:
        if name not in known:
            raise ConfigurationError(f"Unknown field {field}.{name}; {nearest(name, known)}")


def _open_run(config: TrainingConfig) -> Run:
    """The run's folder, new or given; other processes than the first get one that they only read."""
    if _rank() != 0:
        return _SilentRun(config.run_path or "unnamed-run")
    if config.run_path is None:
        name = config.name or (Path(config.output_path).name if config.output_path else "finetune")
        run = Run.create(get_settings().runs_path, name)
    else:
        run = Run(config.run_path)
        if run.events("run_started") and not config.resume:
            raise ConfigurationError(
                f"There is a run in {run.path} already; set resume to go on with it, or name another."
            )
        run.prepared()
    run.write_parameters(config.model_dump())
    return run


def _rank() -> int:
    """Which of the processes that train together this is; the first writes the files."""
    return getattr(rank_zero_only, "rank", 0)


class _SilentRun(Run):
    """The run as processes beside the first see it: nothing is written."""

    def event(self, kind: str, **fields: Any) -> None: ...

    def write_result(self, result: dict[str, Any]) -> None: ...


def _check_catalogue(catalogue: Catalogue, config: TrainingConfig, run: Run) -> None:
    """Say what is wrong with the catalogue, without decoding it, and refuse it where that was asked."""
    report = check(catalogue, decode=False)
    kinds = pd.Series([finding.kind for finding in report.findings], dtype=str).value_counts().to_dict()
    counts = {name: len(catalogue.split(name)) for name in catalogue.splits}
    run.event("catalogue_checked", ok=report.ok, findings=kinds, tracks=counts, genres=catalogue.genres)
    if config.strict:
        report.raise_if_errors()
    if not report.ok:
        worst = "; ".join(finding.message for finding in report.findings if finding.severity == "error")
        warnings.warn(f"The catalogue's check found: {worst[:500]}", stacklevel=3)


def _data(
    config: TrainingConfig, catalogue: Catalogue, model: GenreModel, run: Run, subclasses: Subclasses
) -> tuple[Prepared, GenreDataModule]:
    """Features of all tracks, computed where the cache has none, and clips from them."""
    settings = get_settings()
    cache = ArrayCache(
        Path(config.cache_path or settings.cache_path) / "features",
        settings.cache_max_bytes if config.cache_max_bytes is None else config.cache_max_bytes,
    )
    limits = audio.Limits(settings.max_audio_bytes, settings.max_audio_seconds)
    store = FeatureStore(model.extractor, cache, model.inference.clip_seconds, model.inference.hop_seconds, limits)
    train, valid = _tracks(catalogue, "train"), _tracks(catalogue, "valid")
    prepared = store.prepare([*train["path"], *valid["path"]])
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
        margin=config.augmentation.time_stretch,
        seed=config.seed,
        num_workers=config.num_workers,
    )
    return prepared, data


def _tracks(catalogue: Catalogue, split: str) -> pd.DataFrame:
    return catalogue.tracks[catalogue.tracks["split"] == split]


def _without(tracks: pd.DataFrame, prepared: Prepared, run: Run) -> pd.DataFrame:
    """The tracks that could be decoded; the others are named."""
    failed = tracks["path"].isin(list(prepared.failed))
    if failed.any():
        faults = {path: prepared.failed[path] for path in tracks["path"][failed]}
        run.event("tracks_skipped", tracks=faults)
        first = next(iter(faults.values()))
        warnings.warn(f"{len(faults)} tracks cannot be decoded and are left out; the first: {first}", stacklevel=3)
    return tracks[~failed]


# ---- the training


def _train(
    config: TrainingConfig, model: GenreModel, data: GenreDataModule, run: Run, prepared: Prepared
) -> EpochCheckpoints:
    weighs = config.class_balance == "loss"
    classes = len(data.subclasses or model.genres)
    weights = inverse_frequency(data.train.targets, classes) if weighs else None
    augment = _augment(config, model)
    module = GenreClassifier(
        _fast_layout(model), _recipe(config), augment, weights, data.class_shares(), data.subclasses
    )
    monitored = config.evaluation_strategy != "no" and config.keep != "last"
    checkpoints = EpochCheckpoints(run, config.monitor if monitored else None, config.mode)
    bar = config.progress if config.progress is not None else sys.stderr.isatty()
    callbacks = [EventWriter(run, prepared.seconds, speak=not bar), FiniteLoss(), checkpoints]
    trainer = Trainer(**_trainer_options(config, run, callbacks, bar))
    last = last_checkpoint(run)
    resume = str(last) if config.resume and last.is_file() else None
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True if resume else None)
    if isinstance(trainer.logger, WandbLogger):
        trainer.logger.experiment.finish()  # or the next run in this process would be logged as the same one
    return checkpoints


def _fast_layout(model: GenreModel) -> Any:
    is_cnn = isinstance(model.network, GenreCNNForAudioClassification)
    return model.network.to(memory_format=torch.channels_last) if is_cnn else model.network  # type: ignore[call-arg]


def _recipe(config: TrainingConfig) -> Recipe:
    shared = {field.name for field in fields(Recipe)} & set(TrainingConfig.model_fields)
    return Recipe(**{name: getattr(config, name) for name in shared}, freeze_backbone=config.freeze == "backbone")


def _augment(config: TrainingConfig, model: GenreModel) -> LogMelAugment | None:
    if config.augmentation == Augmentation():
        return None
    extractor = model.extractor
    if not isinstance(extractor, LogMelFeatureExtractor):
        raise ConfigurationError(
            f"augmentation changes the CNN's log-mels, and {type(extractor).__name__} makes none; use mixup instead."
        )
    frames = extractor.frames(model.inference.clip_seconds)
    return LogMelAugment(config.augmentation, frames, extractor.band_hz(), extractor.std)


def _trainer_options(config: TrainingConfig, run: Run, callbacks: list[Callback], bar: bool) -> dict[str, Any]:
    validates = config.evaluation_strategy != "no"
    by_steps = config.evaluation_strategy == "steps"
    if config.ema_decay:
        callbacks = [MovingAverage(config.ema_decay), *callbacks]
    if config.early_stopping_patience:
        callbacks = [
            *callbacks,
            EarlyStopping(config.monitor, mode=config.mode, patience=config.early_stopping_patience),
        ]
    return {
        "max_epochs": config.num_epochs,
        "accelerator": config.accelerator,
        "devices": config.devices,
        "num_nodes": config.num_nodes,
        "strategy": config.strategy,
        "precision": config.precision,
        "gradient_clip_val": config.gradient_clip,
        "callbacks": [*callbacks, TQDMProgressBar()] if bar else callbacks,
        "logger": _wandb_logger(config, run) if config.wandb and _rank() == 0 else False,
        "limit_val_batches": 1.0 if validates else 0,
        "val_check_interval": config.eval_steps if by_steps else 1.0,
        "check_val_every_n_epoch": None if by_steps else 1,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,  # EpochDraws shares the draws among processes itself
        "enable_model_summary": False,
        "enable_progress_bar": bar,
        "default_root_dir": run.path,
    }


def _wandb_logger(config: TrainingConfig, run: Run) -> WandbLogger:
    """Weights & Biases' logger, which imports wandb only here; without WANDB_MODE nothing leaves the machine."""
    mode = os.environ.get("WANDB_MODE", "offline")
    logger = WandbLogger(project="genre_lib", name=run.id, save_dir=run.path, offline=mode != "online")
    logger.log_hyperparams(config.model_dump())
    return logger


# ---- after the training


def _finish(
    config: TrainingConfig,
    model: GenreModel,
    data: GenreDataModule,
    run: Run,
    checkpoints: EpochCheckpoints,
    began: float,
) -> FitResult:
    """Save the kept weights with their temperature, put the model where it was wanted, and write the result last."""
    if _rank() != 0:
        place = Path(config.output_path) if config.output_path else run.model
        return FitResult(run, place, checkpoints.best_epoch, {}, run.history(), time.perf_counter() - began)
    _take_weights(model, run, checkpoints)
    scores = _calibrate(model, data) if len(data.valid) else {}
    place = Path(folder.save(model, run.model).folder or run.model)
    if config.output_path:
        place = registry.install(run.model, config.output_path, overwrite=config.overwrite)
    seconds = time.perf_counter() - began
    run.event("run_completed", best_epoch=checkpoints.best_epoch, model_folder=place, seconds=seconds, **scores)
    run.write_result(
        {
            "status": "completed",
            "run": str(run.path),
            "model_folder": str(place),
            "base_model": getattr(model.network.config, "base_model", None),
            "genres": model.genres,
            "tracks": {"train": len(data.train), "valid": len(data.valid)},
            "num_epochs": config.num_epochs,
            "best_epoch": checkpoints.best_epoch,
            "metrics": scores,
            "temperature": model.inference.temperature,
            "seconds": seconds,
        }
    )
    return FitResult(run, place, checkpoints.best_epoch, scores, run.history(), seconds)


def _take_weights(model: GenreModel, run: Run, checkpoints: EpochCheckpoints) -> None:
    """Give the network the weights of the checkpoint that was kept."""
    place = best_checkpoint(run) if checkpoints.monitor and best_checkpoint(run).is_file() else last_checkpoint(run)
    state = torch.load(place, map_location="cpu", weights_only=True)["state_dict"]
    network = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    model.network.load_state_dict(network)
    model.network.to(memory_format=torch.contiguous_format).float().eval()  # type: ignore[call-arg]


def _calibrate(model: GenreModel, data: GenreDataModule) -> dict[str, float]:
    """Fit the temperature on the valid tracks, and score them as they will be predicted."""
    tracks = WholeTracks(data.valid, data.store)
    logits, targets = track_logits(model.network, (tracks[row] for row in range(len(tracks))))
    temperature = metrics.fit_temperature(logits, targets)
    model.inference = InferenceSettings(model.inference.clip_seconds, model.inference.hop_seconds, temperature)
    return track_scores(logits, targets)


# ---- around the training


@contextmanager
def _recorded(run: Run) -> Iterator[None]:
    """Write how the run ended, and turn what broke it into one of the package's errors."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:
        _restore(handler)
        if not run.events("run_stopped"):
            run.event("run_stopped")
        raise RunStopped(f"The run in {run.path} was stopped; resume goes on after its last whole epoch.") from stop
    except GenreLibError as error:
        run.event("run_failed", code=error.code, error=str(error))
        raise
    except torch.OutOfMemoryError as error:
        run.event("run_failed", code="run_failed", error=str(error))
        raise RunFailed("The device has too little memory for this; lower batch_size or clip_seconds.") from error
    except Exception as error:
        sentence = f"Training broke off with {type(error).__name__}: {first_line(str(error))}"
        run.event("run_failed", code="run_failed", error=sentence)
        raise RunFailed(f"{sentence}. The run is in {run.path}.") from error


def _restore(handler: Callable | int | None) -> None:
    """Lightning ignores further interrupts while it shuts down, and would for ever."""
    try:
        signal.signal(signal.SIGINT, handler)
    except ValueError:  # not the main thread, where Lightning could not change it either
        return


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's tips, and its warnings of no concern here, off the terminal."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for message in (
            ".*does not have many workers.*",
            ".*checkpoint directory.*exists.*",
            ".*isinstance.treespec.*",
        ):
            warnings.filterwarnings("ignore", message=message)
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
