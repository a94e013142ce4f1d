"""The last layer of an audio classifier: freezing all before it, and giving it other genres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from genre_lib.audioset import genre_classes
from genre_lib.errors import ConfigurationError, ModelInvalid
from genre_lib.labels import canonical, clean


def backbone(network: PreTrainedModel) -> nn.Module:
    """Everything but the head; transformers names it by ``base_model_prefix`` in all of its classifiers.

    Raises:
        ModelInvalid: the network does not tell the two apart.
    """
    body = network.base_model
    if body is network:
        raise ModelInvalid(
            f"{type(network).__name__} does not tell its head from its backbone, so neither can be changed."
        )
    return body


def freeze_backbone(network: PreTrainedModel) -> None:
    """Let only the head learn."""
    backbone(network).requires_grad_(False)


def freeze_front(network: PreTrainedModel) -> None:
    """Let the layers that make the first features of the sound rest; transformers names it the feature encoder.

    They need most of the time that learning takes, and a small collection has little to teach them.

    Raises:
        ModelInvalid: the network has no such part.
    """
    if not hasattr(network, "freeze_feature_encoder"):
        raise ModelInvalid(f"{type(network).__name__} has no front to freeze; freeze 'norms' or 'backbone' instead.")
    network.freeze_feature_encoder()  # type: ignore[operator]


def rest_norms(network: nn.Module) -> None:
    """Let batch norms keep the statistics that they came with: those of a small collection are no better."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def rest_frozen(network: PreTrainedModel) -> None:
    """Put frozen parts into evaluation mode: without dropout, and with the statistics of batch norms left alone."""
    body = backbone(network)
    if not any(parameter.requires_grad for parameter in body.parameters()):
        body.eval()


def needs_two(network: nn.Module) -> bool:
    """Whether a step needs two clips at least, for a batch norm finds no variance among one clip's single numbers."""
    norms = (module for module in network.modules() if isinstance(module, nn.BatchNorm1d))
    return any(module.training for module in norms)


def is_tagger(network: PreTrainedModel) -> bool:
    """Whether the outputs say yes or no each by itself, as tags do, and do not exclude each other, as genres do.

    What was trained on AudioSet does so, and does not say it in its configuration.
    """
    labels: dict[int, str] = dict(network.config.id2label or {})  # type: ignore[assignment]
    if network.config.problem_type is None and genre_classes([labels[row] for row in sorted(labels)]) is not None:
        return True
    return network.config.problem_type == "multi_label_classification"


def with_genres(network: PreTrainedModel, genres: Sequence[str]) -> list[str]:
    """Let the network's last layer tell these genres, in this order, apart.

    Rows of genres that it told apart already, in any spelling that :func:`genre_lib.labels.canonical` brings together,
    are copied; the others start small and random, as transformers' own heads do.

    Returns:
        The genres whose rows were copied.
    """
    name, old = last_layer(network)
    # A tagger's rows say yes or no of each tag by itself: among genres that exclude each other their scale is another.
    rows = {} if is_tagger(network) else known_rows(network)
    if not hasattr(network.config, "subclass_genre"):  # only the CNN adds up several rows of a genre
        rows = {genre: several[:1] for genre, several in rows.items()}
    kept = [rows.get(canonical(genre), [None]) for genre in genres]
    new = nn.Linear(old.in_features, sum(map(len, kept)), device=old.weight.device, dtype=old.weight.dtype)
    nn.init.normal_(new.weight, std=0.02)
    nn.init.zeros_(new.bias)
    with torch.no_grad():
        for target, source in enumerate(row for group in kept for row in group):
            if source is not None:
                _copy_row(old, source, new, target)
    network.set_submodule(name, new)
    _relabel(network, genres, [genre for genre, group in enumerate(kept) for _ in group])
    return [genre for genre in genres if canonical(genre) in rows]


def with_genres_of_tags(
    network: PreTrainedModel, genres: Sequence[str], related: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """As :func:`with_genres` for a tagger: a genre's row starts as that of the tag of its name, or as its tags' mean.

    Such rows are on the scale of the tags. They are a start for :func:`genre_lib.models.probe.started`, which gives
    them one that they have in common.

    Args:
        related: by genre, the tags that it starts from in place of the one of its name.

    Returns:
        The genres that have tags; the rows of the others are zero.

    Raises:
        ConfigurationError: ``related`` names a genre that is none, or a tag that the network does not tell.
    """
    _, tagger = last_layer(network)
    chosen = _tags_of(network, genres, {canonical(genre): tags for genre, tags in (related or {}).items()})
    with_genres(network, genres)
    _, head = last_layer(network)
    with torch.no_grad():
        for row, tags in enumerate(chosen):
            head.weight[row] = tagger.weight[tags].mean(0) if tags else 0.0
            head.bias[row] = tagger.bias[tags].mean() if tags else 0.0
    return [genre for genre, tags in zip(genres, chosen, strict=True) if tags]


def _tags_of(network: PreTrainedModel, genres: Sequence[str], related: Mapping[str, Sequence[str]]) -> list[list[int]]:
    """Rows of the tags that each genre starts from; among tags of one canonical name the first is meant by it."""
    labels: dict[int, str] = dict(network.config.id2label or {})  # type: ignore[assignment]
    rows = {canonical(label): row for row, label in reversed(labels.items())}
    rows |= {clean(label): row for row, label in labels.items()}
    strangers = sorted(set(related) - {canonical(genre) for genre in genres})
    if strangers:
        raise ConfigurationError(f"start_tags names {', '.join(strangers)}, which is no genre of the train tracks.")

    def row_of(tag: str) -> int | None:
        return rows.get(clean(tag), rows.get(canonical(tag)))

    unknown = [tag for tags in related.values() for tag in tags if row_of(tag) is None]
    if unknown:
        raise ConfigurationError(
            f"start_tags names {', '.join(unknown)}, which the base model does not tell; its tags are "
            f"{', '.join(labels.values())}."
        )
    wanted = [related.get(canonical(genre), [genre]) for genre in genres]
    return [[row for tag in tags if (row := row_of(tag)) is not None] for tags in wanted]


def known_rows(network: PreTrainedModel) -> dict[str, list[int]]:
    """Rows of the last layer by canonical genre: one each, or one for each of a genre's sub-classes."""
    labels: dict[int, str] = dict(network.config.id2label or {})  # type: ignore[assignment]
    rows: dict[str, list[int]] = {}
    for row, genre in enumerate(_genre_of_rows(network)):
        rows.setdefault(canonical(labels[genre]), []).append(row)
    return rows


def last_layer(network: PreTrainedModel) -> tuple[str, nn.Linear]:
    """Name and module of the linear layer that gives the logits.

    Raises:
        ModelInvalid: there is no such layer outside the backbone.
    """
    outputs = len(_genre_of_rows(network))
    inside = {id(module) for module in backbone(network).modules()}
    layers = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and id(module) not in inside and module.out_features == outputs
    ]
    if not layers:
        raise ModelInvalid(f"{type(network).__name__} ends in no linear layer with an output for each of its labels.")
    return layers[-1]


def _copy_row(old: nn.Linear, source: int, new: nn.Linear, target: int) -> None:
    new.weight[target] = old.weight[source]
    if old.bias is not None:
        new.bias[target] = old.bias[source]


def _genre_of_rows(network: PreTrainedModel) -> list[int]:
    return getattr(network.config, "subclass_genre", None) or list(range(network.config.num_labels or 0))


def _relabel(network: PreTrainedModel, genres: Sequence[str], genre_of_rows: list[int]) -> None:
    network.config.id2label = dict(enumerate(genres))
    network.config.label2id = {genre: index for index, genre in enumerate(genres)}
    network.config.problem_type = None  # tags may hold together; a track has one genre
    network.num_labels = len(genres)  # type: ignore[assignment]
    if hasattr(network.config, "subclass_genre"):
        network.config.subclass_genre = genre_of_rows if len(genre_of_rows) > len(genres) else None
