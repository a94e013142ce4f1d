"""What training leaves behind: the kept weights as a calibrated model folder, and the result of the run."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from genre_lib import registry
from genre_lib.calibration import serving_temperature
from genre_lib.data.datamodule import GenreDataModule, WholeTracks
from genre_lib.data.embeddings import EmbeddingStore
from genre_lib.errors import ModelExists
from genre_lib.models import adapters, folder
from genre_lib.models.folder import GenreModel
from genre_lib.models.track_logits import track_logits, track_scores
from genre_lib.runs import Run
from genre_lib.training_callbacks import EpochCheckpoints, best_checkpoint, last_checkpoint
from genre_lib.training_config import TrainingConfig
from genre_lib.training_costs import costs, seconds_before
from genre_lib.training_run import rank


@dataclass(frozen=True)
class FitResult:
    """What training left behind.

    Args:
        run: the run's folder.
        model_folder: the trained model: ``output_path`` where one was given, else the run's ``model/``.
        best_epoch: epoch whose weights were kept; epochs count from one.
        metrics: ``valid_loss``, ``valid_accuracy`` and ``valid_macro_f1`` of the kept weights; empty without any.
        history: a row for each epoch, the fields of ``epoch_ended``.
        seconds: from call to return, and of what was trained in the run before it was resumed.
    """

    run: Run
    model_folder: Path
    best_epoch: int
    metrics: dict[str, float]
    history: pd.DataFrame
    seconds: float


@dataclass(frozen=True)
class Kept:
    """What a run that was stopped leaves.

    Args:
        epoch: whose weights they are; epochs count from one.
        metrics: as those of :class:`FitResult`.
        model_folder: where the model lies.
    """

    epoch: int
    metrics: dict[str, float]
    model_folder: Path


def finished(config: TrainingConfig) -> FitResult | None:
    """The result of a run that is to be resumed and is complete already."""
    result = Run(config.run_path).result() if config.resume and config.run_path else None
    if not result or result.get("num_epochs", 0) < config.num_epochs:
        return None
    run = Run(str(config.run_path))
    return FitResult(
        run, Path(result["model_folder"]), result["best_epoch"], result["metrics"], run.history(), result["seconds"]
    )


def finish(
    config: TrainingConfig,
    model: GenreModel,
    data: GenreDataModule,
    run: Run,
    checkpoints: EpochCheckpoints,
    began: float,
    logits: np.ndarray | None = None,
) -> FitResult:
    """Save the kept weights with their temperature, put the model where it was wanted, and write the result last.

    Args:
        logits: as :func:`save_kept` takes them.
    """
    if rank() != 0:
        place = Path(config.output_path) if config.output_path else run.model
        return FitResult(run, place, checkpoints.best_epoch, {}, run.history(), time.perf_counter() - began)
    scores, place = save_kept(model, data, run, checkpoints, logits)
    if config.output_path:
        place = _installed(run, config)
    seconds = seconds_before(run) + time.perf_counter() - began
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
            "training": costs(run, seconds),
        }
    )
    return FitResult(run, place, checkpoints.best_epoch, scores, run.history(), seconds)


def _installed(run: Run, config: TrainingConfig) -> Path:
    """The run's model where it was wanted; somebody else may have put one there since the training began."""
    try:
        return registry.install(run.model, str(config.output_path), overwrite=config.overwrite)
    except ModelExists as error:
        raise ModelExists(f"{error} What was trained is in {run.model}, a model folder like any other.") from error


def save_kept(
    model: GenreModel,
    data: GenreDataModule,
    run: Run,
    checkpoints: EpochCheckpoints,
    logits: np.ndarray | None = None,
) -> tuple[dict[str, float], Path]:
    """The kept weights, calibrated, as the run's model folder; their scores, and where it lies.

    Args:
        logits: of the valid tracks by these weights [tracks, classes], where they are known; else the tracks are heard.
    """
    _take_weights(model, run, checkpoints)
    scores = _calibrate(model, data, logits) if len(data.valid) else {}
    return scores, Path(folder.save(model, run.model).folder or run.model)


def _take_weights(model: GenreModel, run: Run, checkpoints: EpochCheckpoints) -> None:
    """Give the network the weights of the checkpoint that was kept; what it lacks never learned, and is there.

    LoRA's matrices are then added to the weights that they stand beside.
    """
    state = torch.load(kept_checkpoint(run, checkpoints), map_location="cpu", weights_only=True)["state_dict"]
    network = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    model.network.load_state_dict(model.network.state_dict() | network)
    adapters.merge(model.network)
    model.network.to(memory_format=torch.contiguous_format).float().eval()  # type: ignore[call-arg]


def kept_checkpoint(run: Run, checkpoints: EpochCheckpoints) -> Path:
    best = best_checkpoint(run)
    return best if checkpoints.monitor and best.is_file() else last_checkpoint(run)


def _calibrate(model: GenreModel, data: GenreDataModule, logits: np.ndarray | None) -> dict[str, float]:
    """Fit the temperature on the valid tracks, and score them as they will be predicted."""
    targets = np.asarray(data.valid.targets)
    if logits is None:
        tracks = WholeTracks(data.valid, data.store)
        embedded = isinstance(data.store, EmbeddingStore)
        logits, targets = track_logits(model.network, (tracks[row] for row in range(len(tracks))), embedded)
    temperature = serving_temperature(logits, targets)
    model.inference = replace(model.inference, temperature=temperature, calibrated_on=len(targets))
    return track_scores(logits, targets)
