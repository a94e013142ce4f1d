"""From Spotify to the table that a personal model is trained on, in one go: collect, label, find the audio."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Protocol

from genre_lib.settings import Settings
from genre_lib.spotify.access import require_app
from genre_lib.spotify.client import Client
from genre_lib.spotify.collect import collect
from genre_lib.spotify.music_folder import MusicFolder
from genre_lib.spotify.personal import Personal, label, make_table
from genre_lib.spotify.place import ME, SpotifyPlace
from genre_lib.spotify.sources import music_folder
from genre_lib.spotify.store import Store
from genre_lib.spotify.tags import tags_of


class Watcher(Protocol):
    """Whoever is told how far it is; an error that it raises ends it, and what was fetched is kept."""

    def fetched(self, done: int, total: int, what: str) -> None:
        """So much of what Spotify is being asked for is here."""

    def matched(self, done: int, total: int, what: str) -> None:
        """So many files were listed, recordings asked about, or tracks looked up."""

    def refused(self, what: str, why: str) -> None:
        """Spotify does not tell of a whole listing; it goes on with the others."""


def gather(
    place: SpotifyPlace, settings: Settings, watcher: Watcher, sleep: Callable[[float], None] = time.sleep
) -> Personal:
    """Collect the library that a place names, and make the table that it stands for.

    Only what is missing or has changed is asked of Spotify.

    Args:
        sleep: seconds, between calls that Spotify wants a wait before.

    Raises:
        ConfigurationError: ``MUSIC_PATH`` is not set, or is no folder.
        SpotifyNotConfigured, SpotifyNotConnected: Spotify cannot be asked.
        QuotaExceeded, RateLimited: the calls are used up; the same again goes on where it was.
        LibraryEmpty, LabelsInvalid, NoAudio, CatalogueInvalid: too little comes of it; says what to do.
        SpotifyError: as Spotify answers.
    """
    require_app(settings)
    folder = listing(music_folder(settings), watcher)
    client = Client.for_user(settings)
    with closing(Store.of(settings)) as store:
        user = None if place.user == ME else place.user
        summary = collect(client, store, user_id=user, progress=watcher.fetched, sleep=sleep)
        for what, why in summary.not_told.items():
            watcher.refused(what, why)
        library = store.library(summary.user_id)
        tags = tags_of(settings, store, lambda asked: watcher.matched(asked, len(library.tracks), "tags"))
        labels = label(place, library, tags if place.kind == "genre" else None)

    def looked_up(done: int, total: int) -> None:
        watcher.matched(done, total, "tracks")

    return make_table(place, library, settings, labels=labels, folder=folder, progress=looked_up)


def listing(folder: MusicFolder, watcher: Watcher) -> MusicFolder:
    """The folder, which tells the watcher when it is listed."""
    folder.progress = lambda done, total: watcher.matched(done, total, "files")
    return folder
