"""Deezer's previews of 30 s, by a recording's ISRC: fetched into memory, and never stored.

See https://developers.deezer.com/api/track. Errors come as HTTP 200 with an ``error`` object; 50 calls in 5 s are
answered; the address of a preview dies within about 15 minutes, so that it is fetched as soon as it is known.
"""

from __future__ import annotations

import time
from typing import Any

from genre_lib.errors import SpotifyUnreachable
from genre_lib.settings import Settings
from genre_lib.spotify.asked_previews import AskedPreviews, Preview
from genre_lib.spotify.downloads import Service
from genre_lib.spotify.folder_index import isrc_of
from genre_lib.spotify.library import Track
from genre_lib.spotify.pace import PATIENCE, Pace

HOSTS = (".dzcdn.net",)
TERMS = "Deezer's terms allow its previews for private, non-commercial use alone, and no copies: nothing is stored."

CALLS, SECONDS = 50, 5.0
QUOTA, BUSY, NO_DATA = 4, 700, 800
ATTEMPTS = 3
"""How often a call is made that Deezer refuses for its quota, for other programs may share the address."""

SURENESS = 0.98
MOST_APART = 15.0
"""Seconds; codes have been given twice by mistake."""


def pace_of(patience: float = PATIENCE) -> Pace:
    """What Deezer answers, for whoever waits so many seconds for a turn."""
    return Pace("Deezer", CALLS, SECONDS, patience=patience, now=time.time)


class Deezer(AskedPreviews):
    """Looks a track up by its code; one without a code is not looked up."""

    name = "deezer"
    how = "isrc"

    def __init__(self, settings: Settings, pace: Pace | None = None) -> None:
        super().__init__(Service("Deezer", settings.deezer_url, HOSTS), settings.spotify_timeout, pace or pace_of())

    def preview(self, track: Track) -> Preview | None:
        """What stands under the track's code, where that is the same code and about the same length."""
        isrc = isrc_of(track.isrc)
        answer = self._ask(f"track/isrc:{isrc}") if isrc else {}
        url, apart = answer.get("preview"), seconds_apart(answer.get("duration"), track.duration)
        other = isrc_of(str(answer.get("isrc") or "")) not in {"", isrc}
        if not isinstance(url, str) or other or apart > MOST_APART or not self.downloads.service.owns(url):
            return None
        return Preview(url, SURENESS)

    def _ask(self, path: str) -> dict[str, Any]:
        """What Deezer says; nothing where it has no such track."""
        for attempt in range(1, ATTEMPTS + 1):
            self.pace.wait()
            reply, answer = self.downloads.json(path)
            if reply.status == 404:
                return {}
            code = error_code(answer)
            if code == QUOTA or reply.status == 429:
                self._rest(reply.retry_after or SECONDS, attempt)
                continue
            if reply.status != 200 or not isinstance(answer, dict) or code == BUSY:
                raise self.downloads.unreachable(f"answers {reply.status} with what cannot be used")
            return {} if code is not None else answer
        raise SpotifyUnreachable("Deezer does not answer.")  # not reached: the last attempt's rest raises

    def _rest(self, seconds: float, attempt: int) -> None:
        """Wait as a full quota demands, but not after the last attempt and not for longer than the patience."""
        if attempt == ATTEMPTS or seconds > self.pace.patience:
            raise self.pace.refused(seconds)
        self.pace.sleep(seconds)


def error_code(answer: object) -> int | None:
    """Of the ``error`` object in an answer; 0 for one without a number, None where there is none."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) else 0


def seconds_apart(one: object, other: float) -> float:
    """Between two lengths; 0 where one is not known."""
    return abs(one - other) if isinstance(one, int | float) and one and other else 0.0
