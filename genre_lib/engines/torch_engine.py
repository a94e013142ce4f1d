"""Networks computed by torch, in float32 or in half of it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch

from genre_lib.engines.engine import Inputs
from genre_lib.engines.names import BF16, FLOAT16, FLOAT32
from genre_lib.networks.device import sent
from genre_lib.networks.files import MODEL_TYPES

DTYPES = {FLOAT32: torch.float32, BF16: torch.bfloat16, FLOAT16: torch.float16}


class TorchEngine:
    """A network as torch computes it.

    In half precision the weights of a transformer are converted once; that is faster than to have autocast convert them
    in every pass, and as exact. Our own networks have norms that want float32, and autocast leaves these be.

    Args:
        network: float32, on the device; it stays as it is.
        name: one of :data:`DTYPES`.
    """

    compiled_in: float | None = None

    def __init__(self, network: Any, device: str = "cpu", name: str = FLOAT32) -> None:
        self.name = name
        self.device = torch.device(device)
        self.dtype = DTYPES[name]
        self.autocast = name != FLOAT32 and network.config.model_type in MODEL_TYPES
        converted = name != FLOAT32 and not self.autocast
        self.network = deepcopy(network).to(self.dtype) if converted else network
        self.size = sum(tensor.nbytes for tensor in self.network.parameters()) if converted else 0

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        """Logits [clips, classes] in float32, on the device."""
        given = {name: self._there(value) for name, value in inputs.items()}
        with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=self.autocast):
            return self.network(**given).logits.float()

    def _there(self, value: torch.Tensor) -> torch.Tensor:
        value = sent(value, self.device)
        return value.to(self.dtype) if value.is_floating_point() and not self.autocast else value
