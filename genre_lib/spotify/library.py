"""A person's Spotify library in plain words: tracks, artists and playlists, whatever form Spotify's replies had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Track:
    """A recording in the library; ``""`` and 0 stand for what Spotify does not say.

    Args:
        id: Spotify's, 22 letters and digits.
        artists, artist_ids: names and ids in Spotify's order, the main one first.
        duration: in seconds.
        isrc: the recording's International Standard Recording Code, upper case without dashes.
        preview_url: of 30 s of it; ``""`` for most apps.
        added: when the user saved it or put it on a playlist, ISO 8601.
    """

    id: str
    title: str
    artists: tuple[str, ...] = ()
    artist_ids: tuple[str, ...] = ()
    album: str = ""
    duration: float = 0.0
    isrc: str = ""
    preview_url: str = ""
    added: str = ""

    @property
    def artist(self) -> str:
        """The main artist's name: what splits are grouped by."""
        return self.artists[0] if self.artists else ""


@dataclass(frozen=True)
class Playlist:
    """A playlist, and its tracks in their order, each once."""

    id: str
    name: str
    owner: str
    track_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """Something of the library that could not be taken, and why.

    Args:
        kind: ``"playlist"``, ``"track"`` or ``"artist"``.
        reason: a word for counting, such as ``local_file``, ``episode``, ``null``, ``not_yours``, ``gone``.
        name: for a person, where it is known.
    """

    kind: str
    reason: str
    name: str = ""


@dataclass(frozen=True)
class Library:
    """What was fetched of one person's library.

    Args:
        user_id: whose it is.
        tracks: by id, in the order in which they were met.
        playlists: only those whose tracks could be read.
        artist_genres: Spotify's own genres of an artist, by the artist's id; ``()`` where it names none.
        sources: by track id, where it was met: ``saved``, ``top``, ``recent``, ``playlists``.
    """

    user_id: str
    tracks: Mapping[str, Track] = field(default_factory=dict)
    playlists: Sequence[Playlist] = ()
    artist_genres: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: Mapping[str, frozenset[str]] = field(default_factory=dict)
    refused: Sequence[Refused] = ()
