"""What a fine-tuning is told where nobody says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genre_lib.networks.files import is_plain
from genre_lib.settings import REPOSITORY
from genre_lib.training_config import load_experiment

EXPERIMENT = REPOSITORY / "experiments" / "finetune_all.yaml"
"""Of networks of ours. At the defaults of ``TrainingConfig``, which suit transformers, these learn next to nothing."""


def completed(given: dict[str, Any], base: Path | str) -> dict[str, Any]:
    """What was given for fine-tuning a model, and beside it the fields of :data:`EXPERIMENT` where it is one of ours.

    Raises:
        ModelNotFound, ModelInvalid: the base cannot be read.
    """
    if not is_plain(base) or not EXPERIMENT.is_file():
        return given
    advice = load_experiment(EXPERIMENT)
    if given.get("evaluation_strategy") == "no":  # nothing is there to stop by
        advice.pop("early_stopping_patience", None)
    return advice | given
