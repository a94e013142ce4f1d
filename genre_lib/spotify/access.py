"""By which right Spotify is asked: as an app, for what is public, or for somebody who signed in.

Both are what spotipy calls an auth manager; neither ever asks a person anything, and both say what to do next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import spotipy

from genre_lib.errors import SpotifyNotConfigured, SpotifyNotConnected
from genre_lib.settings import Settings
from genre_lib.spotify import answers
from genre_lib.spotify.session import NO_ANSWER, Session
from genre_lib.spotify.tokens import Authorisation, Tokens

SCOPES = (
    "playlist-read-collaborative",
    "playlist-read-private",
    "user-library-read",
    "user-read-recently-played",
    "user-top-read",
)
"""What a person is asked to allow: to read, and nothing else."""

NOT_SIGNED_IN = "Nobody has signed in to Spotify; run `genre spotify login`."
UNREADABLE = (KeyError, TypeError, AttributeError, ValueError)
"""What spotipy raises where the accounts service answers in a form that it should not have."""


class Access(Protocol):
    """An auth manager of spotipy's."""

    @property
    def account(self) -> str:
        """A word for the authorisation; ``""`` for an app alone."""

    def get_access_token(self, as_dict: bool = False) -> str:
        """A token that has not expired."""

    def renew(self) -> None:
        """Get another token, for Spotify refuses the last one before its time."""


class UserAccess:
    """Somebody who signed in: their token, refreshed when it has expired."""

    def __init__(self, settings: Settings, now: Callable[[], float] = time.time) -> None:
        require_app(settings)
        self.tokens = Tokens.of(settings)
        self._manager = pkce_manager(settings, self.tokens)
        self._now = now
        self._last: Authorisation | None = None

    @property
    def account(self) -> str:
        return self.authorisation().account

    def authorisation(self) -> Authorisation:
        """That under which Spotify is asked.

        Raises:
            SpotifyNotConnected: nobody has signed in.
            ReauthNeeded: the file cannot be used.
        """
        found = self.tokens.read()
        if found is None:
            raise SpotifyNotConnected(NOT_SIGNED_IN)
        return found

    def get_access_token(self, as_dict: bool = False) -> str:
        self._last = self.authorisation()
        if self._last.is_expired(self._now()):
            self._last = self._refreshed(self._last)
        return self._last.access_token

    def renew(self) -> None:
        self._refreshed(self._last or self.authorisation())

    def _refreshed(self, stale: Authorisation) -> Authorisation:
        """That with the token after this one, which another process may have brought meanwhile."""
        with self.tokens.locked():
            found = self.authorisation()
            if found.access_token == stale.access_token:
                with said_plainly(self._now):
                    self._manager.refresh_access_token(found.refresh_token)
                found = self.authorisation()
        return found


class AppAccess:
    """The app by itself, which may read what is public; its token is kept in memory alone."""

    account = ""

    def __init__(self, settings: Settings, now: Callable[[], float] = time.time) -> None:
        require_secret(settings)
        self._now = now
        self._manager = spotipy.SpotifyClientCredentials(
            settings.spotify_client_id,
            settings.spotify_client_secret.get_secret_value(),
            requests_session=Session(settings.spotify_timeout),
            cache_handler=spotipy.MemoryCacheHandler(),
        )
        self._manager.OAUTH_TOKEN_URL = token_url(settings)

    def get_access_token(self, as_dict: bool = False) -> str:
        with said_plainly(self._now):
            return self._manager.get_access_token(as_dict=False)

    def renew(self) -> None:
        with said_plainly(self._now):
            self._manager.get_access_token(as_dict=False, check_cache=False)


def require_app(settings: Settings) -> None:
    """Refuse where no app is named.

    Raises:
        SpotifyNotConfigured: says how to make one.
    """
    if not settings.spotify_client_id:
        raise SpotifyNotConfigured(
            "Spotify is off until SPOTIFY_CLIENT_ID in .env names an app of your own: make one at "
            f"{answers.DASHBOARD} with the redirect URI {redirect_uri(settings)}."
        )


def require_secret(settings: Settings) -> None:
    """Refuse where the app has no secret to show."""
    require_app(settings)
    if not settings.spotify_client_secret.get_secret_value():
        raise SpotifyNotConfigured(
            "To ask for public tracks without signing in, set SPOTIFY_CLIENT_SECRET in .env to the app's secret, from "
            f"{answers.DASHBOARD}; or sign in with `genre spotify login`."
        )


def pkce_manager(settings: Settings, cache: spotipy.CacheHandler, state: str | None = None) -> spotipy.SpotifyPKCE:
    """spotipy's manager for signing in with a proof key, at the accounts service of the settings."""
    manager = spotipy.SpotifyPKCE(
        settings.spotify_client_id,
        redirect_uri(settings),
        state=state,
        scope=list(SCOPES),
        requests_session=Session(settings.spotify_timeout),
        open_browser=False,
        cache_handler=cache,
    )
    manager.OAUTH_AUTHORIZE_URL = accounts_url(settings, "authorize")
    manager.OAUTH_TOKEN_URL = token_url(settings)
    return manager


def redirect_uri(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.spotify_redirect_port}/callback"


def token_url(settings: Settings) -> str:
    return accounts_url(settings, "api/token")


def accounts_url(settings: Settings, path: str) -> str:
    return f"{settings.spotify_accounts_url.rstrip('/')}/{path}"


@contextmanager
def said_plainly(now: Callable[[], float] = time.time) -> Iterator[None]:
    """What goes wrong where tokens are asked for, as our own errors."""
    try:
        yield
    except spotipy.SpotifyOauthError as error:
        raise answers.of_accounts(error, now()) from None  # whose context holds the request with its secrets
    except NO_ANSWER as error:
        raise answers.of_failure(error) from None
    except UNREADABLE:
        raise answers.unreadable() from None
