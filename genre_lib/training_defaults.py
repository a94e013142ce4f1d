"""What a fine-tuning is told where nobody says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genre_lib.networks.files import CONFIG, GENRE_CNN, MUSICNN, is_plain, read_json
from genre_lib.settings import REPOSITORY
from genre_lib.training_config import STEPPED, TrainingConfig, load_experiment

EXPERIMENTS = REPOSITORY / "experiments"
HEAD = EXPERIMENTS / "finetune_head.yaml"
"""Of networks of ours, where nothing is said of how to learn: one pass, and on few tracks no worse than more."""

EXPERIMENT = EXPERIMENTS / "finetune_all.yaml"
"""Of the same where something is; at the defaults of ``TrainingConfig``, for transformers, they learn nothing."""

WITH_FEATURES, FEATURES_ALONE = EXPERIMENTS / "finetune_features.yaml", EXPERIMENTS / "features_alone.yaml"
"""The same with features beside the sound, and without any sound."""


def completed(given: dict[str, Any], base: Path | str) -> dict[str, Any]:
    """What was given for fine-tuning a model, and beside it the fields of an experiment where it is one of ours.

    Raises:
        ModelNotFound, ModelInvalid: the base cannot be read.
    """
    if not is_plain(base):
        return given
    experiment = experiment_for(given, Path(base))
    if not experiment.is_file():
        return given
    advice = load_experiment(experiment)
    if given.get("evaluation_strategy") == "no":  # nothing is there to stop by
        advice.pop("early_stopping_patience", None)
    return advice | given


def experiment_for(given: dict[str, Any], base: Path) -> Path:
    """The experiment that suits what is learned from (the sound, features beside it, or these alone), and how."""
    if given.get("features") in (None, "none"):
        stepwise = {"freeze", *STEPPED} & set(given) and given.get("solver") != "lbfgs"
        return EXPERIMENT if stepwise or not has_linear_head(base) else HEAD
    return FEATURES_ALONE if TrainingConfig.model_construct(**given).without_sound else WITH_FEATURES


def has_linear_head(base: Path) -> bool:
    """Whether the base's head can be solved for: no features stand beside its sound, no sub-classes are added up."""
    config = read_json(base / CONFIG)
    return config.get("model_type") in (GENRE_CNN, MUSICNN) and not config.get("subclass_genre")
