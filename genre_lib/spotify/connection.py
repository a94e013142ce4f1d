"""What is kept on this machine of a connection to Spotify, and how all of it goes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from genre_lib.settings import Settings
from genre_lib.spotify.database import NAME as DATABASE
from genre_lib.spotify.place import TABLES
from genre_lib.spotify.store import Store
from genre_lib.spotify.tokens import NAME as AUTHORISATION
from genre_lib.spotify.tokens import Tokens

REVOKE = "https://www.spotify.com/account/apps"
"""Where Spotify itself forgets that somebody let an app in."""


def kept(settings: Settings) -> dict[str, Path]:
    """What is there, by what it is."""
    folder = settings.spotify_path.expanduser()
    places = {"the authorisation": AUTHORISATION, "what was fetched": DATABASE, "its catalogues": TABLES}
    return {what: folder / name for what, name in places.items() if (folder / name).exists()}


def disconnect(settings: Settings, purge: bool = False) -> list[str]:
    """Forget the authorisation, and with ``purge`` everything of Spotify's; what was there of it, in words.

    It needs no app to be named and asks Spotify nothing: one's own data can always be deleted.
    """
    before = list(kept(settings))
    Tokens.of(settings).delete()
    for path in left_over(settings):
        path.unlink(missing_ok=True)
    if purge:
        Store.of(settings).purge()
        folder = settings.spotify_path.expanduser()
        shutil.rmtree(folder / TABLES, ignore_errors=True)
        with suppress(OSError):  # something of somebody else's is in it, or it was never there
            folder.rmdir()
    return [what for what in before if what not in kept(settings)]


def left_over(settings: Settings) -> Iterator[Path]:
    """Tokens that a process was killed over before they were at their place."""
    return settings.spotify_path.expanduser().glob(f".{AUTHORISATION}.*")
