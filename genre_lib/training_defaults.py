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

EMBEDDINGS, LORA = EXPERIMENTS / "finetune_embeddings.yaml", EXPERIMENTS / "finetune_lora.yaml"
FULL = EXPERIMENTS / "finetune_full.yaml"
"""Of pretrained transformers, by what learns: the head, small matrices, or all layers."""

METHODS = {"head": EMBEDDINGS, "lora": LORA, "full": FULL}
OF_THEIR_OWN = ("freeze", "solver", "augmentation", "features")
"""Fields that say what learns, or from what, where no method does."""

WITH_FEATURES, FEATURES_ALONE = EXPERIMENTS / "finetune_features.yaml", EXPERIMENTS / "features_alone.yaml"
"""The same with features beside the sound, and without any sound."""


def completed(given: dict[str, Any], base: Path | str) -> dict[str, Any]:
    """What was given for fine-tuning a model, and beside it the fields of the experiment that suits the two.

    For a transformer of which nothing is said but what rests or how it is solved, there is none.

    Raises:
        ModelNotFound, ModelInvalid: the base cannot be read.
    """
    experiment = experiment_for(given, Path(base)) if is_plain(base) else of_transformers(given)
    if experiment is None or not experiment.is_file():
        return given
    advice = load_experiment(experiment)
    if given.get("method") == "lora":  # which says by itself what rests
        advice.pop("freeze", None)
    if given.get("solver") == "lbfgs":
        advice = {name: value for name, value in advice.items() if name not in STEPPED} | {"num_epochs": 1}
    if given.get("evaluation_strategy") == "no":  # nothing is there to stop by
        advice.pop("early_stopping_patience", None)
    return advice | given


def experiment_for(given: dict[str, Any], base: Path) -> Path:
    """The experiment that suits what is learned from (the sound, features beside it, or these alone), and how."""
    if given.get("features") in (None, "none"):
        method = given.get("method")
        stepwise = {"freeze", *STEPPED} & set(given) and given.get("solver") != "lbfgs"
        stepwise = stepwise or method in ("lora", "full") or not has_linear_head(base)
        return HEAD if not stepwise else EMBEDDINGS if method == "head" else EXPERIMENT
    return FEATURES_ALONE if TrainingConfig.model_construct(**given).without_sound else WITH_FEATURES


def of_transformers(given: dict[str, Any]) -> Path | None:
    """The experiment of the method, that of the head where none is named; none where it was said what rests."""
    if given.get("method") is None and set(OF_THEIR_OWN) & set(given):
        return None
    return METHODS[given.get("method") or "head"]


def has_linear_head(base: Path) -> bool:
    """Whether the base's head can be solved for: no features stand beside its sound, no sub-classes are added up."""
    config = read_json(base / CONFIG)
    return config.get("model_type") in (GENRE_CNN, MUSICNN) and not config.get("subclass_genre")
