"""What is costly to compute, kept on disk under the digest of what it was computed from.

Arrays are read as memory maps, so that a hundred epochs cost no copy, and several processes share the pages. Entries
are written whole (a temporary name, then a rename): no reader meets half of one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

STALE_SECONDS = 3600
"""A temporary file this old was left by a process that died."""

KEPT_SHARE = 0.9
"""When the cache is full it is emptied down to this share, so that not every new entry has to clear up."""

UNSEEN_SHARE = 0.05
"""Share of the bound that one process writes before it looks again at what all of them have written."""


class FileCache:
    """A folder of files, bounded in bytes: what was unused for longest is forgotten first. Safe for many processes.

    Args:
        root: the folder, made where it is needed.
        max_bytes: of all entries together.
        suffix: of an entry's file.
    """

    def __init__(self, root: Path, max_bytes: int, suffix: str) -> None:
        self.root = Path(root)
        self.max_bytes = max_bytes
        self.suffix = suffix
        self._allowance = 0.0  # Bytes to write before the folder is listed again.

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.root / name[:2] / f"{name[2:]}{self.suffix}"

    def _keep(self, key: str, write: Callable[[IO[bytes]], object]) -> bool:
        """Keep what ``write`` writes, whole or not at all; False, and a warning, where the disk refuses."""
        try:
            self._make_room(self._write(self._path(key), write))
        except OSError as error:
            reason = error.strerror or error
            warnings.warn(f"The cache in {self.root} cannot keep an entry: {reason}.", stacklevel=3)
            return False
        return True

    def _write(self, path: Path, write: Callable[[IO[bytes]], object]) -> int:
        """Write aside, then rename; returns bytes written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".partial")
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
                size = file.tell()
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return size

    def _make_room(self, written: int) -> None:
        self._allowance -= written
        if self._allowance < 0:
            with self._lock():
                free = self.max_bytes - self._evict()
            self._allowance = min(free, UNSEEN_SHARE * self.max_bytes)

    def _evict(self) -> int:
        """Delete what was not used for longest until the bound is kept; returns the bytes that remain."""
        entries = sorted(self._entries())
        total = sum(size for _, size, _ in entries)
        goal = self.max_bytes * KEPT_SHARE if total > self.max_bytes else total
        for _, size, path in entries:
            if total <= goal:
                break
            path.unlink(missing_ok=True)
            total -= size
        return total

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """Time of last use, bytes and path of each entry; deletes on the way what a dead process left half-written."""
        for path in self.root.glob("??/*"):
            with suppress(FileNotFoundError):
                status = path.stat()
                if path.suffix == self.suffix:
                    yield status.st_mtime, status.st_size, path
                elif status.st_mtime < time.time() - STALE_SECONDS:
                    path.unlink()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One process at a time clears up; the system lets go of the lock when its holder dies."""
        with (self.root / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


_READING = threading.Lock()
"""NumPy parses a file's head as Python, and Python before 3.12 counts how deep it is for all threads together, so that
two at once can end in "AST constructor recursion depth mismatch" (CPython's issue 106905)."""


class ArrayCache(FileCache):
    """Arrays, each a ``.npy`` file."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        super().__init__(root, max_bytes, ".npy")

    def get(self, key: str) -> np.ndarray | None:
        """The array as a read-only memory map, or None. A damaged file counts as absent, and is deleted.

        A map holds its file open: keep keys, not arrays, where there are thousands.
        """
        path = self._path(key)
        try:
            with _READING:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError):
            with suppress(OSError):
                path.unlink()
            return None
        except OSError:
            return None
        with suppress(OSError):
            os.utime(path)
        return array

    def put(self, key: str, array: np.ndarray) -> np.ndarray:
        """Keep the array, and return it as :meth:`get` would. Where the disk refuses, warn and return it as it came."""
        if not self._keep(key, lambda file: np.save(file, array, allow_pickle=False)):
            return array
        kept = self.get(key)
        return array if kept is None else kept

    def get_or_compute(self, key: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """The kept array, or what ``compute`` returns, which is then kept. Two processes may both compute it."""
        array = self.get(key)
        return self.put(key, compute()) if array is None else array


class JsonCache(FileCache):
    """Small results, each a ``.json`` file."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        super().__init__(root, max_bytes, ".json")

    def get(self, key: str) -> Any:
        """What was kept, or None. A damaged file counts as absent."""
        path = self._path(key)
        try:
            kept = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        with suppress(OSError):
            os.utime(path)
        return kept

    def put(self, key: str, value: Any) -> None:
        """Keep what JSON can hold; where the disk refuses, warn."""
        content = json.dumps(value).encode() + b"\n"
        self._keep(key, lambda file: file.write(content))


def content_digest(source: str | os.PathLike | bytes) -> str:
    """SHA-256 in hex of a file's content, or of bytes: the same recording under another name is the same."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with Path(source).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def combine(*parts: str) -> str:
    """One key from several parts, such as a content's digest and the settings of the computation, in that order.

    Lengths are part of it, so that ``("ab", "c")`` and ``("a", "bc")`` differ.
    """
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode()).hexdigest()
