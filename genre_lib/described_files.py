"""Descriptors of files: of many at once, in their order, and remembered by their content."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from genre_lib.audio import Limits
from genre_lib.cache import JsonCache, combine, content_digest
from genre_lib.descriptors import ANALYSIS_VERSION, Descriptors, analyze_file
from genre_lib.errors import AudioError
from genre_lib.settings import MIB, Settings
from genre_lib.working_ahead import worked_ahead

CACHE_BYTES = 128 * MIB
"""Of all descriptions that are remembered; one takes less than a KiB."""

AHEAD = 2
"""Files beside those being analysed that may wait to be fetched: it bounds the memory, however many files there are."""


@dataclass(frozen=True)
class TrackDescriptors:
    """The row of a file: its descriptors, or why there are none."""

    path: str
    features: Descriptors | None = None
    error: str | None = None
    """A sentence for a person; None where all went well."""
    code: str | None = None
    """The error's name for machines, such as ``not_audio``."""

    @property
    def warning(self) -> str | None:
        """That the file is damaged, in a sentence, or None."""
        return self.features.warning(self.path) if self.features else None

    def to_json(self) -> dict[str, Any]:
        """The row of a JSON file: path, features, error, and a warning where there is one."""
        row = {"path": self.path, "features": self.features and self.features.to_json(), "error": self.error}
        return row | ({"warning": self.warning} if self.warning else {})


def cached_file(
    path: str | os.PathLike,
    settings: Settings,
    limits: Limits | None = None,
    *,
    on_looked: Callable[[bool], None] | None = None,
) -> Descriptors:
    """:func:`analyze_file`, remembered below the settings' ``cache_path`` by the file's content.

    A damaged entry is computed anew; where the disk refuses one, a warning says so. Of more than :data:`CACHE_BYTES`,
    what was unused for longest is forgotten.

    Args:
        limits: of what is refused; the settings' own if None.
        on_looked: is told whether it was remembered.

    Raises:
        AudioError: one of its kinds, such as NotAudio. Errors are not remembered.
    """
    limits = limits or Limits(settings.max_audio_bytes, settings.max_audio_seconds)
    remembered = _remembered(settings.cache_path / "descriptors", min(settings.cache_max_bytes, CACHE_BYTES))
    key = _key(Path(path), limits)
    found = _read(remembered.get(key), limits) if key else None
    if on_looked is not None:
        on_looked(found is not None)
    if found is None:
        found = analyze_file(path, limits)
        if key:
            remembered.put(key, found.to_json())
    return found


def analyze_files(
    paths: Iterable[str | os.PathLike],
    *,
    settings: Settings | None = None,
    limits: Limits | None = None,
    workers: int | None = None,
) -> Iterator[TrackDescriptors]:
    """Describe many files in their order, lazily, in threads that work ahead by a few files and no more.

    A file that cannot be decoded is a row with its error. However the caller leaves (a break, an error, Ctrl-C), no
    thread outlives the generator.

    Args:
        settings: where given, descriptions are remembered as by :func:`cached_file`.
        workers: threads; one for each processor, up to four, if None.
    """

    def describe(path: str | os.PathLike) -> TrackDescriptors:
        name = os.fspath(path)
        try:
            found = cached_file(path, settings, limits) if settings else analyze_file(path, limits)
        except AudioError as error:
            return TrackDescriptors(name, error=str(error), code=error.code)
        return TrackDescriptors(name, found)

    workers = workers or min(4, os.cpu_count() or 1)
    for rows in worked_ahead(paths, describe, workers, AHEAD, "describe"):
        yield from rows


@cache
def _remembered(root: Path, max_bytes: int) -> JsonCache:
    """One for each folder, which keeps count of what it has written."""
    return JsonCache(root, max_bytes)


def _key(path: Path, limits: Limits) -> str | None:
    """Under which a file's description is kept; None for what cannot be read, or is not to be."""
    try:
        if limits.max_bytes is not None and path.stat().st_size > limits.max_bytes:
            return None
        return combine(content_digest(path), ANALYSIS_VERSION)
    except (OSError, ValueError):  # decoding says it better
        return None


def _read(kept: Any, limits: Limits) -> Descriptors | None:
    """What was kept, if it is whole and within the limits."""
    try:
        found = Descriptors.from_json(kept)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return None if limits.max_seconds is not None and found.duration > limits.max_seconds else found
