"""Spotify's names for a track: a URI, a link or the bare id, all for the same 22 letters and digits.

The id is a 128-bit number in base 62. See https://developer.spotify.com/documentation/web-api/concepts/spotify-uris-ids.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from genre_lib.errors import InvalidTrackId

ID = re.compile(r"[0-9A-Za-z]{22}")
LOCALE = re.compile(r"intl-[a-z]{2,3}(-[a-z]{2,4})?", re.IGNORECASE)
"""Such as ``intl-de``: Spotify puts the country's page before the kind."""

HOSTS = frozenset({"open.spotify.com", "play.spotify.com"})
TRACK = "track"
LONGEST_SAID = 60

FORMS = (
    "Give spotify:track:ID, https://open.spotify.com/track/ID or the ID itself, which is 22 letters and digits long."
)


def track_id(text: str) -> str:
    """The id of the track that a URI, a link or an id names.

    >>> track_id("https://open.spotify.com/intl-de/track/7ouMYWpwJ422jRcDASZB7P?si=0123456789abcdef")
    '7ouMYWpwJ422jRcDASZB7P'
    >>> track_id("spotify:track:7ouMYWpwJ422jRcDASZB7P")
    '7ouMYWpwJ422jRcDASZB7P'

    Raises:
        InvalidTrackId: it names no track; says which forms are known.
    """
    parts = _parts(text.strip())
    if len(parts) == 2 and parts[0] == TRACK and ID.fullmatch(parts[1]):
        return parts[1]
    if len(parts) >= 2 and parts[0] != TRACK and ID.fullmatch(parts[1]):
        raise InvalidTrackId(f"{_shown(text)} names no track, but another kind of thing. {FORMS}")
    raise InvalidTrackId(f"{_shown(text)} names no track of Spotify's. {FORMS}")


def _parts(text: str) -> list[str]:
    """Kind and id; something else, or nothing, where the text is in none of the known forms."""
    if ID.fullmatch(text):
        return [TRACK, text]
    scheme, _, rest = text.partition(":")
    if scheme.lower() == "spotify":
        return rest.split(":")
    return _parts_of_link(text)


def _parts_of_link(text: str) -> list[str]:
    """Kind and id of a link, with or without ``https://``; neither its query nor the country's page matters."""
    try:
        link = urlsplit(text if "://" in text else f"https://{text}")
        known = link.scheme in {"http", "https"} and link.hostname in HOSTS
    except ValueError:  # brackets that hold no address
        return []
    parts = [part for part in link.path.split("/") if part]
    if parts and (LOCALE.fullmatch(parts[0]) or parts[0] == "embed"):
        parts = parts[1:]
    return parts if known else []


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SAID else f"{text[:LONGEST_SAID]}…")
