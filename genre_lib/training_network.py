"""The network that a run trains, as its configuration describes it."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, NamedTuple

from genre_lib import registry
from genre_lib.augmentation import Augmentation
from genre_lib.errors import ConfigurationError
from genre_lib.models import adapters, folder
from genre_lib.models.augment import LogMelAugment
from genre_lib.models.classifier import Recipe
from genre_lib.models.cnn import GenreCNNConfig, GenreCNNForAudioClassification
from genre_lib.models.folder import GenreModel, InferenceSettings
from genre_lib.models.head import is_tagger, with_genres, with_genres_of_tags
from genre_lib.models.layers import rests_in_front
from genre_lib.models.logmel import LogMelFeatureExtractor
from genre_lib.settings import get_settings
from genre_lib.training_config import TrainingConfig, nearest
from genre_lib.training_inputs import Subclasses

SCRATCH_CLIP_SECONDS = 3.0


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
        return Built(_from_scratch(config, genres, subclasses), [])
    settings = get_settings()
    source = registry.resolve(config.base_model, settings) if config.base_model else settings.model_path
    model = folder.load_base(source)
    from_tags = config.solver == "lbfgs" and is_tagger(model.network)
    if config.start_tags and not from_tags:
        raise ConfigurationError(f"start_tags needs a base model that tells tags, and {model.name} tells genres.")
    copied = [] if model.genres == genres and not from_tags else _with_head(config, model, genres, from_tags)
    model.network.config.base_model = model.name
    clip = config.clip_seconds or model.inference.clip_seconds
    hop = config.hop_seconds or (clip if config.clip_seconds else model.inference.hop_seconds)
    model.inference = InferenceSettings(clip, hop)
    if config.method == "lora":
        adapters.add(model.network, config.lora_rank, config.lora_alpha, config.lora_dropout, config.lora_targets)
    return Built(model, copied or [genre for genre in genres if genre in model.genres], from_tags)


def _with_head(config: TrainingConfig, model: GenreModel, genres: list[str], from_tags: bool) -> list[str]:
    """Give the network a head for the genres; returns those that it had rows of, or tags of."""
    if from_tags:
        return with_genres_of_tags(model.network, genres, config.start_tags)
    return with_genres(model.network, genres)


def _from_scratch(config: TrainingConfig, genres: list[str], subclasses: Subclasses) -> GenreModel:
    check_names("architecture", config.architecture, [field.name for field in fields(GenreCNNConfig)])
    known = [name for name in inspect.signature(LogMelFeatureExtractor).parameters if name != "kwargs"]
    check_names("feature_extractor", config.feature_extractor, known)
    try:
        extractor = LogMelFeatureExtractor(**config.feature_extractor)
        architecture = {"num_mel_bins": extractor.feature_size} | config.architecture
        if subclasses:
            architecture["subclass_genre"] = [genres.index(genre) for _, genre in subclasses]
        network = GenreCNNForAudioClassification(GenreCNNConfig.for_labels(genres, **architecture))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"architecture or feature_extractor cannot be built: {error}") from error
    clip = config.clip_seconds or SCRATCH_CLIP_SECONDS
    return GenreModel(network, extractor, InferenceSettings(clip, config.hop_seconds or clip))


def check_names(field: str, given: dict[str, Any], known: list[str]) -> None:
    for name in given:
        if name not in known:
            raise ConfigurationError(f"Unknown field {field}.{name}; {nearest(name, known)}")


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
