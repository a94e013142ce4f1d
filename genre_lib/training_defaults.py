"""What a fine-tuning is told where nobody says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genre_lib.networks.files import is_plain
from genre_lib.settings import REPOSITORY
from genre_lib.training_config import TrainingConfig, load_experiment

EXPERIMENTS = REPOSITORY / "experiments"
EXPERIMENT = EXPERIMENTS / "finetune_all.yaml"
"""Of networks of ours. At the defaults of ``TrainingConfig``, which suit transformers, these learn next to nothing."""

WITH_FEATURES, FEATURES_ALONE = EXPERIMENTS / "finetune_features.yaml", EXPERIMENTS / "features_alone.yaml"
"""The same with features beside the sound, and without any sound."""


def completed(given: dict[str, Any], base: Path | str) -> dict[str, Any]:
    """What was given for fine-tuning a model, and beside it the fields of an experiment where it is one of ours.

    Raises:
        ModelNotFound, ModelInvalid: the base cannot be read.
    """
    experiment = experiment_for(given)
    if not is_plain(base) or not experiment.is_file():
        return given
    advice = load_experiment(experiment)
    if given.get("evaluation_strategy") == "no":  # nothing is there to stop by
        advice.pop("early_stopping_patience", None)
    return advice | given


def experiment_for(given: dict[str, Any]) -> Path:
    """The experiment that suits what is learned from: the sound, features beside it, or these alone."""
    if given.get("features") in (None, "none"):
        return EXPERIMENT
    return FEATURES_ALONE if TrainingConfig.model_construct(**given).without_sound else WITH_FEATURES
