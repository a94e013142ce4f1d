"""How many calls may still be made to Spotify: counted on disk, over processes and days."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime

from genre_lib.errors import QuotaExceeded, RateLimited
from genre_lib.spotify.database import Database
from genre_lib.wording import counted

DAY = 24 * 3600.0
WAIT = "wait"


class Budget:
    """The log of calls of the last 24 hours, the own limit on them, and until when Spotify said to wait.

    Args:
        database: where it is kept.
        calls_per_day: most calls in any 24 hours; 0 for no own limit.
        now: seconds since 1970.
    """

    def __init__(self, database: Database, calls_per_day: int = 0, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._limit = calls_per_day
        self._now = now

    def before_call(self, path: str) -> None:
        """Note a call that is about to be made.

        Raises:
            QuotaExceeded: the own limit is reached, or Spotify said that the app's is.
            RateLimited: Spotify said to wait until a time that is still to come.
        """
        now = self._now()
        self._heed_wait(now)
        with self._database.transaction() as database:
            database.execute("DELETE FROM calls WHERE at <= ?", (now - DAY,))
            self._heed_limit()
            database.execute("INSERT INTO calls VALUES (?, ?)", (now, path.partition("?")[0]))

    def require_open(self) -> None:
        """Refuse as the next call would be, and note none.

        Raises:
            QuotaExceeded, RateLimited: as :meth:`before_call`.
        """
        self._heed_wait(self._now())
        self._heed_limit()

    def wait_until(self, resume_at: float, quota: bool) -> None:
        """Note that Spotify answers no calls until then; ``quota`` where it is the app's calls that are used up."""
        told = json.dumps({"resume_at": resume_at, "quota": quota})
        with self._database.transaction() as database:
            database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (WAIT, self._now(), told))

    def refused(self, error: RateLimited) -> None:
        """Note what a call was answered with: the same, from the error that it became."""
        self.wait_until(error.resume_at, isinstance(error, QuotaExceeded))

    def calls_in_day(self) -> int:
        """Calls of the last 24 hours."""
        sql = "SELECT COUNT(*) FROM calls WHERE at > ?"
        return int(self._database.rows(sql, (self._now() - DAY,)).fetchone()[0])

    def _heed_wait(self, now: float) -> None:
        row = self._database.rows("SELECT value FROM facts WHERE name = ?", (WAIT,)).fetchone()
        told = json.loads(row[0]) if row else {"resume_at": 0.0}
        if told["resume_at"] <= now:
            return
        when = clock_time(told["resume_at"])
        if told["quota"]:
            raise QuotaExceeded(
                f"Spotify said that this app's calls are used up, and answers again at {when}.", told["resume_at"]
            )
        raise RateLimited(f"Spotify said to wait until {when}.", told["resume_at"])

    def _heed_limit(self) -> None:
        """Where the limit is reached, the oldest call that counts must become a day old."""
        if not self._limit:
            return
        sql = "SELECT at FROM calls ORDER BY at DESC LIMIT 1 OFFSET ?"
        row = self._database.rows(sql, (self._limit - 1,)).fetchone()
        if row:
            raise QuotaExceeded(
                f"{counted(self._limit, 'call')} were made to Spotify in 24 hours, which is the limit that "
                f"SPOTIFY_CALLS_PER_DAY sets; the next may be made at {clock_time(row[0] + DAY)}.",
                row[0] + DAY,
            )


def clock_time(seconds: float) -> str:
    """Seconds since 1970 as a person here reads them: ``2026-11-24 17:05:09``."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
