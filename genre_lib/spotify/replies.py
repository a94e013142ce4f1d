"""Spotify's JSON into the words of :mod:`genre_lib.spotify.library`, in the shapes of old and of new apps.

An entry of a playlist holds its track as ``item`` (apps made since 2026) or as ``track``; saved and recently played
tracks hold it as ``track``, and top tracks are the tracks themselves. A playlist's length stands in ``items`` or in
``tracks``. Any of it may be null, absent, or something else than it should be: then the word is ``""``, 0 or nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genre_lib.spotify.library import Refused, Track

Reply = Mapping[str, Any]

WRAPPERS = ("item", "track")
"""Names under which an entry holds its track, the newer one first."""

MARKS = frozenset({*WRAPPERS, "added_at", "added_by", "played_at", "is_local", "context"})
"""What an entry has beside its track or in its place; a track itself has a name as well."""

ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
"""Country, registrant, year and number: ISO 3901."""

EPISODE, LOCAL, NULL, UNREADABLE = "episode", "local_file", "null", "unreadable"


@dataclass(frozen=True)
class Head:
    """What a list of playlists says of one of them.

    Args:
        owner: the id of whoever made it.
        snapshot: changes whenever the playlist does; ``""`` where it is not told.
        length: entries in it; None where it is not told, as of playlists that may not be read.
    """

    id: str
    name: str
    owner: str
    snapshot: str = ""
    length: int | None = None


@dataclass(frozen=True)
class Artist:
    """An artist, and Spotify's genres of it; None where the reply has no word on them, as inside tracks."""

    id: str
    name: str
    genres: tuple[str, ...] | None


def entries(page: object) -> list[Any]:
    """What a page lists; entries may be None."""
    return _list(_mapping(page).get("items"))


def next_link(page: object) -> str:
    """The address of the page after this one; ``""`` after the last."""
    return _text(_mapping(page).get("next"))


def total(page: object) -> int:
    """How many entries all pages have together; those of this page where that is not told."""
    told = _whole(_mapping(page).get("total"))
    return len(entries(page)) if told is None else told


def entry(reply: object) -> Track | Refused:
    """The track of an entry in a playlist, or among the saved, top or recently played ones."""
    found = _mapping(reply)
    name = next((name for name in WRAPPERS if isinstance(found.get(name), Mapping)), None)
    if name:
        return track(found[name], _text(found.get("added_at")), local=found.get("is_local") is True)
    if MARKS & set(found) and "name" not in found:
        return Refused("track", NULL)
    return track(found)


def track(reply: object, added: str = "", local: bool = False) -> Track | Refused:
    """A track as Spotify describes it, whole or as part of an entry."""
    found = _mapping(reply)
    title, id = _text(found.get("name")), _text(found.get("id"))
    kind = _text(found.get("type")) or "track"
    if not found:
        return Refused("track", NULL)
    if kind in {"episode", "chapter"}:
        return Refused("track", EPISODE, title)
    if local or found.get("is_local") is True or _text(found.get("uri")).startswith("spotify:local:"):
        return Refused("track", LOCAL, title)
    if not id or kind != "track":
        return Refused("track", UNREADABLE, title)
    people = [_mapping(artist) for artist in _list(found.get("artists"))]
    people = [artist for artist in people if _text(artist.get("name"))]
    return Track(
        id=id,
        title=title,
        artists=tuple(_text(artist.get("name")) for artist in people),
        artist_ids=tuple(_text(artist.get("id")) for artist in people),
        album=_text(_mapping(found.get("album")).get("name")),
        duration=max(0, _whole(found.get("duration_ms")) or 0) / 1000,
        isrc=isrc(_mapping(found.get("external_ids")).get("isrc")),
        preview_url=_text(found.get("preview_url")),
        added=added,
    )


def isrc(told: object) -> str:
    """The code in upper case without dashes; ``""`` where it is none.

    >>> isrc("us-rc1-76-07839"), isrc("unknown")
    ('USRC17607839', '')
    """
    code = re.sub(r"[\s-]", "", _text(told)).upper()
    return code if ISRC.fullmatch(code) else ""


def head(reply: object) -> Head | Refused:
    """One of a list of playlists."""
    found = _mapping(reply)
    name, id = _text(found.get("name")), _text(found.get("id"))
    if not id:
        return Refused("playlist", UNREADABLE if found else NULL, name)
    lengths = (_whole(_mapping(found.get(key)).get("total")) for key in ("items", "tracks"))
    return Head(
        id=id,
        name=name,
        owner=_text(_mapping(found.get("owner")).get("id")),
        snapshot=_text(found.get("snapshot_id")),
        length=next((length for length in lengths if length is not None), None),
    )


def artist(reply: object) -> Artist | None:
    """An artist by itself, or as it stands in a list; None where it has no id."""
    found = _mapping(reply)
    id, genres = _text(found.get("id")), found.get("genres")
    if not id:
        return None
    told = tuple(dict.fromkeys(filter(None, map(_text, genres)))) if isinstance(genres, list) else None
    return Artist(id, _text(found.get("name")), told)


def user(reply: object) -> str:
    """The id of a user."""
    return _text(_mapping(reply).get("id"))


def _mapping(value: object) -> Reply:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _whole(value: object) -> int | None:
    told = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return int(value) if told else None  # type: ignore[call-overload]
