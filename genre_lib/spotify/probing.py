"""What Spotify lets this app call: each call is made once, with the smallest answer that it has, and what came is told.

Nothing is taken from a list: apps differ by their age and their quota, and Spotify changes what they get.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from genre_lib.errors import EndpointGone, RateLimited, SpotifyForbidden, SpotifyNotFound
from genre_lib.spotify import replies
from genre_lib.spotify.asking import Asking
from genre_lib.spotify.library import Track
from genre_lib.spotify.replies import Reply

SPOTIFYS_USER = "spotify"
"""Whose public playlists are asked for: everybody's but one's own are alike."""

WORKS, EMPTY, WITHDRAWN, REFUSED = "works", "works, and is empty", "withdrawn", "refused"
NOTHING_THERE, NOT_ASKED = "nothing there", "not asked"


@dataclass(frozen=True)
class Probed:
    """A call, and what it was answered.

    Args:
        what: it would give, for a person.
        call: its path.
        outcome: a word: one of those above.
        note: what else the answer shows, ``""`` for nothing.
    """

    what: str
    call: str
    outcome: str
    note: str = ""


@dataclass
class Met:
    """Things that the answers so far named, by which others are asked for; ``""`` where none did."""

    user: str = ""
    track: str = ""
    artist: str = ""
    playlist: str = ""


LISTINGS = (
    ("saved tracks", "me/tracks", {"limit": 1}),
    ("most heard tracks", "me/top/tracks", {"limit": 1}),
    ("most heard artists", "me/top/artists", {"limit": 1}),
    ("recently played tracks", "me/player/recently-played", {"limit": 1}),
    ("your playlists", "me/playlists", {"limit": 50}),
)
"""What can be asked of whoever signed in, without knowing an id."""


def probe(asking: Asking, user: bool) -> Iterator[Probed]:
    """Ask for one thing after the other; where calls are used up, the others are told as not asked.

    Args:
        user: whether somebody signed in; as an app alone only what is public is asked for.

    Raises:
        ReauthNeeded, PremiumRequired, NotAllowlisted, SpotifyCredentialsInvalid: nothing at all is answered.
        SpotifyUnreachable: no answer comes.
    """
    return Probing(asking).run(user)


class Probing:
    """The calls, in an order in which each finds what the next one needs."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._met = Met()
        self._used_up = ""

    def run(self, user: bool) -> Iterator[Probed]:
        if user:
            yield from self._of_the_user()
        yield from self._by_search()
        yield from self._single()
        yield from self._withdrawn()

    def _of_the_user(self) -> Iterator[Probed]:
        yield self._ask("your profile", "me", {}, self._user)
        for what, path, parameters in LISTINGS:
            yield self._ask(what, path, parameters, self._listed)
        yield self._ask(
            "tracks of your playlist", path_of("playlists/{}/items", self._met.playlist), {"limit": 1}, listed
        )

    def _by_search(self) -> Iterator[Probed]:
        yield self._ask("search", "search", {"q": "love", "type": "track", "limit": 1}, self._found)

    def _single(self) -> Iterator[Probed]:
        yield self._ask("one track", path_of("tracks/{}", self._met.track), {}, self._track)
        yield self._ask("one artist", path_of("artists/{}", self._met.artist), {}, artist_note)

    def _withdrawn(self) -> Iterator[Probed]:
        """What apps made since 2026 no longer get, and older ones may."""
        yield self._ask("several tracks at once", "tracks", {"ids": self._met.track}, nothing)
        yield self._ask("audio features", path_of("audio-features/{}", self._met.track), {}, nothing)
        yield self._ask("others' public playlists", f"users/{SPOTIFYS_USER}/playlists", {"limit": 1}, listed)

    def _ask(self, what: str, path: str, parameters: Mapping[str, Any], read: Any) -> Probed:
        call = f"/{path}"
        if "{}" in path or parameters.get("ids") == "":
            return Probed(what, call.replace("{}", "ID"), NOT_ASKED, "no id of one is known")
        if self._used_up:
            return Probed(what, call, NOT_ASKED, self._used_up)
        try:
            outcome, note = read(self._asking.get(path, **parameters))
        except RateLimited as error:
            self._used_up = str(error)
            return Probed(what, call, NOT_ASKED, self._used_up)
        except EndpointGone:
            return Probed(what, call, WITHDRAWN)
        except SpotifyForbidden as error:
            return Probed(what, call, REFUSED, str(error))
        except SpotifyNotFound:
            return Probed(what, call, NOTHING_THERE)
        return Probed(what, call, outcome, note)

    # --- what an answer shows, and what of it is needed later --------------------------------------------------------

    def _user(self, reply: Reply) -> tuple[str, str]:
        self._met.user = replies.user(reply)
        return WORKS, self._met.user

    def _listed(self, reply: Reply) -> tuple[str, str]:
        for entry in replies.entries(reply):
            found, head = replies.entry(entry), replies.head(entry)
            if isinstance(head, replies.Head) and head.owner and head.owner == self._met.user:
                self._met.playlist = self._met.playlist or head.id
            elif isinstance(found, Track) and found.artists:
                self._meet(found)
        return listed(reply)

    def _found(self, reply: Reply) -> tuple[str, str]:
        self._listed(reply.get("tracks") or {})
        return listed(reply.get("tracks") or {})

    def _track(self, reply: Reply) -> tuple[str, str]:
        found = replies.track(reply)
        if not isinstance(found, Track):
            return WORKS, "cannot be read as a track"
        self._meet(found)
        shown = {"ISRC": found.isrc, "preview": found.preview_url}
        return WORKS, ", ".join(f"{name if there else f'no {name}'}" for name, there in shown.items())

    def _meet(self, track: Track) -> None:
        self._met.track = self._met.track or track.id
        self._met.artist = self._met.artist or next((id for id in track.artist_ids if id), "")


def path_of(template: str, id: str) -> str:
    """The path with an id; the template itself where none is known."""
    return template.format(id) if id else template


def listed(reply: Reply) -> tuple[str, str]:
    return (WORKS, "") if replies.entries(reply) else (EMPTY, "")


def artist_note(reply: Reply) -> tuple[str, str]:
    found = replies.artist(reply)
    return WORKS, f"genres: {', '.join(found.genres)}" if found and found.genres else "no genres"


def nothing(reply: Reply) -> tuple[str, str]:
    return WORKS, ""
