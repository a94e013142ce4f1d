"""How often a client may ask: by the name of its key, or by its address, counted over a sliding window.

The window is two counters (the one before, weighted by what of it still counts, and the present one), not a time stamp
for each request: a client costs the same memory whatever its limit, and is forgotten after two windows.

No address is exempt, loopback neither: a proxy on the same machine that is missing in ``TRUSTED_PROXIES`` makes
everyone look like loopback, and would lift all limits unnoticed. The defaults, 200 a second, are instead above what one
worker answers on a few cores; they keep a single client from more than that.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import math
import time
from dataclasses import dataclass
from enum import StrEnum

import limits
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string
from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genre_lib import api_keys
from genre_lib.api_keys import ApiKey
from genre_lib.errors import ConfigurationError
from genre_lib.service import addresses, auth
from genre_lib.service.errors import body
from genre_lib.service.limits import ALWAYS_ANSWERED, refuse
from genre_lib.settings import Settings

logger = logging.getLogger(__name__)

PREDICTIONS = ("/predict", "/analyze")
"""Beginnings of the paths where a POST changes nothing."""

STORES = ("memory", "redis", "rediss", "redis+unix")
STORE_SECONDS = 1.0
"""A store that takes longer has failed."""
SILENT_SECONDS = 5.0
"""How long a store that failed is left alone, so that not every request waits for it."""


class Kind(StrEnum):
    """What a request costs, and so which limit it falls under."""

    read = "read"
    prediction = "prediction"
    change = "change"
    failed_key = "failed_key"


SETTINGS = {
    Kind.read: "rate_limit",
    Kind.prediction: "rate_limit_predictions",
    Kind.change: "rate_limit_changes",
    Kind.failed_key: "rate_limit_failed_keys",
}

Rates = dict[Kind, limits.RateLimitItem]
"""A kind that is missing has no limit."""


def read_rates(settings: Settings) -> Rates:
    """The limits that are set.

    Raises:
        ConfigurationError: one is not written as ``600/minute``.
    """
    texts = {kind: str(getattr(settings, name)).strip() for kind, name in SETTINGS.items()}
    return {kind: parse(SETTINGS[kind], text) for kind, text in texts.items() if text}


def parse(name: str, text: str) -> limits.RateLimitItem:
    """``600/minute``, ``10/second``, ``100/5 minutes``."""
    try:
        found = limits.parse_many(text)
    except ValueError:
        found = []
    if len(found) != 1 or found[0].amount < 1 or found[0].get_expiry() < 1:
        raise ConfigurationError(
            f"{name.upper()} must be a number of requests a second, minute, hour or day, such as 600/minute, or empty "
            f"for no limit; it is {text!r}."
        )
    return found[0]


def rate_limit_store(settings: Settings) -> SecretStr:
    """The address of the store that counts. One that cannot be used is refused before anything starts.

    Raises:
        ConfigurationError: it is neither memory nor Redis, or Redis' client is not installed. The address is not
            repeated, for it may hold a password.
    """
    scheme, separator, _ = settings.rate_limit_store.get_secret_value().partition("://")
    if not separator or scheme not in STORES:
        raise ConfigurationError(
            "RATE_LIMIT_STORE must be memory://, or Redis' address such as redis://host:6379/0, and is neither."
        )
    if scheme != "memory" and importlib.util.find_spec("redis") is None:
        raise ConfigurationError(
            "RATE_LIMIT_STORE names Redis, whose client is not installed: pip install 'genre_lib[redis]'."
        )
    return settings.rate_limit_store


@dataclass(frozen=True)
class Standing:
    """How a client stands with one limit after a request."""

    allowed: bool
    limit: int
    remaining: int
    reset: float
    """When there is room again: seconds since 1970."""

    @property
    def headers(self) -> dict[str, str]:
        """What every answer tells; ``X-RateLimit-Reset`` in whole seconds since 1970."""
        names = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
        values = (self.limit, self.remaining, math.ceil(self.reset))
        return dict(zip(names, map(str, values), strict=True))

    @property
    def wait(self) -> int:
        """Whole seconds until there is room again."""
        return max(1, math.ceil(self.reset - time.time()))


class Counter:
    """Counts requests in the store. Where that does not answer, they go uncounted: better open than down.

    Args:
        store: ``memory://`` or Redis' address.
    """

    def __init__(self, store: SecretStr) -> None:
        address = store.get_secret_value()
        options = {} if address.startswith("memory:") else redis_options()
        self.limiter = SlidingWindowCounterRateLimiter(storage_from_string(f"async+{address}", **options))
        self.silent_until = 0.0

    async def hit(self, rate: limits.RateLimitItem, *client: str) -> Standing | None:
        """One more request; None where the store does not say."""
        return await self.ask(rate, client, counted=True)

    async def look(self, rate: limits.RateLimitItem, *client: str) -> Standing | None:
        """Whether one more would be allowed, without counting it."""
        return await self.ask(rate, client, counted=False)

    async def ask(self, rate: limits.RateLimitItem, client: tuple[str, ...], *, counted: bool) -> Standing | None:
        if time.monotonic() < self.silent_until:
            return None
        asked = self.limiter.hit if counted else self.limiter.test
        try:
            async with asyncio.timeout(STORE_SECONDS):  # Redis' client tries several times
                allowed = await asked(rate, *client)
                stats = await self.limiter.get_window_stats(rate, *client)
        except Exception as error:  # whatever the store's client raises, it is no reason to refuse a request
            self.silent_until = time.monotonic() + SILENT_SECONDS
            logger.warning(
                "the store of the rate limits does not answer (%s); requests are not counted for %g seconds",
                type(error).__name__,
                SILENT_SECONDS,
            )
            return None
        return Standing(allowed, rate.amount, stats.remaining, stats.reset_time)


def redis_options() -> dict[str, float | str | bool]:
    seconds = {"socket_timeout": STORE_SECONDS, "socket_connect_timeout": STORE_SECONDS}
    return {"implementation": "redispy", "key_prefix": "genre_lib", **seconds}


class RateLimit:
    """429 for a client that asks more often than it may; on other answers, headers that say how it stands.

    Args:
        rates: by the kind of request.
        keys: those that are known; a key's name has its own count, whatever address it comes from.
        store: ``memory://`` or Redis' address.
    """

    def __init__(self, app: ASGIApp, *, rates: Rates, keys: tuple[ApiKey, ...], store: SecretStr) -> None:
        self.app = app
        self.rates = rates
        self.keys = keys
        self.counter = Counter(store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS_ANSWERED:
            return await self.app(scope, receive, send)
        standing = await self.standing(scope)
        if standing is None:
            return await self.app(scope, receive, send)
        if not standing.allowed:
            headers = standing.headers | {"Retry-After": str(standing.wait)}
            return await refuse(scope, receive, send, 429, body(too_often(standing), "rate_limited"), headers)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(standing.headers)
            await send(message)

        await self.app(scope, receive, send_with_headers)
        return None

    async def standing(self, scope: Scope) -> Standing | None:
        """The client's standing with the limit that this request falls under; None where there is none."""
        key, address = auth.presented(Headers(scope=scope)), address_of(scope)
        name = api_keys.owner(key, self.keys) if key else None
        if key and self.keys:
            guesses = await self.guesses(address, known=name is not None)
            if guesses and not guesses.allowed:
                return guesses
        rate = self.rates.get(kind_of(scope))
        if rate is None:
            return None
        return await self.counter.hit(rate, kind_of(scope), f"key:{name}" if name else f"address:{address}")

    async def guesses(self, address: str, *, known: bool) -> Standing | None:
        """How an address stands with wrong keys.

        One that has sent too many is refused with a right key too, for otherwise the next guess would still be told
        from the others by its answer.
        """
        rate = self.rates.get(Kind.failed_key)
        if rate is None:
            return None
        ask = self.counter.look if known else self.counter.hit
        return await ask(rate, Kind.failed_key, f"address:{address}")


def too_often(standing: Standing) -> str:
    return f"More than the {standing.limit} requests that are allowed came; try again in {standing.wait} seconds."


def address_of(scope: Scope) -> str:
    """Whom a request without a key is counted for."""
    client = scope.get("client")
    return addresses.client_block(client[0]) if client else "unknown"


def kind_of(scope: Scope) -> Kind:
    """What the request costs, by its method and path."""
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return Kind.read
    return Kind.prediction if scope["path"].startswith(PREDICTIONS) else Kind.change
