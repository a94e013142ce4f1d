"""Who it is that signed in: Spotify says it once for each authorisation."""

from __future__ import annotations

from genre_lib.errors import SpotifyUnreachable
from genre_lib.spotify import replies
from genre_lib.spotify.asking import Asking
from genre_lib.spotify.store import Store


def signed_in(asking: Asking, store: Store) -> str:
    """The id of whoever signed in; asked once for each authorisation."""
    known = remembered_user(asking.account, store)
    if known:
        return known
    found = replies.user(asking.get("me"))
    if not found:
        raise SpotifyUnreachable("Spotify did not say who is signed in; try again later.")
    if asking.account:
        store.remember(fact_of(asking.account), found)
    return found


def remembered_user(account: str, store: Store) -> str:
    """Whose authorisation it is, where that was asked before; else ``""``."""
    return (store.recall(fact_of(account)) if account else None) or ""


def fact_of(account: str) -> str:
    return f"me {account}"
