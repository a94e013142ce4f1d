"""Spotify's Web API through spotipy: one call at a time, that answers or says at once why not.

``Client.for_user`` asks for whoever signed in, ``Client.for_app`` for what is public, and ``Client.for_tracks`` takes
whichever of the two is set up. Calls are counted and repeated by :mod:`genre_lib.spotify.asking`, not here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import spotipy

from genre_lib.errors import SpotifyUnreachable
from genre_lib.settings import Settings
from genre_lib.spotify import answers
from genre_lib.spotify.access import Access, AppAccess, UserAccess, require_app
from genre_lib.spotify.downloads import origin
from genre_lib.spotify.session import NO_ANSWER, Session

UNAUTHORISED = 401


class Client:
    """Spotify's API by one right.

    Args:
        access: by which it is asked.
        now: seconds since 1970.
    """

    def __init__(self, settings: Settings, access: Access, now: Callable[[], float] = time.time) -> None:
        self._api = settings.spotify_api_url.rstrip("/") + "/"
        self._access = access
        self._now = now
        self._spotify = spotipy.Spotify(auth_manager=access, requests_session=Session(settings.spotify_timeout))
        self._spotify.prefix = self._api

    @classmethod
    def for_user(cls, settings: Settings) -> Client:
        """For whoever signed in.

        Raises:
            SpotifyNotConfigured: no app is named.
            SpotifyNotConnected: nobody has signed in; :class:`~genre_lib.errors.ReauthNeeded` where anew is needed.
        """
        access = UserAccess(settings)
        access.authorisation()
        return cls(settings, access)

    @classmethod
    def for_app(cls, settings: Settings) -> Client:
        """For what is public, such as a track by its id.

        Raises:
            SpotifyNotConfigured: no app is named, or it has no secret.
        """
        return cls(settings, AppAccess(settings))

    @classmethod
    def for_tracks(cls, settings: Settings) -> Client:
        """As the app where it has a secret, else for whoever signed in: either may read a track by its id.

        Raises:
            SpotifyNotConfigured: no app is named.
            SpotifyNotConnected: it has no secret, and nobody has signed in.
        """
        require_app(settings)
        has_secret = bool(settings.spotify_client_secret.get_secret_value())
        return cls.for_app(settings) if has_secret else cls.for_user(settings)

    @property
    def account(self) -> str:
        """A word for the authorisation; ``""`` for an app alone."""
        return self._access.account

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """The reply of a path below the API, or of a page's link to the next one.

        Raises:
            ReauthNeeded, SpotifyNotConnected, SpotifyCredentialsInvalid: there is no right to ask by.
            PremiumRequired, NotAllowlisted: Spotify does not serve the app, or not this person.
            SpotifyForbidden: not that; :class:`~genre_lib.errors.EndpointGone` where nobody gets it any more.
            SpotifyNotFound: there is no such thing.
            QuotaExceeded, RateLimited: not now; ``resume_at`` says when.
            SpotifyUnreachable: no answer came, or one that cannot be read.
        """
        self._require_own(path)
        try:
            return self._ask(path, params)
        except spotipy.SpotifyException as error:
            if error.http_status != UNAUTHORISED:
                raise answers.of_api(error, path, self._now()) from error
        self._access.renew()
        try:
            return self._ask(path, params)
        except spotipy.SpotifyException as error:
            raise answers.of_api(error, path, self._now()) from error

    def _ask(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        # _get and no method of spotipy's: it has none for the paths that apps made since 2026 are given
        try:
            reply = self._spotify._get(path, **params)
        except NO_ANSWER as error:
            raise answers.of_failure(error) from error
        except AttributeError as error:  # spotipy expects every error to be an object
            raise without_words(error) from error
        if not isinstance(reply, dict):
            raise answers.unreadable()
        return reply

    def _require_own(self, path: str) -> None:
        """Refuse a link that leads elsewhere, for it would be followed with the token."""
        if "//" not in path:
            return
        if origin(urlsplit(path)) != origin(urlsplit(self._api)) or not path.startswith(self._api):
            raise SpotifyUnreachable(
                f"Spotify's answer goes on at {urlsplit(path).hostname}, which is not the host of SPOTIFY_API_URL; it "
                "was not followed."
            )


def without_words(error: AttributeError) -> Exception:
    """What spotipy would have raised, had it not failed to read why; its status is known all the same."""
    response = getattr(error.__context__, "response", None)
    if response is None:
        return answers.unreadable()
    return spotipy.SpotifyException(response.status_code, -1, "", headers=response.headers)
