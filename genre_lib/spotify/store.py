"""What was fetched from Spotify, on disk: every reply with its date, so that nothing is asked for twice.

A *listing* is something that comes in pages, such as the saved tracks, or one playlist's items. Its *edition* says
which state of it the pages show: a playlist's is its snapshot, and others are counted. An edition replaces the one
before it once its last page is there; until then the older one is what the library shows.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from genre_lib.settings import Settings
from genre_lib.spotify import replies
from genre_lib.spotify.assembled import assemble
from genre_lib.spotify.budget import DAY, Budget
from genre_lib.spotify.database import NAME, Database
from genre_lib.spotify.library import Library, Refused, Track

FRESH_DAYS = 30.0
"""An artist, a track, or a refusal is asked for again after so long."""

OPEN_DAYS = 7.0
"""A collection that was interrupted goes on for so long where it was; after that its listings begin anew."""

COMPLETE = ""
"""Stands for the next page's address on the last page."""


@dataclass(frozen=True)
class Place:
    """Where a listing's pages lie: whose, which, in which state."""

    user: str
    listing: str
    edition: str


class Store:
    """The replies of one or several users' libraries, side by side in one file; use it in one thread at a time.

    Args:
        path: folder of the file, as ``SPOTIFY_PATH`` names it.
        calls_per_day: own limit on calls; 0 for none.
        fresh_days: how long an artist, a track or a refusal counts.
        now: seconds since 1970.
    """

    def __init__(
        self,
        path: Path,
        *,
        calls_per_day: int = 0,
        fresh_days: float = FRESH_DAYS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = Database(path.expanduser() / NAME)
        self._fresh = fresh_days * DAY
        self._now = now
        self.budget = Budget(self._database, calls_per_day, now)

    @classmethod
    def of(cls, settings: Settings, **options: Any) -> Store:
        """The store that the settings name, with their limit."""
        return cls(settings.spotify_path, calls_per_day=settings.spotify_calls_per_day, **options)

    # --- collections --------------------------------------------------------------------------------------------------

    def begin(self, user: str, sources: Iterable[str]) -> dict[str, str]:
        """Open an edition of each source, or go on with the one that an interrupted collection left open."""
        with self._database.transaction() as database:
            return {source: str(self._edition(database, user, source)) for source in sources}

    def _edition(self, database: Connection, user: str, source: str) -> int:
        now, sql = self._now(), "SELECT number, open, begun FROM editions WHERE user = ? AND source = ?"
        number, is_open, begun = database.execute(sql, (user, source)).fetchone() or (0, 0, 0.0)
        if is_open and now - begun < OPEN_DAYS * DAY:
            return int(number)
        database.execute("INSERT OR REPLACE INTO editions VALUES (?, ?, ?, 1, ?)", (user, source, number + 1, now))
        return int(number) + 1

    def finish(self, user: str, sources: Iterable[str]) -> None:
        """Close these sources' editions: they begin anew next time. All at once, so none is open alone."""
        with self._database.transaction() as database:
            for source in sources:
                database.execute("UPDATE editions SET open = 0 WHERE user = ? AND source = ?", (user, source))

    def is_complete(self, user: str) -> bool:
        """Whether something was collected, and no collection was interrupted."""
        row = self._database.rows("SELECT COUNT(*), SUM(open) FROM editions WHERE user = ?", (user,)).fetchone()
        return bool(row[0]) and not row[1]

    # --- pages --------------------------------------------------------------------------------------------------------

    def progress(self, place: Place) -> tuple[int, str | None]:
        """How many pages of it are here, and the next one's address: :data:`COMPLETE` at the end, None at the start."""
        sql = """SELECT position + 1, next FROM pages WHERE user = ? AND listing = ? AND edition = ?
                 ORDER BY position DESC LIMIT 1"""
        row = self._database.rows(sql, (place.user, place.listing, place.edition)).fetchone()
        return (row[0], row[1]) if row else (0, None)

    def put_page(self, place: Place, position: int, page: Mapping[str, Any], next_page: str) -> None:
        """Keep a page, with the artists that it tells genres of; the last one lets older editions go."""
        key = (place.user, place.listing, place.edition)
        with self._database.transaction() as database:
            values = (*key, position, self._now(), next_page, packed(page))
            database.execute("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            for reply, artist in ((reply, replies.artist(reply)) for reply in replies.entries(page)):
                if artist and artist.genres is not None:  # so it is no track
                    self._put_artist(database, artist, reply)
            if next_page == COMPLETE:
                database.execute("DELETE FROM pages WHERE user = ? AND listing = ? AND edition != ?", key)
                database.execute("DELETE FROM refusals WHERE user = ? AND listing = ?", key[:2])

    def pages(self, user: str, listing: str) -> Iterator[dict[str, Any]]:
        """The pages of its whole edition; where none is whole yet, those that are here of the newest."""
        sql = "SELECT edition FROM pages WHERE user = ? AND listing = ? ORDER BY next = '' DESC, at DESC LIMIT 1"
        row = self._database.rows(sql, (user, listing)).fetchone()
        if row:
            sql = "SELECT body FROM pages WHERE user = ? AND listing = ? AND edition = ? ORDER BY position"
            for (body,) in self._database.rows(sql, (user, listing, row[0])):
                yield unpacked(body)

    def keep_only(self, user: str, prefix: str, listings: Iterable[str]) -> None:
        """Forget the listings below ``prefix`` that are not among these: playlists that are no more."""
        kept = set(listings)
        with self._database.transaction() as database:
            for table in ("pages", "refusals"):
                rows = database.execute(f"SELECT DISTINCT listing FROM {table} WHERE user = ?", (user,)).fetchall()
                gone = [(user, name) for (name,) in rows if name.startswith(prefix) and name not in kept]
                database.executemany(f"DELETE FROM {table} WHERE user = ? AND listing = ?", gone)

    # --- what Spotify does not give -----------------------------------------------------------------------------------

    def refuse(self, place: Place, refused: Refused) -> None:
        """Keep that a listing was refused, in the stead of its pages."""
        with self._database.transaction() as database:
            key = (place.user, place.listing)
            database.execute("DELETE FROM pages WHERE user = ? AND listing = ?", key)
            values = (*key, place.edition, self._now(), refused.reason, refused.name)
            database.execute("INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?, ?, ?)", values)

    def is_refused(self, place: Place) -> bool:
        """Whether that was the answer for this very edition, not too long ago."""
        sql = "SELECT 1 FROM refusals WHERE user = ? AND listing = ? AND edition = ? AND at > ?"
        key = (place.user, place.listing, place.edition, self._now() - self._fresh)
        return self._database.rows(sql, key).fetchone() is not None

    def refusals(self, user: str) -> dict[str, tuple[str, str]]:
        """Reason and name by listing."""
        rows = self._database.rows("SELECT listing, reason, name FROM refusals WHERE user = ?", (user,))
        return {listing: (reason, name) for listing, reason, name in rows}

    # --- artists and tracks -------------------------------------------------------------------------------------------

    def put_artist(self, artist_id: str, reply: Mapping[str, Any]) -> None:
        """Keep an artist as Spotify describes it by itself, under the id by which it was asked for."""
        found = replies.artist({**reply, "id": artist_id})
        with self._database.transaction() as database:
            self._put_artist(database, found, reply)

    def _put_artist(self, database: Connection, found: replies.Artist | None, reply: Mapping[str, Any]) -> None:
        if found:
            values = (found.id, self._now(), found.name, json.dumps(found.genres or ()), packed(reply))
            database.execute("INSERT OR REPLACE INTO artists VALUES (?, ?, ?, ?, ?)", values)

    def genres(self) -> dict[str, tuple[str, ...]]:
        """Spotify's genres of every artist that is here, by id."""
        rows = self._database.rows("SELECT id, genres FROM artists")
        return {id: tuple(json.loads(genres)) for id, genres in rows}

    def fresh_artists(self) -> set[str]:
        """Ids of the artists that need not be asked for."""
        rows = self._database.rows("SELECT id FROM artists WHERE at > ?", (self._now() - self._fresh,))
        return {id for (id,) in rows}

    def put_track(self, track_id: str, reply: Mapping[str, Any]) -> None:
        """Keep a single track, as ``/tracks/{id}`` describes it."""
        with self._database.transaction() as database:
            values = (track_id, self._now(), packed(reply))
            database.execute("INSERT OR REPLACE INTO tracks VALUES (?, ?, ?)", values)

    def track(self, track_id: str) -> Track | Refused | None:
        """A single track that was fetched not too long ago; None where it is to be asked for."""
        sql = "SELECT body FROM tracks WHERE id = ? AND at > ?"
        row = self._database.rows(sql, (track_id, self._now() - self._fresh)).fetchone()
        return replies.track(unpacked(row[0])) if row else None

    # --- facts, the library, the end ----------------------------------------------------------------------------------

    def remember(self, name: str, value: str) -> None:
        with self._database.transaction() as database:
            database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (name, self._now(), value))

    def recall(self, name: str) -> str | None:
        row = self._database.rows("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def users(self) -> list[str]:
        """Whose libraries are here."""
        return [user for (user,) in self._database.rows("SELECT DISTINCT user FROM editions ORDER BY user")]

    def library(self, user: str) -> Library:
        """What was fetched of a user's library so far; empty where nothing was."""
        return assemble(user, lambda listing: self.pages(user, listing), self.refusals(user), self.genres())

    def purge(self, user: str | None = None) -> None:
        """Delete all that was fetched, or one user's part of it; the file goes as well where it is all."""
        if user is None:
            self._database.delete()
            return
        with self._database.transaction() as database:
            for table in ("editions", "pages", "refusals"):
                database.execute(f"DELETE FROM {table} WHERE user = ?", (user,))

    def close(self) -> None:
        self._database.close()


def packed(reply: Mapping[str, Any]) -> bytes:
    """A reply as it is kept: JSON, compressed to about a sixth."""
    return zlib.compress(json.dumps(reply, ensure_ascii=False, separators=(",", ":")).encode())


def unpacked(body: bytes) -> dict[str, Any]:
    return json.loads(zlib.decompress(body))
