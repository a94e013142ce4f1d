"""Tracks decoded in threads: some before they are asked for, while the network is at work on others."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from genre_lib import audio
from genre_lib.errors import AudioError
from genre_lib.service.messages import PredictRequest

SECONDS_AHEAD = 600.0
"""Audio that waits at most to be asked for, about 40 MB; beyond it a track is decoded when its turn comes."""

Decoded = audio.Audio | BaseException
"""A track, or why there is none."""

Key = tuple[str, int]
"""Path and sampling rate."""


class Decoder:
    """As many tracks are decoded beside each other as there are cores: FFmpeg lets go of the interpreter's lock.

    One thread asks for tracks by :meth:`tracks`; any may say what will be asked for by :meth:`ahead`.
    """

    def __init__(self, limits: audio.Limits) -> None:
        self.limits = limits
        self.workers = os.cpu_count() or 1
        self.threads = ThreadPoolExecutor(self.workers, thread_name_prefix="decode")
        self.begun: dict[Key, Future[audio.Audio | None]] = {}
        self.seconds = 0.0
        self.lock = threading.Lock()

    def ahead(self, request: PredictRequest, sample_rate: int) -> None:
        """Begin with a track that will be asked for, or dropped by :meth:`forget`."""
        self.begun[request.path, sample_rate] = self.threads.submit(self.decode_if_room, request, sample_rate)

    def tracks(self, group: Mapping[int, PredictRequest], sample_rate: int) -> Iterator[tuple[int, Decoded]]:
        """What became of each; of those that were not begun, no more are held than there are cores, and one."""
        waiting = deque(group.items())
        held: deque[tuple[int, PredictRequest, Future[audio.Audio | None]]] = deque()
        while waiting or held:
            while waiting and len(held) <= self.workers:
                i, request = waiting.popleft()
                begun = self.take((request.path, sample_rate))
                held.append((i, request, begun or self.threads.submit(self.decode, request, sample_rate)))
            i, request, future = held.popleft()
            error = future.exception()
            yield i, error or future.result() or self.decode_now(request, sample_rate)

    def forget(self, requests: Iterable[PredictRequest]) -> None:
        """Drop what was begun for these and not asked for."""
        paths = {request.path for request in requests}
        for key in [key for key in list(self.begun) if key[0] in paths]:
            if begun := self.take(key):
                begun.cancel()

    def decode(self, request: PredictRequest, sample_rate: int) -> audio.Audio:
        """The upload; what is shorter than it claims is heard as far as it goes."""
        return audio.load(request.path, sample_rate, limits=self.limits, on_truncated="ignore")

    def decode_now(self, request: PredictRequest, sample_rate: int) -> Decoded:
        """For whom there was no room ahead."""
        try:
            return self.decode(request, sample_rate)
        except AudioError as error:
            return error

    def decode_if_room(self, request: PredictRequest, sample_rate: int) -> audio.Audio | None:
        """:meth:`decode`, or None where too much is waiting already."""
        if self.seconds >= SECONDS_AHEAD:
            return None
        decoded = self.decode(request, sample_rate)
        with self.lock:
            self.seconds += decoded.duration
        return decoded

    def take(self, key: Key) -> Future[audio.Audio | None] | None:
        """What was begun, which then waits no more."""
        future = self.begun.pop(key, None)
        if future:
            future.add_done_callback(self.make_room)
        return future

    def make_room(self, future: Future[audio.Audio | None]) -> None:
        """Called once a track has been both taken and decoded."""
        decoded = None if future.cancelled() or future.exception() else future.result()
        with self.lock:
            self.seconds -= decoded.duration if decoded else 0.0
