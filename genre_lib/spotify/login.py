"""Signing in: a question to Spotify's page with a proof key and a state, and the tokens that its answer is worth.

Authorization Code with PKCE, as in https://developer.spotify.com/documentation/web-api/tutorials/code-pkce-flow.
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable
from typing import TextIO

import spotipy

from genre_lib.errors import ReauthNeeded, SpotifyLoginFailed
from genre_lib.settings import Settings
from genre_lib.spotify.access import pkce_manager, require_app, said_plainly
from genre_lib.spotify.callback import Answer, Listener
from genre_lib.spotify.tokens import Authorisation, Tokens

PATIENCE = 300.0
"""Seconds that a person has for Spotify's page."""


def login(
    settings: Settings,
    tell: Callable[[str], object],
    *,
    seconds: float = PATIENCE,
    typed: TextIO | None = None,
    browser: bool | None = None,
    again: Callable[[str], object] = lambda why: None,
) -> Authorisation:
    """Let somebody sign in, and keep the authorisation; what was there stays until a new one has come.

    Args:
        tell: called with the address of Spotify's page, once the answer is listened for.
        typed: where the address that Spotify came back to may be pasted, a line.
        browser: whether to open one; None: where there seems to be one on this machine.
        again: called with what is wrong with that which was pasted, where it may be pasted again.

    Raises:
        SpotifyNotConfigured: no app is named.
        ConfigurationError: the port that Spotify comes back to is taken.
        SpotifyLoginFailed: nobody came back in time, the person declined, or the answer is worth nothing.
        SpotifyCredentialsInvalid, SpotifyUnreachable: as the accounts service answers.
    """
    require_app(settings)
    state = secrets.token_urlsafe(24)
    cache = spotipy.MemoryCacheHandler()
    manager = pkce_manager(settings, cache, state)
    with Listener(settings.spotify_redirect_port, state) as listener:
        address = manager.get_authorize_url()
        tell(address)
        if browser if browser is not None else has_browser():
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()  # some return at their end
        answer = listener.wait(seconds, typed, again)
    exchange(manager, answer)
    with said_plainly():
        return Tokens.of(settings).begin(cache.get_cached_token())


def exchange(manager: spotipy.SpotifyPKCE, answer: Answer) -> None:
    """Turn the answer's code into tokens, which go into the manager's cache."""
    if not answer.code:
        declined = answer.error == "access_denied"
        why = "that you declined" if declined else f"{''.join(filter(str.isprintable, answer.error))[:60]!r}"
        raise SpotifyLoginFailed(f"Spotify's page answered {why}; run `genre spotify login` again to sign in.")
    try:
        with said_plainly():
            manager.get_access_token(code=answer.code, check_cache=False)
    except ReauthNeeded as error:
        raise SpotifyLoginFailed(
            "Spotify does not take the answer of its own page any more, for it was used or is too old; run `genre "
            "spotify login` again."
        ) from error


def has_browser() -> bool:
    """Whether a browser that a person sees can be opened from here: over SSH it is on another machine."""
    if os.environ.get("BROWSER"):
        return True
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        return False
    return sys.platform in {"darwin", "win32"} or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
