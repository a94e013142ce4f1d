"""Networks computed by OpenVINO, in float32, bfloat16, or 8-bit integers."""

from __future__ import annotations

import io
import logging
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from genre_lib.engines.compiled import CompiledCache, key_of
from genre_lib.engines.engine import Inputs
from genre_lib.engines.machine import has_bf16
from genre_lib.engines.names import OPENVINO_BF16, OPENVINO_FLOAT32, OPENVINO_INT8
from genre_lib.engines.openvino_library import openvino, quiet, reason
from genre_lib.engines.torch_engine import TorchEngine
from genre_lib.errors import EngineUnavailable
from genre_lib.networks.folder import LoadedModel

logger = logging.getLogger(__name__)

INPUT = "input_values"
MASK = "attention_mask"


class Logits(nn.Module):
    """A network as a function of one tensor, as OpenVINO's tracer wants it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        return self.network(input_values=input_values).logits


class OpenVINOEngine:
    """A compiled network. What it was not compiled for, such as clips with a mask, torch computes.

    Args:
        compiled: OpenVINO's.
        network: that it was made of.
        size: bytes of the compiled network.
        compiled_in: seconds; None where it was kept from another time.
    """

    def __init__(
        self, compiled: Any, network: nn.Module, name: str, size: int, compiled_in: float | None = None
    ) -> None:
        self.name = name
        self.size = size
        self.compiled_in = compiled_in
        self.request = compiled.create_infer_request()
        self.shape = compiled.input(0).partial_shape
        self.torch = TorchEngine(network)

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        """Logits [clips, classes] in float32."""
        if not self._takes(inputs):
            return self.torch(inputs)
        values = inputs[INPUT].contiguous().numpy()
        return torch.from_numpy(self.request.infer({0: values}, share_inputs=True)[0].copy())

    def _takes(self, inputs: Inputs) -> bool:
        """Whether nothing but the tensor counts, and it is as long as those that the network was traced with."""
        beside = {name: value for name, value in inputs.items() if name != INPUT}
        plain = not beside or (set(beside) == {MASK} and bool(beside[MASK].all()))
        return plain and self.shape.compatible(openvino().PartialShape(list(inputs[INPUT].shape)))


def make(name: str, model: LoadedModel, example: Callable[[], Inputs], cache: CompiledCache) -> OpenVINOEngine:
    """The engine from the cache, or compiled and kept there; one in 8 bits is only ever kept by a tuning.

    Args:
        example: gives what the network takes of a clip or two.

    Raises:
        EngineUnavailable: OpenVINO is not installed, has no way to compute the network, or there is no such engine.
    """
    require_possible(name)
    begun = time.perf_counter()
    key = key_of(model.version, name)
    if (kept := cache.get(key)) is not None:
        try:
            return OpenVINOEngine(_imported(kept, name), model.network, name, len(kept))
        except RuntimeError as error:
            logger.warning("%s of %s in the cache is damaged (%s).", name, model.name, reason(error))
            cache.forget(key)
    if name == OPENVINO_INT8:
        raise EngineUnavailable(
            f"{name} of {model.name or 'the model'} is made of clips of your music: "
            f"`genre models tune {model.name} --data-path MUSIC`."
        )
    engine = compile_and_keep(name, model, converted(model, example()), cache)
    engine.compiled_in = time.perf_counter() - begun
    logger.info("compiled %s of %s in %.1f s", name, model.name, engine.compiled_in)
    return engine


def require_possible(name: str) -> None:
    """Refuse where OpenVINO is absent, or the processor only imitates the numbers.

    Raises:
        EngineUnavailable.
    """
    if name == OPENVINO_BF16 and not has_bf16("cpu"):
        raise EngineUnavailable(f"{name} needs a processor with bfloat16, and this one has none.")
    openvino()


def converted(model: LoadedModel, example: Inputs) -> Any:
    """The network as OpenVINO's, in float32, for any number of clips.

    Raises:
        EngineUnavailable: it takes more than the sound, or cannot be converted.
    """
    if set(example) - {INPUT, MASK} or getattr(model.network.config, "features_source", None):
        raise EngineUnavailable(f"{model.name or 'The model'} takes more than the sound; only torch computes it.")
    library, values = openvino(), example[INPUT]
    try:
        with quiet(), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the tracer: lengths that are constant here
            found = library.convert_model(Logits(model.network).eval(), example_input=values)
            found.reshape([-1, *values.shape[1:]])
    except Exception as error:  # what the tracer raises has no common root
        raise EngineUnavailable(f"OpenVINO cannot convert {model.name or 'the model'}: {reason(error)}.") from error
    return found


def compile_and_keep(name: str, model: LoadedModel, network: Any, cache: CompiledCache) -> OpenVINOEngine:
    """Compile OpenVINO's network, and keep it under the model's weights; without a digest of these it is not kept.

    Raises:
        EngineUnavailable: it cannot be compiled.
    """
    try:
        compiled = openvino().Core().compile_model(network, "CPU", settings(name))
        content = compiled.export_model().getvalue()
    except RuntimeError as error:
        raise EngineUnavailable(f"OpenVINO cannot compile {model.name or 'the model'}: {reason(error)}.") from error
    if model.version:
        cache.put(key_of(model.version, name), content)
    return OpenVINOEngine(compiled, model.network, name, len(content))


def settings(name: str) -> dict[str, Any]:
    """Of the compilation: one request at a time, by as many threads as torch takes, which the scheduler may move."""
    exact = name == OPENVINO_FLOAT32 or not has_bf16("cpu")
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32" if exact else "bf16",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,
    }


def _imported(content: bytes, name: str) -> Any:
    return openvino().Core().import_model(io.BytesIO(content), "CPU", settings(name))
