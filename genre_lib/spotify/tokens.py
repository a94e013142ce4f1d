"""The authorisation on disk: for its owner alone from the first byte, and replaced whole.

spotipy keeps its tokens in ``./.cache`` and makes that private only after it was written; here they lie in the folder
of ``SPOTIFY_PATH``, with the day on which the person signed in, for a refresh token dies six months after it.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from spotipy.cache_handler import CacheHandler

from genre_lib.errors import ReauthNeeded
from genre_lib.settings import Settings

NAME = "authorisation.json"
LOCK = ".authorisation.lock"
MONTHS = 6
"""So long after somebody signed in their refresh token dies."""

EARLY = 60.0
"""Seconds before its end from which on an access token counts as expired, as for spotipy."""


@dataclass(frozen=True)
class Authorisation:
    """That somebody let an app read their library.

    Args:
        client_id: of the app.
        account: a random word for this authorisation; not the person's id, which Spotify has to be asked for.
        scope: what may be read, separated by spaces.
        access_token, refresh_token: secrets, and so in no repr.
        expires_at: of the access token, in seconds since 1970.
        authorised_at: when the person signed in, in seconds since 1970.
    """

    client_id: str
    account: str
    scope: str
    expires_at: float
    authorised_at: float
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)

    @property
    def scopes(self) -> list[str]:
        return sorted(self.scope.split())

    @property
    def ends_at(self) -> float:
        """When the refresh token dies, in seconds since 1970."""
        return months_later(self.authorised_at, MONTHS)

    def is_expired(self, now: float) -> bool:
        """Whether the access token has to be refreshed."""
        return self.expires_at - now < EARLY


class Tokens(CacheHandler):
    """The file of one authorisation, as spotipy's managers read and write it.

    Args:
        folder: ``Settings.spotify_path``.
        client_id: of the app that it has to be for.
        now: seconds since 1970.
    """

    def __init__(self, folder: Path, client_id: str, now: Callable[[], float] = time.time) -> None:
        self.path = folder.expanduser() / NAME
        self._client_id = client_id
        self._now = now

    @classmethod
    def of(cls, settings: Settings) -> Tokens:
        return cls(settings.spotify_path, settings.spotify_client_id)

    def read(self) -> Authorisation | None:
        """What is there; None where nobody has signed in.

        Raises:
            ReauthNeeded: it cannot be read, or is for another app.
        """
        try:
            told = json.loads(self.path.read_text(encoding="utf-8"))
            found = Authorisation(**told)
            given(found.access_token), given(found.refresh_token)
            found.is_expired(found.authorised_at)  # numbers, or a TypeError
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise self._unusable("cannot be read") from error
        if found.client_id != self._client_id:
            raise self._unusable("is for another app than SPOTIFY_CLIENT_ID names")
        return found

    def begin(self, token_info: Mapping[str, Any]) -> Authorisation:
        """Keep what somebody who signs in brings, in the stead of what was there."""
        with self.locked():  # a refresh that is under way would put the older ones back
            return self._write(token_info, secrets.token_hex(8), self._now())

    def get_cached_token(self) -> dict[str, Any] | None:
        found = self.read()
        return vars(found).copy() if found else None

    def save_token_to_cache(self, token_info: Mapping[str, Any]) -> None:
        """Keep refreshed tokens; whose they are, and since when, stays as it was."""
        before = self.read()
        if before:
            self._write({"scope": before.scope, **token_info}, before.account, before.authorised_at)

    def delete(self) -> bool:
        """Forget the authorisation; whether there was one."""
        there = self.path.is_file()
        if there:
            with self.locked():
                self.path.unlink(missing_ok=True)
        self.path.with_name(LOCK).unlink(missing_ok=True)
        return there

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one process refreshes at a time: a refresh token that was used is worth nothing to the others."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.path.with_name(LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self, token_info: Mapping[str, Any], account: str, authorised_at: float) -> Authorisation:
        kept = Authorisation(
            client_id=self._client_id,
            account=account,
            scope=str(token_info.get("scope") or ""),
            expires_at=float(token_info["expires_at"]),
            authorised_at=authorised_at,
            access_token=given(token_info["access_token"]),
            refresh_token=given(token_info["refresh_token"]),
        )
        write_private(self.path, json.dumps(vars(kept)))
        return kept

    def _unusable(self, why: str) -> ReauthNeeded:
        return ReauthNeeded(f"The authorisation in {self.path} {why}; sign in anew with `genre spotify login`.")


def given(token: object) -> str:
    """A token that is one; a ValueError where it is not, which holds nothing of it."""
    if not isinstance(token, str) or not token:
        raise ValueError("expected a token")
    return token


def write_private(path: Path, text: str) -> None:
    """Write a text that is there whole or not at all, and that nobody else can read at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def months_later(seconds: float, months: int) -> float:
    """The same day so many months on, or the month's last where it has no such day; in seconds since 1970.

    >>> datetime.fromtimestamp(months_later(datetime(2026, 8, 31, 12).timestamp(), 6)).isoformat()
    '2027-02-28T12:00:00'
    """
    day = datetime.fromtimestamp(seconds)
    year, month = divmod(day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return day.replace(year=day.year + year, month=month + 1, day=min(day.day, last)).timestamp()
        except ValueError:
            continue
    raise AssertionError
