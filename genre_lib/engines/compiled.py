"""Networks as OpenVINO compiled them, kept on disk: compiling anew takes seconds, and quantising minutes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from genre_lib.cache import FileCache, combine
from genre_lib.engines.machine import hardware, versions

MAX_BYTES = 4 * 1024**3
"""The cache forgets what was least used beyond this; AST-base in float32 or bf16 takes 0.34 GB."""

VERSION = "1"
"""Part of every key; raised when the same network would be compiled otherwise."""


class CompiledCache(FileCache):
    """Compiled networks, each a file that OpenVINO reads again."""

    def __init__(self, cache_path: Path, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(cache_path / "engines", max_bytes, ".compiled")

    def get(self, key: str) -> bytes | None:
        """What was kept, or None."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(path)
        return content

    def put(self, key: str, content: bytes) -> None:
        """Keep it; where the disk refuses, warn."""
        self._keep(key, lambda file: file.write(content))

    def forget(self, key: str) -> None:
        """Delete what turned out to be damaged."""
        with suppress(OSError):
            self._path(key).unlink()


def key_of(weights: str, engine: str) -> str:
    """Key of a network by the digest of its weights, on this processor and by these libraries."""
    libraries = " ".join(f"{name} {version}" for name, version in versions().items())
    return combine(weights, engine, hardware("cpu"), libraries, VERSION)
