"""What a base model cannot learn, told by its ``config.json`` alone: no weights are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genre_lib.errors import ConfigurationError
from genre_lib.networks.files import (
    CONFIG,
    GENERATORS,
    GENRE_MUSICGEN,
    MODEL_TYPES,
    TRANSFORMERS,
    as_model_invalid,
    is_encoder,
    read_json,
    require_files,
)
from genre_lib.training_config import TrainingConfig

WEIGHING = ("hubert", "wav2vec2")
"""Model types whose fresh head weighs the encoder's layers."""

WEIGHED = (
    "solver='lbfgs' solves for the last layer alone, and before it the base model weighs its layers; leave solver out, "
    "and method='head' learns these weights too."
)
SUBCLASSES = "solver='lbfgs' needs a head that is linear, and the base model's adds up sub-classes."


def require_possible(config: TrainingConfig, base: Path | str) -> None:
    """Refuse what a base model cannot learn, before anything else is begun.

    Raises:
        ModelNotFound, ModelInvalid: there is no such folder, or its configuration cannot be read.
        ConfigurationError: the base model cannot learn so; says what it can.
    """
    base = Path(base)
    require_method(config.method, base, bool(config.lora_targets))
    found = config_of(base)
    if config.solver == "lbfgs" and found.get("subclass_genre"):
        raise ConfigurationError(SUBCLASSES)
    if config.solver == "lbfgs" and config.method == "head" and weighs_layers(found):
        raise ConfigurationError(WEIGHED)


def require_layers(config: TrainingConfig, base: Path | str) -> None:
    """Refuse names of layers to adapt that the base model's network does not have, which takes importing torch.

    Raises:
        ModelNotFound, ModelInvalid, ConfigurationError: as for :func:`require_possible`.
    """
    base = Path(base)
    if config.lora_targets and config_of(base).get("model_type") in (*TRANSFORMERS, *MODEL_TYPES):
        from genre_lib.models.adapters import require_targets

        require_targets(base, config.lora_targets)


def require_method(method: str | None, base: Path, has_targets: bool = False) -> None:
    """Refuse a method that the kind of base model does not know.

    Args:
        has_targets: whether the layers to adapt are named, which those of other networks may be.

    Raises:
        ModelNotFound, ModelInvalid, ConfigurationError: as for :func:`require_possible`.
    """
    if method not in ("lora", "full"):
        return
    model_type, name = config_of(base).get("model_type"), base.resolve().name
    if model_type in (*GENERATORS, GENRE_MUSICGEN):
        raise ConfigurationError(
            f"{name} listens by MusicGen's layers, which rest; learn its head alone, by method='head'."
        )
    if method == "lora" and model_type not in TRANSFORMERS and not has_targets:
        raise ConfigurationError(
            f"method='lora' adapts the attention of transformers ({', '.join(TRANSFORMERS)}), and {name} "
            f"({model_type}) has none; take method='head' or method='full'."
        )


def weighs_layers(found: dict[str, Any]) -> bool:
    """Whether the head that will learn weighs the encoder's layers: the base model's own, or a fresh one."""
    return bool(found.get("use_weighted_layer_sum")) or (found.get("model_type") in WEIGHING and is_encoder(found))


def config_of(base: Path) -> dict[str, Any]:
    """What the base model's ``config.json`` holds."""
    require_files(base)
    with as_model_invalid(base):
        return read_json(base / CONFIG)
