"""What is asked of Spotify's API for a library: the address of each listing, below the API's own.

See https://developer.spotify.com/documentation/web-api.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

SOURCES = ("playlists", "saved", "top", "recent")
"""Where tracks of a library are met."""

TIME_RANGES = ("short_term", "medium_term", "long_term")
"""About four weeks, half a year, and a year of listening."""

SAVED = "me/tracks"
TOP = tuple(f"me/top/tracks?time_range={time}" for time in TIME_RANGES)
RECENT = "me/player/recently-played"
TOP_ARTISTS = tuple(f"me/top/artists?time_range={time}" for time in TIME_RANGES)
"""Fifty artists a call, each with its genres: much cheaper than one by one."""

OWN_PLAYLISTS = "me/playlists"
PLAYLIST = "playlists/"
"""Beginning of the names of listings of a playlist's items."""

PAGE = 50
"""Most entries that these calls give at once."""

TRACKS = {"saved": (SAVED,), "top": TOP, "recent": (RECENT,)}
"""Listings of tracks, by source."""


def playlists_of(user: str) -> str:
    """The public playlists of somebody else."""
    return f"users/{quote(user, safe='')}/playlists"


def items_of(playlist: str) -> str:
    return f"{PLAYLIST}{playlist}/items"


def artist(artist_id: str) -> str:
    return f"artists/{artist_id}"


def request(listing: str) -> tuple[str, dict[str, str | int]]:
    """Path and parameters of a listing's first page."""
    path, _, query = listing.partition("?")
    return path, {**dict(parse_qsl(query)), "limit": PAGE}
