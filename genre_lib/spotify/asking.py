"""Calls to Spotify's API one after the other: counted, within the budget, and again after a short wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from genre_lib.errors import RateLimited, SpotifyUnreachable
from genre_lib.spotify.budget import Budget

PATIENCE = 60.0
"""Seconds that are waited; whoever has to wait longer is told so."""

LEAST_WAIT = 1.0
MOST_TRIES = 6
"""Of one call that is answered with a short wait each time."""

TROUBLE_WAITS = (1.0, 2.0, 4.0)
"""Seconds before a call is made again that met a fault of Spotify's, or no answer in time: growing, and few."""


class Client(Protocol):
    """Spotify's API, as :mod:`genre_lib.spotify.client` reaches it."""

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """The reply of a path below the API, or of a page's link to the next one."""


class Asking:
    """A client whose calls are counted.

    Args:
        budget: what may still be asked.
        sleep, now: seconds.
        patience: the longest wait that Spotify may ask for, in seconds; a longer one is raised.
        trouble_waits: waits before the further tries of a call that met trouble which may pass; none: one try.
    """

    def __init__(
        self,
        client: Client,
        budget: Budget,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
        *,
        patience: float = PATIENCE,
        trouble_waits: Sequence[float] = (),
    ) -> None:
        self._client = client
        self._budget = budget
        self._sleep = sleep
        self._now = now
        self._patience = patience
        self._trouble_waits = trouble_waits
        self.calls = 0

    @property
    def account(self) -> str:
        """A word for the authorisation that the client uses; ``""`` where it has none to say."""
        return str(getattr(self._client, "account", ""))

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """The reply to a call.

        Raises:
            QuotaExceeded, RateLimited: the wait is longer than the patience, or has no end.
            SpotifyUnreachable: there was trouble at every try.
            SpotifyError: as the client says.
        """
        for wait in self._trouble_waits:
            try:
                return self._patiently(path, **params)
            except SpotifyUnreachable as error:
                if not error.passing:
                    raise
            self._sleep(wait)
        return self._patiently(path, **params)

    def _patiently(self, path: str, **params: Any) -> dict[str, Any]:
        """The reply, after the waits that Spotify asks for."""
        for tries in range(1, MOST_TRIES + 1):
            try:
                return self._once(path, **params)
            except RateLimited as error:
                wait = error.resume_at - self._now()
                if wait > self._patience or tries == MOST_TRIES:
                    raise
            self._sleep(max(wait, LEAST_WAIT))
        raise AssertionError

    def _once(self, path: str, **params: Any) -> dict[str, Any]:
        self._budget.before_call(urlsplit(path).path)
        self.calls += 1
        try:
            return self._client.get(path, **params)
        except RateLimited as error:
            self._budget.refused(error)
            raise
