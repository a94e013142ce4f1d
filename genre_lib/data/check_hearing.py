"""Each file of a catalogue opened once, for its check: its tag, its length, its fingerprint, or its error."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from genre_lib import audio
from genre_lib.cache import ArrayCache, combine, content_digest
from genre_lib.data import fingerprint
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.fingerprint import Fingerprint
from genre_lib.data.tags import read_tags
from genre_lib.errors import AudioError, AudioNotFound
from genre_lib.settings import get_settings


@dataclass(frozen=True)
class Heard:
    """What is known of a file after it was opened once."""

    path: str
    tag: str
    seconds: float = 0.0
    error: AudioError | None = None
    truncated: str | None = None
    fingerprint: Fingerprint | None = None


def listen_all(
    catalogue: Catalogue, decode: bool, workers: int | None, progress: Callable[[int, int], None] | None
) -> Iterator[Heard]:
    """Each file in the catalogue's order. Threads do: FFmpeg, the FFT and NumPy leave the interpreter free."""
    tracks = catalogue.tracks
    known = tracks["tag_genre"] if "tag_genre" in tracks else [None] * len(tracks)
    with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
        heard = pool.map(partial(listen, decode=decode), tracks["path"], known)
        for done, each in enumerate(heard, 1):
            if progress:
                progress(done, len(tracks))
            yield each


def unheard(catalogue: Catalogue) -> list[Heard]:
    """What is known of tracks without their files."""
    return [Heard(path, "") for path in catalogue.tracks["path"]]


def listen(path: str, tag: str | None, decode: bool) -> Heard:
    """Open a file once: its tag, its length, its fingerprint, or its error."""
    tag = read_tags(Path(path))["tag_genre"] if tag is None else tag
    try:
        if not Path(path).is_file():
            raise AudioNotFound(f"There is no file at {path}.")
        return hear(path, tag) if decode else remembered(path, tag)
    except AudioError as error:
        return Heard(path, tag, error=error)


def remembered(path: str, tag: str) -> Heard:
    """What an earlier hearing kept of a file's content, which is read and not decoded."""
    cache = heard_before()
    record = cache.get(key_of(path)) if cache.root.is_dir() else None
    if record is None:
        return Heard(path, tag)
    known = Fingerprint.from_record(record)
    return Heard(path, tag, known.seconds, fingerprint=known)


def heard_before() -> ArrayCache:
    settings = get_settings()
    return ArrayCache(settings.cache_path / "fingerprints", settings.cache_max_bytes)


def key_of(path: str) -> str:
    return combine(content_digest(path), fingerprint.VERSION)


def hear(path: str, tag: str) -> Heard:
    """Decode a file; a whole one is decoded once, and known from the cache by its content from then on."""
    cache, key = heard_before(), key_of(path)
    record = cache.get(key)
    if record is not None:
        known = Fingerprint.from_record(record)
        return Heard(path, tag, known.seconds, fingerprint=known)
    decoded = audio.load(path, fingerprint.SAMPLE_RATE, on_truncated="ignore")
    found = Fingerprint.of(decoded.waveform)
    if not decoded.warning:
        cache.put(key, found.to_record())
    return Heard(path, tag, decoded.duration, None, decoded.warning, found)
