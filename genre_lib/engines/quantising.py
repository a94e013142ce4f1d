"""Networks in 8-bit integers: their range is learned by a few dozen clips that go through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genre_lib.engines.compiled import CompiledCache
from genre_lib.engines.engine import Inputs
from genre_lib.engines.names import OPENVINO_INT8
from genre_lib.engines.openvino_engine import INPUT, OpenVINOEngine, compile_and_keep, converted, require_possible
from genre_lib.engines.openvino_library import nncf, quiet, reason
from genre_lib.errors import EngineUnavailable
from genre_lib.networks.files import MODEL_TYPES
from genre_lib.networks.folder import LoadedModel

EXACT = (r".*classifier.*", r".*patch_embeddings.*", r".*feature_extractor.*")
"""Layers that keep their numbers: what hears the sound itself, and the last. On an AST of full width that nearly
halves the greatest difference of a probability (0.110 to 0.064, over 30 clips), and is no slower."""


def quantise(model: LoadedModel, clips: Sequence[Inputs], cache: CompiledCache) -> OpenVINOEngine:
    """The engine in 8 bits, calibrated on clips, and kept in the cache in place of one before.

    Args:
        clips: what the network takes, one clip each.

    Raises:
        EngineUnavailable: NNCF is not installed, or cannot quantise the network.
    """
    require_possible(OPENVINO_INT8)
    config: Any = model.network.config
    network = converted(model, clips[0])
    try:
        with quiet():
            found = _quantised(network, clips, transformer=config.model_type not in MODEL_TYPES)
    except Exception as error:  # nncf's have no common root
        raise EngineUnavailable(f"NNCF cannot quantise {model.name or 'the model'}: {reason(error)}.") from error
    return compile_and_keep(OPENVINO_INT8, model, found, cache)


def _quantised(network: Any, clips: Sequence[Inputs], transformer: bool) -> Any:
    library = nncf()
    data = library.Dataset(list(clips), lambda inputs: inputs[INPUT].numpy())
    kind = library.ModelType.TRANSFORMER if transformer else None
    preset = library.QuantizationPreset.MIXED
    exact = library.IgnoredScope(patterns=list(EXACT), validate=False)
    return library.quantize(network, data, preset=preset, model_type=kind, subset_size=len(clips), ignored_scope=exact)
