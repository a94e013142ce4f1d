"""From what a client asks to the parameters of the fine-tuning notebook: names, paths and settings, all checked first.

Whoever asks over HTTP is no user of this machine. So music is taken from configured folders alone, and only those
settings of :class:`genre_lib.training_config.TrainingConfig` can be changed that neither name a place nor a device.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genre_lib import registry
from genre_lib.errors import (
    CatalogueError,
    ConfigurationError,
    TrainingSettingsInvalid,
)
from genre_lib.job_music import MOST_NAMED, chosen, opened, place_of, without_roots
from genre_lib.settings import Settings
from genre_lib.training_bases import require_possible
from genre_lib.training_config import TrainingConfig
from genre_lib.training_defaults import completed

if TYPE_CHECKING:
    from genre_lib.data.catalogue import Catalogue


FIELDS: dict[str, str] = {"epochs": "num_epochs"} | {
    name: name
    for name in (
        *("learning_rate", "batch_size", "warmup_steps", "max_warmup_share", "final_learning_rate", "weight_decay"),
        *("method", "lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "layer_decay", "unfreeze_every"),
        *("accumulate", "gradient_checkpointing", "compile"),
        *(
            "gradient_clip",
            "freeze",
            "solver",
            "head_penalty",
            "label_smoothing",
            "ema_decay",
            "clip_seconds",
            "hop_seconds",
        ),
        *("max_clips_per_track", "clips_per_epoch", "class_balance", "logit_adjustment", "augmentation", "mixup"),
        *("mixup_share", "evaluation_strategy", "eval_steps", "keep", "early_stopping_patience", "seed"),
        *("precision", "strict", "features", "audio_dropout", "features_dropout"),
        *("features_learning_rate", "feature_network"),
    )
}
"""Settings that a client may change, and their names in :class:`TrainingConfig`."""

LONGEST_SENTENCE = 1000
"""What came may be repeated in an error, and may be long."""

DEFAULT_EPOCHS: int = TrainingConfig.model_fields["num_epochs"].default

SENT = {inner: sent for sent, inner in FIELDS.items()}


@dataclass(frozen=True)
class Prepared:
    """What a job needs to begin.

    Args:
        parameters: of the fine-tuning notebook.
        base_model: name of the model to start from.
        catalogue: the tracks to train on; None: ``parameters`` name a library that the job collects.
    """

    parameters: dict[str, Any]
    base_model: str
    catalogue: Catalogue | None


def prepare(
    settings: Settings,
    *,
    base_model: str | None,
    catalogue: str | None = None,
    data_path: str | None = None,
    labels: Sequence[str] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Prepared:
    """Check all that was asked, the cheap first. Reads the catalogue, and so may take seconds for a large one.

    Args:
        base_model: a name from the registry; None: the active model's.
        catalogue: a CSV below a configured root, its name there without ``.csv``, or ``synthetic``.
        data_path: a folder below a configured root.
        labels: genres to train on; None: all.
        config: settings by the names in :data:`FIELDS`; the others are what suits the base model.

    Raises:
        ModelNotFound, ModelInvalid: there is no such base model, or it cannot be read.
        TrainingSettingsInvalid: a setting is unknown or out of range; names it.
        PathNotAllowed: the music lies elsewhere.
        CatalogueNotFound, CatalogueInvalid: there is no music, or it cannot be trained on.
        GenresUnknown: a label has no tracks; names those that have.
    """
    fields, base = fields_for(settings, base_model, config)
    place = place_of(catalogue, data_path, settings)
    try:
        tracks = chosen(opened(place, settings), labels, sound=needs_sound(fields))
    except CatalogueError as error:
        raise type(error)(without_roots(str(error), settings)) from error
    return Prepared(fields, base, tracks)


def fields_for(
    settings: Settings, base_model: str | None, config: Mapping[str, Any] | None
) -> tuple[dict[str, Any], str]:
    """The notebook's parameters but for the music, and the name of the model to start from."""
    base = registry.by_name(base_model, settings) if base_model else registry.active(settings)
    registry.describe(base)
    fields = {"num_epochs": DEFAULT_EPOCHS} | completed(checked(config or {}), base)
    require_learnable(fields, base)
    return {**fields, "base_model": str(base), "init": "pretrained", "progress": False}, base.name


def require_learnable(fields: Mapping[str, Any], base: Path) -> None:
    """Refuse what this base model cannot learn.

    Raises:
        ModelInvalid, TrainingSettingsInvalid.
    """
    try:
        require_possible(TrainingConfig(**fields), base)
    except ConfigurationError as error:
        raise TrainingSettingsInvalid(f"config: {in_clients_words(str(error))[:LONGEST_SENTENCE]}") from None


# --- settings ---------------------------------------------------------------------------------------------------------


def checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings under the notebook's names, as :class:`TrainingConfig` understands them."""
    unknown = [name for name in config if name not in FIELDS]
    if unknown:
        raise TrainingSettingsInvalid("; ".join(f"config.{name[:60]} {meant(name)}" for name in unknown[:MOST_NAMED]))
    if not is_finite(config):
        raise TrainingSettingsInvalid("config: numbers must be finite; NaN and Infinity came.")
    given = {FIELDS[name]: value for name, value in config.items()}
    try:
        understood = TrainingConfig(**given).model_dump(mode="json")
    except ConfigurationError as error:
        said = in_clients_words(str(error))[:LONGEST_SENTENCE]
        raise TrainingSettingsInvalid(f"config: {said}") from None
    return {name: understood[name] for name in given}


def meant(name: str) -> str:
    close = difflib.get_close_matches(name, [*FIELDS], n=1, cutoff=0.6)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(FIELDS))}."
    return f"is no setting of a fine-tuning; {hint}"


def is_finite(value: Any) -> bool:
    """Whether all numbers in what came as JSON are finite."""
    if isinstance(value, Mapping):
        return all(map(is_finite, value.values()))
    if isinstance(value, list):
        return all(map(is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def in_clients_words(sentence: str) -> str:
    for inner, sent in SENT.items():
        sentence = sentence.replace(inner, sent) if inner != sent else sentence
    return sentence


def needs_sound(fields: Mapping[str, Any]) -> bool:
    """Whether the training opens files, and does not learn by the catalogue's columns alone."""
    return not TrainingConfig.model_construct(**fields).without_sound
