"""From a configuration to a trained model folder: one function, :func:`fit`, that returns its results."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from genre_lib.claim import claimed
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.datamodule import GenreDataModule
from genre_lib.data.embeddings import EmbeddingStore
from genre_lib.data.features import Prepared
from genre_lib.errors import GenreLibError, RunFailed, RunStopped, first_line
from genre_lib.imports import uncollected
from genre_lib.memory import keep_freed
from genre_lib.models.classifier import GenreClassifier, inverse_frequency
from genre_lib.models.folder import GenreModel
from genre_lib.networks.folder import in_fast_layout
from genre_lib.runs import Run
from genre_lib.training_callbacks import (
    EpochCheckpoints,
    EventWriter,
    FiniteLoss,
    MovingAverage,
    NoBetter,
    last_checkpoint,
)
from genre_lib.training_config import TrainingConfig, load_experiment
from genre_lib.training_costs import begin
from genre_lib.training_features import features_beside
from genre_lib.training_hardware import check_hardware, device_of, precision_of, strategy_of
from genre_lib.training_inputs import check_catalogue, check_output, check_tracks, clips_of, opened, subclasses_of
from genre_lib.training_network import augment_of, build, recipe_of
from genre_lib.training_outputs import FitResult, Kept, finish, finished, kept_checkpoint, save_kept
from genre_lib.training_probe import solve_head
from genre_lib.training_run import SilentRun, open_run, rank

with uncollected("lightning"):
    from lightning.pytorch import Trainer, seed_everything
    from lightning.pytorch.callbacks import Callback, TQDMProgressBar
    from lightning.pytorch.loggers import WandbLogger

__all__ = ["FitResult", "TrainingConfig", "fit", "load_experiment"]


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
    complete = finished(config)
    if complete is not None:
        return complete
    keep_freed()
    check_output(config)
    with _quiet(), _output_claimed(config):
        seed_everything(config.seed, verbose=False)
        tracks = catalogue if catalogue is not None else opened(config)
        genres = check_tracks(tracks, config)
        subclasses = subclasses_of(tracks, config)
        built = build(config, genres, subclasses)
        model = built.model
        check_hardware(config, model)
        run = open_run(config)
        with _recorded(run):
            run.begin(genres=genres, copied_genres=built.copied, resumed=config.resume)
            check_catalogue(tracks, config, run)
            features = features_beside(config, tracks, model, run)
            prepared, data = clips_of(config, tracks, model, run, subclasses, features)
            if config.solver == "lbfgs":
                checkpoints, logits = solve_head(config, built, tracks, data, run, prepared)
            else:
                checkpoints, logits = _train(config, model, data, run, prepared), None
            return finish(config, model, data, run, checkpoints, began, logits)


def _output_claimed(config: TrainingConfig) -> AbstractContextManager[None]:
    """Let nobody else train for the same place meanwhile; processes that train together are one."""
    return claimed(Path(config.output_path)) if config.output_path and rank() == 0 else nullcontext()


def keep_best(config: TrainingConfig) -> Kept | None:
    """Save the best weights so far of a run that did not end, as a model folder in it; it can still be resumed.

    Args:
        config: as :func:`fit` had it, with ``run_path``.

    Returns:
        What was kept, or None where no epoch was validated or ended.

    Raises:
        CatalogueError, ModelError: the music or the base model is not there any more.
    """
    run = SilentRun(str(config.run_path))
    checkpoints = EpochCheckpoints(run, config.monitor if _is_monitored(config) else None, config.mode)
    saved = [
        event for event in run.events("checkpoint_saved") if event["file"] == kept_checkpoint(run, checkpoints).name
    ]
    if not saved or not kept_checkpoint(run, checkpoints).is_file():
        return None
    with _quiet():
        tracks = opened(config)
        subclasses = subclasses_of(tracks, config)
        model = build(config, check_tracks(tracks, config), subclasses).model
        _, data = clips_of(config, tracks, model, run, subclasses, features_beside(config, tracks, model, run))
        scores, place = save_kept(model, data, run, checkpoints)
    return Kept(saved[-1]["epoch"], scores, place)


def _train(
    config: TrainingConfig, model: GenreModel, data: GenreDataModule, run: Run, prepared: Prepared
) -> EpochCheckpoints:
    weighs = config.class_balance == "loss"
    classes = len(data.subclasses or model.genres)
    weights = inverse_frequency(data.train.targets, classes) if weighs else None
    if config.gradient_checkpointing:
        model.network.gradient_checkpointing_enable({"use_reentrant": False})
    module = GenreClassifier(
        in_fast_layout(model.network),
        recipe_of(config, model),
        augment_of(config, model),
        weights,
        data.class_shares(),
        data.subclasses,
        embedded=isinstance(data.store, EmbeddingStore),
        compiled=config.compile,
    )
    begin(config, model.network, run, device_of(config), precision_of(config))
    checkpoints = EpochCheckpoints(run, config.monitor if _is_monitored(config) else None, config.mode)
    bar = config.progress if config.progress is not None else sys.stderr.isatty()
    callbacks = [EventWriter(run, prepared.seconds, speak=not bar), FiniteLoss(), checkpoints]
    trainer = Trainer(**_trainer_options(config, model, run, callbacks, bar))
    last = last_checkpoint(run)
    resume = str(last) if config.resume and last.is_file() else None
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True if resume else None)
    if config.gradient_checkpointing:
        model.network.gradient_checkpointing_disable()
    if isinstance(trainer.logger, WandbLogger):
        trainer.logger.experiment.finish()  # or the next run in this process would be logged as the same one
    return checkpoints


def _is_monitored(config: TrainingConfig) -> bool:
    """Whether the best weights are kept, and not the last."""
    return config.evaluation_strategy != "no" and config.keep != "last"


def _trainer_options(
    config: TrainingConfig, model: GenreModel, run: Run, callbacks: list[Callback], bar: bool
) -> dict[str, Any]:
    validates = config.evaluation_strategy != "no"
    by_steps = config.evaluation_strategy == "steps"
    if config.ema_decay:
        callbacks = [MovingAverage(config.ema_decay), *callbacks]
    if config.early_stopping_patience:
        callbacks = [*callbacks, NoBetter(config.monitor, config.mode, config.early_stopping_patience)]
    return {
        "max_epochs": config.num_epochs,
        "accelerator": config.accelerator,
        "devices": config.devices,
        "num_nodes": config.num_nodes,
        "strategy": strategy_of(config, model),
        "precision": precision_of(config),
        "accumulate_grad_batches": config.accumulate,
        "gradient_clip_val": config.gradient_clip,
        "callbacks": [*callbacks, TQDMProgressBar()] if bar else callbacks,
        "logger": _wandb_logger(config, run) if config.wandb and rank() == 0 else False,
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
