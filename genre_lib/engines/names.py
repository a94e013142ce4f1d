"""Engines by name: a library, and the numbers that it computes with."""

from __future__ import annotations

from genre_lib.errors import ConfigurationError

FLOAT32, BF16, FLOAT16 = "torch-float32", "torch-bf16", "torch-float16"
OPENVINO_FLOAT32, OPENVINO_BF16, OPENVINO_INT8 = "openvino-float32", "openvino-bf16", "openvino-int8"

ON_CPU = (FLOAT32, BF16, OPENVINO_FLOAT32, OPENVINO_BF16, OPENVINO_INT8)
ON_GPU = (FLOAT32, BF16, FLOAT16)
ENGINES = (FLOAT32, BF16, FLOAT16, OPENVINO_FLOAT32, OPENVINO_BF16, OPENVINO_INT8)

REPORT = "engine.json"
"""The file in a model's folder that says which was measured to be the fastest."""

AUTO, TORCH, OPENVINO = "auto", "torch", "openvino"
EXACT = {AUTO: FLOAT32, TORCH: FLOAT32, OPENVINO: OPENVINO_FLOAT32}
"""What is taken of all engines, or of a library's, where nothing was measured: the one that changes nothing."""

CHOICES = (*EXACT, *ENGINES)


def require_engine(name: str) -> str:
    """The name as it is.

    Raises:
        ConfigurationError: it is none of :data:`CHOICES`.
    """
    try:
        return parse_engine(name)
    except ValueError as error:
        raise ConfigurationError(f"{error}.") from error


def parse_engine(name: str) -> str:
    """The name as it is, for settings, which put the full stop behind what is wrong.

    Raises:
        ValueError: it is none of :data:`CHOICES`.
    """
    if name not in CHOICES:
        raise ValueError(f"Expected one of {', '.join(CHOICES)}, and got {name!r}")
    return name


def among(choice: str, device: str = "cpu") -> tuple[str, ...]:
    """The engines of a device that ``auto``, a library's name or an engine's own name leaves to choose from."""
    there = ON_GPU if device.startswith("cuda") else ON_CPU
    return tuple(name for name in there if choice in (AUTO, name, name.partition("-")[0]))
