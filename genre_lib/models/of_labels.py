"""What the configurations of our networks have in common: they are made for labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self


class OfLabels:
    """Stands before transformers' ``PreTrainedConfig`` among a configuration's bases."""

    @classmethod
    def for_labels(cls, labels: Sequence[str], **fields: Any) -> Self:
        """A configuration whose outputs are the labels, in their order."""
        names = dict(enumerate(labels))
        mapped: dict[str, Any] = {"id2label": names, "label2id": {name: index for index, name in names.items()}}
        return cls(**mapped, **fields)
