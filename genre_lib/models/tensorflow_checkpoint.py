"""TensorFlow's checkpoints, read without TensorFlow.

A checkpoint is two files: ``.data-00000-of-00001``, the tensors' bytes one after another, and ``.index``, a sorted
table (LevelDB's format) from each tensor's name to a ``BundleEntryProto`` with its type, shape, offset and size. Both
are described in TensorFlow's sources, ``core/lib/io/format.h`` and ``core/protobuf/tensor_bundle.proto``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

FLOAT32 = 1
"""TensorFlow's number for the type."""


def tensors(index: bytes, data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Names and values of the float tensors.

    Args:
        index, data: the content of the two files.

    Raises:
        ValueError, KeyError, IndexError, struct.error: they are no such files, or damaged.
    """
    position = len(index) - 48  # the footer: two handles of blocks, filled up to 40 bytes, and a magic number
    _, position = _varint(index, position)
    _, position = _varint(index, position)
    offset, position = _varint(index, position)
    size, _ = _varint(index, position)
    for _, handle in _entries(index, offset, size):
        begin, after = _varint(handle, 0)
        length, _ = _varint(handle, after)
        for name, value in _entries(index, begin, length):
            entry = dict(_fields(value))
            if name and entry.get(1) == FLOAT32:
                yield name.decode(), _array(entry, data)


def _array(entry: dict[int, int | bytes], data: bytes) -> np.ndarray:
    """The tensor that an entry (2: shape, 4: offset, 5: size) describes."""
    shape = [
        int(dict(_fields(_bytes(size))).get(1, 0)) for number, size in _fields(_bytes(entry.get(2, b""))) if number == 2
    ]
    begin = int(entry.get(4, 0))
    return np.frombuffer(data[begin : begin + int(entry[5])], "<f4").reshape(shape)


def _entries(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; each key begins as the one before, and only its rest is written."""
    if table[offset + size]:
        raise ValueError("its table is compressed, which the published one is not")
    block = table[offset : offset + size]
    restarts = struct.unpack("<I", block[-4:])[0]
    position, end, key = 0, size - 4 - 4 * restarts, b""
    while position < end:
        shared, position = _varint(block, position)
        rest, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + rest]
        position += rest
        yield key, block[position : position + length]
        position += length


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a protobuf message's fields: integers, and bytes of the others."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        length, position = _varint(message, position) if kind == 2 else ({1: 8, 5: 4}[kind], position)
        yield tag >> 3, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """An integer of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("its index is damaged")
    return value
