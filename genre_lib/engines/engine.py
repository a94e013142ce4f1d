"""What every engine is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch

Inputs = Mapping[str, torch.Tensor]
"""What a network takes, by name: ``input_values`` [clips, ...], and more for some."""


class Engine(Protocol):
    """A network, ready to be computed. One thread at a time may use it."""

    name: str
    size: int
    """Bytes that it takes beside the network that it was made of."""
    compiled_in: float | None
    """Seconds that making it took, where that is to be told of."""

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        """Logits [clips, classes] on the engine's device, where they may still be on their way."""
