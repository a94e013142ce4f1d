"""A library put together from the pages that were fetched of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from genre_lib.spotify import listings, replies
from genre_lib.spotify.library import Library, Playlist, Refused, Track

Pages = Callable[[str], Iterable[Mapping[str, Any]]]
"""The pages of a listing, by its name."""


class Assembly:
    """The tracks met so far, each once, and what was refused."""

    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}
        self.sources: dict[str, set[str]] = {}
        self.refused: list[Refused] = []

    def meet(self, source: str, pages: Iterable[Mapping[str, Any]]) -> list[str]:
        """Take in the entries of a listing; the ids of its tracks, each once."""
        met = (replies.entry(entry) for page in pages for entry in replies.entries(page))
        return list(dict.fromkeys(filter(None, (self._take(source, found) for found in met))))

    def _take(self, source: str, found: Track | Refused) -> str | None:
        if isinstance(found, Refused):
            self.refused.append(found)
            return None
        known = self.tracks.setdefault(found.id, found)
        if found.added and not known.added:
            self.tracks[found.id] = replace(known, added=found.added)
        self.sources.setdefault(found.id, set()).add(source)
        return found.id


def assemble(
    user: str, pages: Pages, refusals: Mapping[str, tuple[str, str]], genres: Mapping[str, tuple[str, ...]]
) -> Library:
    """The library of a user: what was saved, then the playlists, then what was heard most and last.

    Args:
        pages: of a listing, by its name; none where it was not fetched.
        refusals: reason and name of the listings that Spotify did not give, by their names.
        genres: of artists, by id.
    """
    assembly = Assembly()
    assembly.meet("saved", pages(listings.SAVED))
    playlists = list(_playlists(user, pages, refusals, assembly))
    for source in ("top", "recent"):
        assembly.meet(source, chain.from_iterable(map(pages, listings.TRACKS[source])))
    artists = dict.fromkeys(id for track in assembly.tracks.values() for id in track.artist_ids if id)
    assembly.refused += [
        Refused("artist", refusals[name][0], refusals[name][1])
        for name in map(listings.artist, artists)
        if name in refusals
    ]
    return Library(
        user_id=user,
        tracks=assembly.tracks,
        playlists=playlists,
        artist_genres={id: genres[id] for id in artists if id in genres},
        sources={id: frozenset(sources) for id, sources in assembly.sources.items()},
        refused=assembly.refused,
    )


def heads(user: str, pages: Pages) -> list[replies.Head | Refused]:
    """The playlists that a user's list names, each once; for one's own library and for another's."""
    listed = chain(pages(listings.OWN_PLAYLISTS), pages(listings.playlists_of(user)))
    found = (replies.head(entry) for page in listed for entry in replies.entries(page))
    once: dict[str, replies.Head | Refused] = {}
    for number, head in enumerate(found):
        once.setdefault(head.id if isinstance(head, replies.Head) else f"refused {number}", head)
    return list(once.values())


def _playlists(
    user: str, pages: Pages, refusals: Mapping[str, tuple[str, str]], assembly: Assembly
) -> Iterator[Playlist]:
    for head in heads(user, pages):
        name = "" if isinstance(head, Refused) else listings.items_of(head.id)
        if isinstance(head, Refused):
            assembly.refused.append(head)
        elif name in refusals:
            assembly.refused.append(Refused("playlist", refusals[name][0], head.name))
        else:
            ids = assembly.meet("playlists", pages(name))
            yield Playlist(head.id, head.name, head.owner, tuple(ids))
