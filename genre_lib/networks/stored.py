"""What every ``config.json`` of ours holds beside the network's shape, as prediction reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

import torch


@dataclass(eq=False, repr=False)
class StoredConfig:
    """Labels, and how tracks are cut and pooled.

    Args:
        id2label: genre of each logit.
        inference: lengths and temperature, as :class:`genre_lib.networks.folder.InferenceSettings` has them.
        base_model: name of the model that this one was fine-tuned from.
        trained_on: names of the music that the weights came with; None where they came with none.
    """

    id2label: dict[int, str] = field(default_factory=dict)
    inference: dict[str, Any] | None = None
    base_model: str | None = None
    trained_on: list[str] | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """From the content of ``config.json``; what else stands there is passed over.

        Raises:
            ValueError: a value that no network can be built with.
        """
        config = cls(**{known.name: stored[known.name] for known in fields(cls) if known.name in stored})
        config.id2label = {int(index): label for index, label in config.id2label.items()}
        config.check_shape(config.num_labels)
        return config

    @property
    def num_labels(self) -> int:
        """Labels that the network tells apart."""
        return len(self.id2label)

    def check_shape(self, genres: int) -> None:
        """Refuse what no network for so many genres can be built or run with.

        Raises:
            ValueError: names the field, what it must be and what it is.
        """
        raise NotImplementedError


def require_counts(shape: object, what: str, counts: Iterable[Any]) -> None:
    """Refuse numbers of layers, bands and so on that are none.

    Raises:
        ValueError: names the shape's class, and ``what`` the numbers are of.
    """
    if not all(type(count) is int and count > 0 for count in counts):
        raise ValueError(f"{type(shape).__name__}: {what} must be whole and above zero.")


class Output(NamedTuple):
    """What a network says: logits [batch, genres]."""

    logits: torch.Tensor
