"""One track by its id, without a library around it."""

from __future__ import annotations

from genre_lib.errors import RateLimited, SpotifyNotFound
from genre_lib.spotify import replies
from genre_lib.spotify.asking import Asking
from genre_lib.spotify.library import Refused, Track
from genre_lib.spotify.store import Store


def single_track(asking: Asking, store: Store, track_id: str) -> Track:
    """What Spotify says of a track, from the store where it is fresh, or where Spotify may not be asked now.

    Raises:
        SpotifyNotFound: there is no such track, or it cannot be read as one.
        SpotifyError: as the call was answered.
    """
    found = store.track(track_id)
    if found is None:
        try:
            reply = asking.get(f"tracks/{track_id}")
        except RateLimited:
            kept = in_libraries(store, track_id)
            if kept is None:
                raise
            return kept
        store.put_track(track_id, reply)
        found = replies.track(reply)
    if isinstance(found, Refused):
        raise SpotifyNotFound(f"Spotify's answer for {track_id} is no track that can be read ({found.reason}).")
    return found


def in_libraries(store: Store, track_id: str) -> Track | None:
    """The track as it was met in a library that was fetched."""
    return next((found for user in store.users() if (found := store.library(user).tracks.get(track_id))), None)
