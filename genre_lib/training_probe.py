"""Training without steps: a frozen network hears every track once, and its head is solved for on what it heard."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import torch

from genre_lib.data.catalogue import Catalogue
from genre_lib.data.datamodule import GenreDataModule, TrackTable
from genre_lib.data.features import Prepared
from genre_lib.data.generated import are_generated
from genre_lib.data.splits import group_numbers
from genre_lib.errors import ConfigurationError
from genre_lib.models.classifier import inverse_frequency
from genre_lib.models.folder import GenreModel
from genre_lib.models.head import freeze_backbone
from genre_lib.models.probe import Examples, Head, best_penalty, solve, started
from genre_lib.models.track_logits import track_scores
from genre_lib.runs import Run
from genre_lib.training_bases import SUBCLASSES, WEIGHED
from genre_lib.training_callbacks import EpochCheckpoints, epoch_line, last_checkpoint
from genre_lib.training_config import TrainingConfig
from genre_lib.training_costs import begin
from genre_lib.training_embeddings import track_embeddings
from genre_lib.training_hardware import device_of
from genre_lib.training_network import Built
from genre_lib.training_run import rank


def solve_head(
    config: TrainingConfig, built: Built, catalogue: Catalogue, data: GenreDataModule, run: Run, prepared: Prepared
) -> tuple[EpochCheckpoints, np.ndarray | None]:
    """Solve for the head, score it on the valid tracks, and leave it as a checkpoint, all as an epoch would.

    Returns:
        The checkpoint, and the logits of the valid tracks [tracks, classes], so that nobody need hear them again; None
        where there are no valid tracks.

    Raises:
        ConfigurationError: the network's logits are no linear function of what its last layer is given.
    """
    network = built.model.network
    require_linear(built.model, config.method)
    freeze_backbone(network)
    begin(config, network, run, device_of(config), "32-true")
    began = time.perf_counter()
    run.event("epoch_started", epoch=1)
    tables, tell = (data.train, data.valid), run.telling("batches_trained")
    embeddings = track_embeddings(built.model, tables, data.store, config.accelerator, tell)
    run.event("tracks_heard", tracks=len(embeddings))
    train, valid = embeddings[: len(data.train)], embeddings[len(data.train) :]
    examples = Examples(train, torch.tensor(data.train.targets), torch.tensor(track_weights(config, data)))
    start = Head.of(network)
    start = started(start, examples) if built.from_tags else start
    penalty = config.head_penalty or _chosen_penalty(config, examples, start, catalogue, data.train, run)
    head = solve(examples, start, penalty, config.label_smoothing)
    head.put_into(network)
    logits = head.logits(valid).numpy() if len(data.valid) else None
    fields = {
        "epoch": 1,
        "train_loss": track_scores(head.logits(train).numpy(), data.train.targets)["valid_loss"],
        **({} if logits is None else track_scores(logits, data.valid.targets)),
        "seconds": time.perf_counter() - began,
        "train_seconds": time.perf_counter() - began,
        "load_seconds": prepared.seconds,
        "clips": int(data.fitting.sum()),
        "head_penalty": penalty,
    }
    run.event("epoch_ended", **fields)
    checkpoints = EpochCheckpoints(run, None, "max")
    checkpoints.best_epoch = 1
    if rank() == 0:
        print(epoch_line(fields, 1), flush=True)
        _keep(built, run)
    return checkpoints, logits


def require_linear(model: GenreModel, method: str | None) -> None:
    """Refuse a network whose logits are no linear function of what its last layer is given.

    Raises:
        ConfigurationError: they are none; says what to do.
    """
    if getattr(model.network.config, "subclass_genre", None):
        raise ConfigurationError(SUBCLASSES)
    if method == "head" and getattr(model.network.config, "use_weighted_layer_sum", False):
        raise ConfigurationError(WEIGHED)


def track_weights(config: TrainingConfig, data: GenreDataModule) -> np.ndarray:
    """What each train track counts [tracks], one in the mean: as the sampler would draw it, or as the loss weighs."""
    if data.weights is not None:
        return data.weights * len(data.weights)
    if config.class_balance == "loss":
        return inverse_frequency(data.train.targets, len(data.genres))[data.train.targets]
    return np.ones(len(data.train))


def _chosen_penalty(
    config: TrainingConfig, examples: Examples, start: Head, catalogue: Catalogue, train: TrackTable, run: Run
) -> float:
    """The penalty that does best on train tracks of other artists, with what each did as an event.

    Generated tracks have no say in it, for it is to do well on music.
    """
    groups = dict(zip(catalogue.tracks["path"], group_numbers(catalogue.tracks, []), strict=True))
    real = np.flatnonzero(~are_generated(pd.Series(train.sources)))
    own = [int(groups[train.paths[row]]) for row in real]
    penalty, losses = best_penalty(examples[real], own, start, config.label_smoothing, config.seed)
    told = {f"{tried:g}": round(loss, 4) for tried, loss in losses.items()}
    run.event("penalty_chosen", head_penalty=penalty, losses=told)
    return penalty


def _keep(built: Built, run: Run) -> None:
    """The weights where :func:`genre_lib.training_outputs.finish` looks for those that were kept."""
    place = last_checkpoint(run)
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_suffix(".new")
    state = {f"network.{name}": value for name, value in built.model.network.state_dict().items()}
    torch.save({"state_dict": state}, aside)
    aside.replace(place)
    run.event("checkpoint_saved", epoch=1, file=place.name)
