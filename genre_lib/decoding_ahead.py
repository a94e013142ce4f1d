"""Files decoded by threads ahead of the network, by a few tracks and no more."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from genre_lib.audio import Audio, Limits, load
from genre_lib.beside_sound import Features
from genre_lib.errors import AudioError

DECODE_AHEAD = 2
"""Decoded tracks that may wait for the network: it bounds the memory, however many files there are."""


@dataclass(frozen=True)
class Decoded:
    """A file, its audio and what was described of it, or why there is none."""

    path: str
    audio: Audio | None = None
    features: Features | None = None
    error: AudioError | None = None


def decoded_file(
    path: str | os.PathLike, sample_rate: int, limits: Limits | None, describe: Callable[[], Features | None]
) -> Decoded:
    """Decode a file and have it described; what cannot be decoded is told, and a truncated one is taken as it is."""
    try:
        audio = load(path, sample_rate, limits=limits, on_truncated="ignore")
        return Decoded(os.fspath(path), audio, describe())
    except AudioError as error:
        return Decoded(os.fspath(path), error=error)


def decoded_ahead(
    paths: Iterable[str | os.PathLike], decode: Callable[[Any], Decoded], workers: int, is_batch: Any
) -> Iterator[list[Decoded]]:
    """Decode in threads, in order; each list holds what is ready, at least one and at most a batch.

    However the caller leaves (a break, an error, Ctrl-C), no thread outlives the generator.
    """
    waiting: deque[Future[Decoded]] = deque()
    remaining = iter(paths)
    executor = ThreadPoolExecutor(workers, thread_name_prefix="decode")

    def submit(count: int) -> None:
        for _, path in zip(range(count), remaining, strict=False):
            waiting.append(executor.submit(decode, path))

    try:
        submit(workers + DECODE_AHEAD)
        while waiting:
            ready = [waiting.popleft().result()]
            while waiting and waiting[0].done() and not is_batch(ready):
                ready.append(waiting.popleft().result())
            submit(len(ready))
            yield ready
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
