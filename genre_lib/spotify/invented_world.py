"""What a Spotify that does not exist would answer about a library that does not exist: replies as JSON, by listing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from genre_lib.spotify import listings
from genre_lib.spotify.assembled import assemble
from genre_lib.spotify.library import Library

Json = dict[str, Any]


@dataclass
class World:
    """The whole of it in Spotify's shapes; playlists' entries hold their track as ``item``.

    Args:
        user: the profile of whoever signs in.
        tracks, artists: by id, each as the API describes it by itself.
        playlists: as the list of them says, in order; None where Spotify says null.
        entries: of each playlist, by its id.
        saved, recent: entries, with ``track``.
        top_tracks, top_artists: by time range.
        refused: status with which a playlist's items are answered instead, by its id: 403 or 404.
    """

    user: Json
    tracks: dict[str, Json] = field(default_factory=dict)
    artists: dict[str, Json] = field(default_factory=dict)
    playlists: list[Json | None] = field(default_factory=list)
    entries: dict[str, list[Json | None]] = field(default_factory=dict)
    saved: list[Json] = field(default_factory=list)
    recent: list[Json] = field(default_factory=list)
    top_tracks: dict[str, list[Json]] = field(default_factory=dict)
    top_artists: dict[str, list[Json]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)

    def listing(self, name: str) -> Sequence[Json | None]:
        """All entries of one listing, by its name in :mod:`genre_lib.spotify.listings`."""
        path, parameters = listings.request(name)
        if path.startswith("me/top/"):
            top = self.top_tracks if path.endswith("tracks") else self.top_artists
            return top[str(parameters.get("time_range", "medium_term"))]
        if path.startswith(listings.PLAYLIST):
            return self.entries[path.split("/")[1]]
        whole: dict[str, Sequence[Json | None]]
        whole = {listings.SAVED: self.saved, listings.RECENT: self.recent, listings.OWN_PLAYLISTS: self.playlists}
        return whole.get(path, ())

    def library(self) -> Library:
        """The library as it would be collected."""
        genres = {id: tuple(artist["genres"]) for id, artist in self.artists.items()}
        return assemble(self.user["id"], lambda name: [{"items": self.listing(name)}], self._refusals(), genres)

    def _refusals(self) -> Mapping[str, tuple[str, str]]:
        reasons = {403: "not_yours", 404: "spotifys_own"}
        return {listings.items_of(id): (reasons[status], "") for id, status in self.refused.items()}
