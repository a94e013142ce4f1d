"""Files of counts that take their room on the disk before anything is written to them.

``prometheus_client`` 0.26 maps files that have a size and no room yet. On a full disk the first write to such a page
kills the process (SIGBUS), and be it the one that answers all requests. Here what finds no room is counted in memory
until there is some: the library keeps each value there, too, and writes it whole every time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict

INITIAL_BYTES = 64 * 1024
"""Of a file; it grows by doubling."""

PADDING = 32
"""What a value takes at most beside its key: length, padding, the number and its time."""


class ReservedDict(MmapedDict):
    """In place of the library's, for writing."""

    _f: Any
    _m: Any

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self.filename = Path(filename)
        self._f, self._m, self._positions = None, None, {}  # as of one that is closed
        with suppress(OSError):
            self.open()

    def open(self) -> None:
        """Map the file.

        Raises:
            OSError: there is no room for it.
        """
        if not self.filename.exists():
            reserve_new(self.filename, INITIAL_BYTES)
        super().__init__(str(self.filename))

    def _init_value(self, key: str) -> None:
        """Called for a key that has no place in the file yet."""
        if self._f is None:
            self.open()
        capacity, needed = self._capacity, self._used + len(key.encode()) + PADDING
        while capacity < needed:
            capacity *= 2
        reserve(self._f.fileno(), capacity)
        super()._init_value(key)

    def read_value(self, key: str) -> tuple[float, float]:
        try:
            value: tuple[float, float] = super().read_value(key)
        except OSError:
            return 0.0, 0.0
        return value

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        with suppress(OSError):
            super().write_value(key, value, timestamp)


def reserve(file: int, size: int) -> None:
    """Take room for so many bytes of an open file."""
    if hasattr(os, "posix_fallocate"):  # macOS has none
        os.posix_fallocate(file, 0, size)


def reserve_new(path: Path, size: int) -> None:
    """A file of zeros that has its room; there whole or not at all, since whoever asks reads all files there are."""
    aside = path.with_suffix(".new")
    try:
        with aside.open("wb") as file:
            reserve(file.fileno(), size)
            file.truncate(size)
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)
