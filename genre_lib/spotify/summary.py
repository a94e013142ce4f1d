"""A library in numbers: what there is, and what was refused and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from genre_lib.spotify.library import Library, Track


@dataclass(frozen=True)
class Summary:
    """What a collection came to.

    Args:
        user_id: whose library it is.
        tracks, artists, playlists: in the library, with what was fetched earlier.
        with_isrc: tracks whose recording has its code.
        with_genres: tracks of which one artist at least has genres on Spotify.
        refused: how many entries by kind and reason, such as ``playlist not_yours``; the most first.
        calls: made this time.
        complete: whether nothing is left to fetch.
        not_told: what Spotify refused this time as a whole, such as ``saved tracks``, with its reason and what to do.
    """

    user_id: str
    tracks: int = 0
    artists: int = 0
    playlists: int = 0
    with_isrc: int = 0
    with_genres: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    calls: int = 0
    complete: bool = False
    not_told: Mapping[str, str] = field(default_factory=dict)


def summarise(
    library: Library, calls: int = 0, complete: bool = False, not_told: Mapping[str, str] | None = None
) -> Summary:
    """Count what is in a library."""
    return Summary(
        user_id=library.user_id,
        tracks=len(library.tracks),
        artists=len({id for track in library.tracks.values() for id in track.artist_ids if id}),
        playlists=len(library.playlists),
        with_isrc=sum(bool(track.isrc) for track in library.tracks.values()),
        with_genres=sum(bool(genres_of(track, library)) for track in library.tracks.values()),
        refused=dict(Counter(f"{refused.kind} {refused.reason}" for refused in library.refused).most_common()),
        calls=calls,
        complete=complete,
        not_told=not_told or {},
    )


def genres_of(track: Track, library: Library) -> list[str]:
    """Spotify's genres of a track's artists, each once, the main artist's first."""
    return list(dict.fromkeys(genre for id in track.artist_ids for genre in library.artist_genres.get(id, ())))
