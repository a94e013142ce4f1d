"""Genre tags of a recording by its ISRC, where Spotify names no genre of its artists.

MusicBrainz knows which recordings a code stands for, and tags of some; ListenBrainz adds those of the artists. See
https://musicbrainz.org/doc/MusicBrainz_API (one call a second, and a User-Agent that names whom to write to) and
https://listenbrainz.readthedocs.io/en/latest/users/api/metadata.html (about 30 calls in 10 s). Both are off until
``TAG_SOURCES`` switches them on.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from genre_lib import __version__
from genre_lib.errors import ConfigurationError, RateLimited, SpotifyUnreachable
from genre_lib.settings import Settings
from genre_lib.spotify.downloads import Downloads, Service
from genre_lib.spotify.library import Track
from genre_lib.spotify.pace import Pace
from genre_lib.spotify.store import Store

TERMS = "Tags of MusicBrainz and ListenBrainz are CC BY-NC-SA 3.0: name them, and use them non-commercially."

MOST_TAGS = 8
"""The most frequent ones; further down they are moods, years and jokes."""

MOST_RECORDINGS = 5
BUSY = frozenset({429, 503})
"""MusicBrainz says 503 to whoever asks too fast."""

ATTEMPTS = 3
KINDS = ("recording", "release_group", "artist")
"""ListenBrainz' tags, from the recording's own to the widest; the first that there are count."""


class RecordingTags:
    """Asks by code, and keeps each answer in the store, so that nothing is asked twice.

    Args:
        progress: called with the number of recordings asked about.
        paces: of MusicBrainz and of ListenBrainz.

    Raises:
        ConfigurationError: CONTACT is not set.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        progress: Callable[[int], object] | None = None,
        paces: tuple[Pace, Pace] | None = None,
    ) -> None:
        if not settings.contact.strip():
            raise ConfigurationError(
                "MusicBrainz wants to know whom to write to about many calls; set CONTACT in .env to your e-mail "
                "address or page, or TAG_SOURCES=false."
            )
        paces = paces or (Pace("MusicBrainz", 1, 1.0, now=time.time), Pace("ListenBrainz", 30, 10.0, now=time.time))
        self._musicbrainz = Source("MusicBrainz", settings.musicbrainz_url, settings, paces[0])
        self._listenbrainz = Source("ListenBrainz", settings.listenbrainz_url, settings, paces[1])
        self._store = store
        self._progress = progress or (lambda _: None)
        self.asked = 0
        self.silent = ""

    def __call__(self, track: Track) -> Sequence[str]:
        """The tags, the most frequent first; none where there are none, or a source has fallen :attr:`silent`."""
        known = self._store.recall(fact_of(track.isrc)) if track.isrc else "[]"
        if known is not None:
            return json.loads(known)
        if self.silent:
            return ()
        try:
            found = self._ask(track.isrc)
        except (RateLimited, SpotifyUnreachable) as error:
            self.silent = str(error)
            return ()
        self._store.remember(fact_of(track.isrc), json.dumps(found))
        return found

    def _ask(self, isrc: str) -> list[str]:
        self.asked += 1
        self._progress(self.asked)
        answer = self._musicbrainz.ask(f"ws/2/isrc/{isrc}", inc="genres tags", fmt="json")
        recordings = [each for each in listed(answer, "recordings") if isinstance(each.get("id"), str)]
        own = most_frequent(tag for each in recordings for tag in (listed(each, "genres") or listed(each, "tags")))
        if own or not recordings:
            return own
        ids = ",".join(each["id"] for each in recordings[:MOST_RECORDINGS])
        told = self._listenbrainz.ask("1/metadata/recording/", recording_mbids=ids, inc="tag artist")
        tags = [each["tag"] for each in told.values() if isinstance(each, dict) and isinstance(each.get("tag"), dict)]
        kinds = (most_frequent(tag for each in tags for tag in listed(each, kind)) for kind in KINDS)
        return next((found for found in kinds if found), [])


class Source:
    """One of the two services, at its pace."""

    def __init__(self, name: str, url: str, settings: Settings, pace: Pace) -> None:
        self._downloads = Downloads(Service(name, url, ()), settings.spotify_timeout, pace.now)
        self._downloads.session.headers["User-Agent"] = f"genre_lib/{__version__} ( {settings.contact.strip()} )"
        self._pace = pace

    def ask(self, path: str, **parameters: str) -> dict[str, Any]:
        """What it says; nothing where it knows nothing.

        Raises:
            RateLimited, SpotifyUnreachable: it does not answer now.
        """
        for attempt in range(1, ATTEMPTS + 1):
            self._pace.wait()
            reply, answer = self._downloads.json(path, **parameters)
            if reply.status == 404:
                return {}
            if reply.status not in BUSY:
                break
            wait = reply.retry_after or self._pace.seconds
            if attempt == ATTEMPTS or wait > self._pace.patience:
                raise self._pace.refused(wait)
            self._pace.sleep(wait)
        if reply.status != 200 or not isinstance(answer, dict):
            raise self._downloads.unreachable(f"answers {reply.status} with what cannot be used")
        return answer


def tags_of(settings: Settings, store: Store, progress: Callable[[int], object] | None = None) -> RecordingTags | None:
    """The sources of tags, where the settings switch them on."""
    return RecordingTags(settings, store, progress) if settings.tag_sources else None


def fact_of(isrc: str) -> str:
    """The name under which the store keeps them."""
    return f"tags {isrc}"


def listed(told: object, name: str) -> list[dict[str, Any]]:
    """The objects in a list of an answer's; none where there is no such list."""
    found = told.get(name) if isinstance(told, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def most_frequent(tags: Iterable[dict[str, Any]]) -> list[str]:
    """Names of tags, by how many people gave them."""
    counts: Counter[str] = Counter()
    for tag in tags:
        name, count = tag.get("name") or tag.get("tag"), tag.get("count")
        if isinstance(name, str) and name.strip() and isinstance(count, int) and count > 0:
            counts[name.strip().lower()] += count
    return [name for name, _ in counts.most_common(MOST_TAGS)]
