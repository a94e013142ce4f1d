"""What the machine is and what it can do, as far as an engine's speed hangs on it. Nothing here imports torch early."""

from __future__ import annotations

import platform
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("torch", "transformers", "openvino", "nncf")


@cache
def processor() -> str:
    """The processor's name, such as ``AMD EPYC``."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def hardware(device: str) -> str:
    """Name of what computes: the processor, or the GPU of a device ``cuda`` or ``cuda:N``."""
    if not device.startswith("cuda"):
        return processor()
    import torch

    return torch.cuda.get_device_name(torch.device(device))


def versions() -> dict[str, str]:
    """Of the libraries that are installed here."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def has_bf16(device: str) -> bool:
    """Whether the device computes with bfloat16 itself, and does not only imitate it."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
