"""Collect a library from Spotify: everything once, and after any interruption only what is still missing.

Each reply is stored before the next is asked for, so whoever kills this loses the call in flight and nothing else. The
order saves calls: the most heard artists first, for they come by fifties with their genres; then the tracks; and at
last single artists, those of most tracks first, so that a quota that ends meanwhile leaves the rare ones open.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from genre_lib.errors import (
    ConfigurationError,
    EndpointGone,
    RateLimited,
    SpotifyForbidden,
    SpotifyNotFound,
    SpotifyUnreachable,
    first_line,
)
from genre_lib.spotify import listings, replies
from genre_lib.spotify.asking import TROUBLE_WAITS, Asking, Client
from genre_lib.spotify.assembled import heads
from genre_lib.spotify.budget import clock_time
from genre_lib.spotify.library import Library, Refused
from genre_lib.spotify.signed_in import signed_in
from genre_lib.spotify.store import COMPLETE, Place, Store
from genre_lib.spotify.summary import Summary, summarise
from genre_lib.wording import counted

Progress = Callable[[int, int, str], None]
"""Called with what is done, how much there is, and of what."""

ARTISTS = "artists"
"""The source of genres, beside those of tracks."""

NAMES = {
    "saved": "saved tracks",
    "top": "most heard tracks",
    "recent": "recently played tracks",
    "playlists": "list of playlists",
}
"""Sources for a person."""

SPOTIFY = "spotify"
"""The user to whom Spotify's own playlists belong."""

NOT_YOURS, FORBIDDEN, SPOTIFYS, GONE = "not_yours", "forbidden", "spotifys_own", "gone"


def collect(
    client: Client,
    store: Store,
    sources: Sequence[str] = listings.SOURCES,
    user_id: str | None = None,
    progress: Progress | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> Summary:
    """Fetch a user's library into the store, or what is missing of it; :meth:`Store.library` reads it.

    Listings are asked for anew unless an earlier collection was interrupted; playlists only where they have changed,
    and artists once in the store's days. Playlists that Spotify refuses are counted and left. So are whole listings:
    :attr:`Summary.not_told` names them, and what was fetched of them earlier stays.

    Args:
        sources: of :data:`~genre_lib.spotify.listings.SOURCES`.
        user_id: whose; None for whoever signed in. Of others there are only public playlists.
        sleep, now: seconds; a wait of a minute or less is waited out, and a fault that may pass, for some seconds.

    Raises:
        ConfigurationError: there is no such source.
        QuotaExceeded, RateLimited: the calls are used up; says when it goes on, and what was fetched is kept.
        SpotifyForbidden: this app is told of nothing in that user's library.
        SpotifyError: Spotify cannot be asked at all; the same holds.
    """
    unknown = sorted(set(sources) - set(listings.SOURCES))
    if unknown or not sources:
        raise ConfigurationError(
            f"Sources of a library are {', '.join(listings.SOURCES)}; came: {', '.join(unknown) or 'none'}."
        )
    asking = Asking(client, store.budget, sleep, now, trouble_waits=TROUBLE_WAITS)
    return Collection(asking, store, progress).run(sources, user_id)


class Collection:
    """One user's library on its way into the store.

    Args:
        asking: Spotify, by calls that are counted.
        store: where replies go, and what is there already.
    """

    def __init__(self, asking: Asking, store: Store, progress: Progress | None = None) -> None:
        self._asking = asking
        self._store = store
        self._tell = progress or (lambda *_: None)
        self._user = ""
        self._own = True
        self._asked = 0
        self._refusals: list[tuple[str, SpotifyForbidden]] = []
        """Listings that were refused as a whole, by their names for a person."""

    def run(self, sources: Sequence[str], user_id: str | None) -> Summary:
        try:
            me = signed_in(self._asking, self._store)
            self._user, self._own = user_id or me, user_id in (None, me)
            self._collect(sources if self._own else self._of_others(sources))
        except RateLimited as error:
            when = f"at {clock_time(error.resume_at)} or later"
            raise type(error)(f"{error} {self._kept(when)}", error.resume_at) from error
        except SpotifyUnreachable as error:
            raise type(error)(f"{error} {self._kept('then')}", error.passing) from error
        not_told = {what: str(error) for what, error in self._refusals}
        return summarise(self._store.library(self._user), self._asking.calls, complete=True, not_told=not_told)

    def _of_others(self, sources: Sequence[str]) -> Sequence[str]:
        if "playlists" not in sources:
            raise ConfigurationError(
                f"Of another user's library Spotify tells at most the public playlists; {', '.join(sources)} can be "
                "fetched for whoever signs in."
            )
        return ("playlists",)

    def _kept(self, when: str) -> str:
        kept = counted(len(self._store.library(self._user).tracks), "track") if self._user else "what was fetched"
        return f"Kept: {kept}. Fetch again {when}, and it goes on where it was."

    def _collect(self, sources: Sequence[str]) -> None:
        opened = (*sources, ARTISTS)
        editions = self._store.begin(self._user, opened)
        if self._own:
            self._top_artists(editions[ARTISTS])
        for source in (source for source in listings.TRACKS if source in sources):
            for listing in listings.TRACKS[source]:
                self._attempt(Place(self._user, listing, editions[source]), NAMES[source])
        if "playlists" in sources:
            self._playlists(editions["playlists"])
        if len(self._refusals) == self._asked:
            raise self._refusals[0][1]
        self._single_artists()
        self._store.finish(self._user, opened)

    def _attempt(self, place: Place, what: str) -> bool:
        """Page through a listing, or note that it is refused, which is no reason to leave the others."""
        self._asked += 1
        try:
            self._page_through(place, what)
        except SpotifyForbidden as error:
            self._refusals.append((what, error))
            return False
        return True

    def _page_through(self, place: Place, what: str) -> None:
        """Every page of a listing that is not here yet."""
        position, following = self._store.progress(place)
        seen = {following}
        while following != COMPLETE:
            page = self._asking.get(following) if following else self._first_page(place.listing)
            link = replies.next_link(page)
            following = COMPLETE if link in seen else link  # pages that lead back would never end
            seen.add(following)
            self._store.put_page(place, position, page, following)
            position += 1
            self._tell(min(position * listings.PAGE, replies.total(page)), replies.total(page), what)

    def _first_page(self, listing: str) -> replies.Reply:
        path, parameters = listings.request(listing)
        return self._asking.get(path, **parameters)

    # --- playlists ----------------------------------------------------------------------------------------------------

    def _playlists(self, edition: str) -> None:
        listing = listings.OWN_PLAYLISTS if self._own else listings.playlists_of(self._user)
        if not self._attempt(Place(self._user, listing, edition), NAMES["playlists"]):
            return self._explain_others()
        found = heads(self._user, lambda listing: self._store.pages(self._user, listing))
        known = [head for head in found if isinstance(head, replies.Head)]
        for number, head in enumerate(known):
            self._tell(number, len(known), "playlists")
            self._items(head, Place(self._user, listings.items_of(head.id), head.snapshot or f"edition {edition}"))
        return self._store.keep_only(self._user, listings.PLAYLIST, [listings.items_of(head.id) for head in known])

    def _explain_others(self) -> None:
        """Say of other people's playlists, which were refused, how they can be had all the same."""
        if not self._own:
            error = self._refusals[-1][1]
            raise type(error)(
                f"Spotify does not tell this app of the playlists of {self._user} ({first_line(str(error))}). Since "
                "2026 only apps with extended quota are told of other people's; let that person sign in with `genre "
                "spotify login`, and fetch without --user-id."
            ) from error

    def _items(self, head: replies.Head, place: Place) -> None:
        """A playlist's tracks, unless this state of it is here already or was refused."""
        if self._store.is_refused(place) or self._store.progress(place)[1] == COMPLETE:
            return
        if head.length == 0:
            self._store.put_page(place, 0, {"items": [], "total": 0}, COMPLETE)
            return
        try:
            self._page_through(place, "playlists")
        except (SpotifyForbidden, SpotifyNotFound) as error:
            self._store.refuse(place, Refused("playlist", self._reason(head, error), head.name))

    def _reason(self, head: replies.Head, error: Exception) -> str:
        if head.owner == SPOTIFY:
            return SPOTIFYS
        if isinstance(error, SpotifyNotFound):
            return GONE
        return FORBIDDEN if head.owner == self._user and self._own else NOT_YOURS

    # --- artists ------------------------------------------------------------------------------------------------------

    def _top_artists(self, edition: str) -> None:
        for listing in listings.TOP_ARTISTS:
            place = Place(self._user, listing, edition)
            if self._store.is_refused(place):
                continue
            try:
                self._page_through(place, "top artists")
            except SpotifyForbidden:  # an authorisation without that scope: they come one by one
                self._store.refuse(place, Refused("artist", FORBIDDEN))

    def _single_artists(self) -> None:
        """Those whose genres are still unknown."""
        library = self._store.library(self._user)
        known, wanted = self._store.fresh_artists(), main_artists(library)
        for number, id in enumerate(wanted):
            self._tell(number, len(wanted), "artists")
            place = Place(self._user, listings.artist(id), "")
            if id in known or self._store.is_refused(place):
                continue
            try:
                self._store.put_artist(id, self._asking.get(listings.artist(id)))
            except EndpointGone:
                return
            except (SpotifyForbidden, SpotifyNotFound):
                self._store.refuse(place, Refused("artist", GONE))


def main_artists(library: Library) -> list[str]:
    """Ids of the artists named first on the tracks, those of most tracks first."""
    counts = Counter(track.artist_ids[0] for track in library.tracks.values() if any(track.artist_ids[:1]))
    return [id for id, _ in counts.most_common()]
