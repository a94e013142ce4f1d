"""What safetensors files say of themselves: eight bytes of length, then JSON with the tensors' shapes and places."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from genre_lib.errors import ModelInvalid

HEADER_BYTES = 8 * 1024**2
"""The most that a file may say of its tensors; a large transformer's takes a tenth of a MiB."""


STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")
"""Endings of what a batch norm counts and does not learn; it is in the files, and is no parameter."""


def count_parameters(folder: Path) -> int:
    """Parameters in a folder's weights, by the files' headers alone.

    Raises:
        ModelInvalid: there are no weights, or they are cut off, or no safetensors.
    """
    weights = list(folder.glob("*.safetensors"))
    try:
        found = [(name, entry) for path in weights for name, entry in tensors(path).items()]
        count = sum(math.prod(entry["shape"]) for name, entry in found if not name.endswith(STATISTICS))
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelInvalid(f"{folder} holds weights that cannot be read. Copy or train the model anew.") from error
    if not weights:
        raise ModelInvalid(f"{folder} is no model folder: it holds no safetensors file. Copy or train the model anew.")
    return count


def tensors(path: Path) -> dict[str, dict[str, Any]]:
    """The tensors' entries of a file's header, by their names.

    Raises:
        ValueError: the file ends before they do, or its header is too long to be one.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > HEADER_BYTES:
            raise ValueError("no header")
        header = json.loads(file.read(length))
    found = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if size < 8 + length + max((entry["data_offsets"][1] for entry in found.values()), default=0):
        raise ValueError("cut off")
    return found


def bytes_of_tensors(folder: Path) -> int:
    """About what a folder's weights take in memory: their files without the headers."""
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = 8 + int.from_bytes(file.read(8), "little")
        total += max(0, path.stat().st_size - header)
    return total
