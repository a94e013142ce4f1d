"""The network that a run trains, as its configuration describes it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, NamedTuple

from genre_lib import registry
from genre_lib.augmentation import Augmentation
from genre_lib.errors import ConfigurationError
from genre_lib.models import adapters, folder
from genre_lib.models.augment import LogMelAugment
from genre_lib.models.classifier import Recipe
from genre_lib.models.folder import GenreModel, InferenceSettings
from genre_lib.models.head import is_tagger, with_genres, with_genres_of_tags
from genre_lib.models.layers import rests_in_front
from genre_lib.models.logmel import LogMelFeatureExtractor
from genre_lib.networks.front_ends import front_end_of
from genre_lib.settings import get_settings
from genre_lib.training_bases import require_method
from genre_lib.training_config import TrainingConfig
from genre_lib.training_inputs import Subclasses
from genre_lib.training_scratch import from_scratch


class Built(NamedTuple):
    """The network to train, with a head for the genres.

    Args:
        copied: the genres whose head rows came with it.
        from_tags: whether these rows are tags', whose logits have a scale each.
    """

    model: GenreModel
    copied: list[str]
    from_tags: bool = False


def build(config: TrainingConfig, genres: list[str], subclasses: Subclasses) -> Built:
    """The network as the configuration describes it, from a base model or from nothing."""
    if config.init == "scratch":
        model = from_scratch(config, genres, subclasses)
        _keep_all_layers(model.network)
        _check_clip(model)
        return Built(model, [])
    settings = get_settings()
    source = registry.base(config.base_model, settings)
    require_method(config.method, source, bool(config.lora_targets))
    model = folder.load_base(source)
    from_tags = config.solver == "lbfgs" and is_tagger(model.network)
    if config.start_tags and not from_tags:
        raise ConfigurationError(f"start_tags needs a base model that tells tags, and {model.name} tells genres.")
    copied = [] if model.genres == genres and not from_tags else _with_head(config, model, genres, from_tags)
    model.network.config.base_model = model.name
    clip = config.clip_seconds or model.inference.clip_seconds
    hop = config.hop_seconds or (clip if config.clip_seconds else model.inference.hop_seconds)
    model.inference = InferenceSettings(clip, hop)
    _keep_all_layers(model.network)
    if config.method == "lora":
        adapters.add(model.network, config.lora_rank, config.lora_alpha, config.lora_dropout, config.lora_targets)
    _check_clip(model)
    return Built(model, copied or [genre for genre in genres if genre in model.genres], from_tags)


def _keep_all_layers(network: Any) -> None:
    """Let no step leave a layer out (LayerDrop) where the head weighs all of them: it would weigh one too few."""
    if getattr(network.config, "use_weighted_layer_sum", False) and getattr(network.config, "layerdrop", 0):
        network.config.layerdrop = 0.0


def _with_head(config: TrainingConfig, model: GenreModel, genres: list[str], from_tags: bool) -> list[str]:
    """Give the network a head for the genres; returns those that it had rows of, or tags of."""
    if from_tags:
        return with_genres_of_tags(model.network, genres, config.start_tags)
    return with_genres(model.network, genres)


def _check_clip(model: GenreModel) -> None:
    """Refuse clips of which the network would hear the beginning alone.

    Raises:
        ConfigurationError: they are longer than what an AST takes.
    """
    front: Any = front_end_of(model.extractor)
    longest = getattr(front, "max_length", None)
    clip = model.inference.clip_seconds
    if longest is not None and front.rows(round(clip * front.sampling_rate)) > longest:
        raise ConfigurationError(
            f"clip_seconds is {clip:g}, and the network hears the first {longest} frames of a clip, "
            f"{longest * front.hop_length / front.sampling_rate:g} s; take shorter clips."
        )


def resting(config: TrainingConfig, model: GenreModel) -> str:
    """What rests, as ``freeze`` names it; where it was left out, as the method has it."""
    if config.freeze is not None or config.method in (None, "lora"):
        return config.freeze or "none"  # LoRA's own layers rest already, and its matrices learn
    if config.method == "head":
        return "backbone"
    return "front" if rests_in_front(model.network) else "none"


def recipe_of(config: TrainingConfig, model: GenreModel) -> Recipe:
    shared = {field.name for field in fields(Recipe)} & set(TrainingConfig.model_fields)
    told = {name: getattr(config, name) for name in shared} | {"freeze": resting(config, model)}
    return Recipe(**told | ({"mixup": 0.0} if config.without_sound else {}))  # which blends sounds


def augment_of(config: TrainingConfig, model: GenreModel) -> LogMelAugment | None:
    if config.augmentation == Augmentation() or config.without_sound:
        return None
    extractor = model.extractor
    if not isinstance(extractor, LogMelFeatureExtractor):
        raise ConfigurationError(
            f"augmentation changes the CNN's log-mels, and {type(extractor).__name__} makes none; use mixup instead."
        )
    frames = extractor.frames(model.inference.clip_seconds)
    return LogMelAugment(config.augmentation, frames, extractor.band_hz(), extractor.std)
