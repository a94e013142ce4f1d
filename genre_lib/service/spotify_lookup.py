"""A track of Spotify's on its way to a worker: what Spotify says of it, and its audio, found in threads of their own.

Spotify and the sources of audio are asked by blocking calls. They have threads for themselves, and few: where Spotify
hangs, uploads and fine-tuning go on, and who waits for a thread has the same time for it all.
"""

import asyncio
import hashlib
import os
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from genre_lib.errors import SpotifyTimeout
from genre_lib.service.tracks import Track, digest_of
from genre_lib.settings import Settings
from genre_lib.spotify import library
from genre_lib.spotify.asking import Asking
from genre_lib.spotify.client import Client
from genre_lib.spotify.coverage import named, sound_of
from genre_lib.spotify.single_track import single_track
from genre_lib.spotify.sound import AudioSource, Sound
from genre_lib.spotify.sources import sources_of
from genre_lib.spotify.store import Store

AT_ONCE = 4
"""Tracks that are looked up at the same time."""

LISTED_SECONDS = 300.0
"""So long the folder of music counts as it was listed."""

PATIENCE = 2.0
"""Seconds that a request waits for its turn at a source; longer waits are told."""


@dataclass(frozen=True)
class Found:
    """A track as Spotify knows it, and its audio."""

    track: library.Track
    sound: Sound


class Lookup:
    """Finds tracks and their audio.

    Args:
        settings: ``fetch_timeout``, and those of Spotify and of the sources.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="spotify")
        self._own = threading.local()
        self._lock = threading.Lock()
        self._sources: list[AudioSource] = []
        self._listed = -LISTED_SECONDS

    async def find(self, track_id: str) -> Found:
        """The track and its audio, within ``fetch_timeout``.

        Raises:
            SpotifyNotConfigured, SpotifyNotConnected: Spotify cannot be asked.
            SpotifyNotFound, NoAudio: there is no such track, or no audio of it.
            QuotaExceeded, RateLimited: not now; ``resume_at`` says when.
            SpotifyTimeout: it took too long.
            SpotifyError: as Spotify answers.
        """
        seconds = self.settings.fetch_timeout
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self.look_up, track_id)
        except TimeoutError:
            raise SpotifyTimeout(f"The track and its audio were not found within {seconds:g} s; try again.") from None

    def look_up(self, track_id: str) -> Found:
        """The same, at once and without a bound on the time in all."""
        client = self._client()
        with closing(Store.of(self.settings)) as store:
            track = single_track(Asking(client, store.budget, patience=0.0), store, track_id)
        return Found(track, sound_of(track, self._asked()))

    def _client(self) -> Client:
        """This thread's own; it reads anew who is signed in at every call."""
        if not hasattr(self._own, "client"):
            self._own.client = Client.for_tracks(self.settings)
        client: Client = self._own.client
        return client

    def _asked(self) -> list[AudioSource]:
        """The sources; the folder is listed anew once in a while, by one thread alone."""
        with self._lock:
            if time.monotonic() - self._listed >= LISTED_SECONDS:
                self._sources = sources_of(self.settings, patience=PATIENCE)
                for source in self._sources:
                    _ = getattr(source, "matcher", None)  # lists the folder
                self._listed = time.monotonic()
            return self._sources


@asynccontextmanager
async def held(found: Found, folder: Path) -> AsyncIterator[Track]:
    """The audio as a worker can read it: a file of the user's own where it lies, a preview in memory.

    Args:
        folder: that the processes share.
    """
    name = named(found.track)
    if found.sound.path:
        digest = await asyncio.to_thread(digest_of, found.sound.path)
        yield Track(str(found.sound.path), name, digest)
        return
    content = found.sound.content or b""
    with in_memory(content, folder / f"upload-{uuid.uuid4().hex}") as path:
        yield Track(str(path), name, hashlib.sha256(content).hexdigest())


@contextmanager
def in_memory(content: bytes, path: Path) -> Iterator[Path]:
    """Bytes at a path that other processes can read, and on no disk: terms of previews allow no copy.

    Only Linux has such files; elsewhere it is a file that is gone after the block.
    """
    try:
        if not hasattr(os, "memfd_create"):
            path.write_bytes(content)
            yield path
            return
        with open(os.memfd_create("preview"), "wb", buffering=0) as file:  # noqa: PTH123  (it has no path)
            file.write(content)
            path.symlink_to(f"/proc/{os.getpid()}/fd/{file.fileno()}")  # a name that no later request has
            yield path
    finally:
        path.unlink(missing_ok=True)
