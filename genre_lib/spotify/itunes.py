"""Apple's previews of 30 s, by artist, title and length: fetched into memory, and never stored.

See https://developer.apple.com/library/archive/documentation/AudioVideo/Conceptual/iTuneSearchAPI. About 20 calls a
minute are answered, and 403 after that. The search knows no ISRC: what it finds is judged as a file of one's own is.
"""

from __future__ import annotations

import time
from typing import Any

from genre_lib.settings import Settings
from genre_lib.spotify.asked_previews import AskedPreviews, Preview
from genre_lib.spotify.downloads import Service
from genre_lib.spotify.library import Track
from genre_lib.spotify.likeness import Wanted, likeness
from genre_lib.spotify.matching import LEAST
from genre_lib.spotify.pace import PATIENCE, Pace
from genre_lib.spotify.readings import Reading

HOSTS = (".itunes.apple.com",)
TERMS = "Apple's terms allow previews to be streamed alone, to promote what its store sells: nothing is stored."

CALLS, SECONDS = 20, 60.0
REFUSED = frozenset({403, 429})
RESULTS = 15
LONGEST_TERM = 200


def pace_of(patience: float = PATIENCE) -> Pace:
    """What Apple answers, for whoever waits so many seconds for a turn."""
    return Pace("iTunes", CALLS, SECONDS, patience=patience, now=time.time)


class Itunes(AskedPreviews):
    """Searches for a track."""

    name = "itunes"
    how = "artist_title"

    def __init__(self, settings: Settings, pace: Pace | None = None) -> None:
        super().__init__(Service("iTunes", settings.itunes_url, HOSTS), settings.spotify_timeout, pace or pace_of())

    def preview(self, track: Track) -> Preview | None:
        """The result that is most surely the track, where one is sure enough."""
        wanted = Wanted(track)
        if not track.artist or not track.title:
            return None
        found = [self._judged(wanted, number, result) for number, result in enumerate(self._search(wanted))]
        sure = [preview for preview in found if preview.sureness >= LEAST and self.downloads.service.owns(preview.url)]
        return max(sure, key=lambda preview: preview.sureness, default=None)

    def _search(self, wanted: Wanted) -> list[dict[str, Any]]:
        """The songs that Apple finds by the names of artist and title, without what belongs to a release."""
        term = f"{wanted.track.artist} {wanted.title.searched or wanted.track.title}"[:LONGEST_TERM]
        self.pace.wait()
        reply, answer = self.downloads.json("search", term=term, media="music", entity="song", limit=RESULTS)
        if reply.status in REFUSED:
            raise self.pace.refused(reply.retry_after or SECONDS)
        results = answer.get("results") if isinstance(answer, dict) else None
        if reply.status != 200 or not isinstance(results, list):
            raise self.downloads.unreachable(f"answers {reply.status} with what cannot be used")
        return [result for result in results if isinstance(result, dict) and result.get("previewUrl")]

    def _judged(self, wanted: Wanted, number: int, result: dict[str, Any]) -> Preview:
        artist, title, album = (str(result.get(key) or "") for key in ("artistName", "trackName", "collectionName"))
        milliseconds = result.get("trackTimeMillis")
        duration = milliseconds / 1000 if isinstance(milliseconds, int | float) else 0.0
        return Preview(str(result["previewUrl"]), likeness(wanted, Reading(number, artist, title, album), duration))
