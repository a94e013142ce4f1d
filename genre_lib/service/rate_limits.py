"""How often a client may ask: by the name of its key, or by its address, counted over a sliding window.

The window is two counters (the one before, weighted by what of it still counts, and the present one), not a time stamp
for each request: a client costs the same memory whatever its limit, and is forgotten after two windows.

No address is exempt, loopback neither: a proxy on the same machine that is missing in ``TRUSTED_PROXIES`` makes
everyone look like loopback, and would lift all limits unnoticed. The defaults, 200 a second, are instead above what one
worker answers on a few cores; they keep a single client from more than that.

A request counts once when it comes. What holds more than one track counts for each of them once its body was read, by
:func:`refusal_of`.
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
from starlette.requests import Request
from starlette.responses import JSONResponse
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
METER = "genre_lib.rate_limit"
"""Key in the scope: what counts the request, where it is counted."""

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

    async def hit(self, rate: limits.RateLimitItem, *client: str, cost: int = 1) -> Standing | None:
        """One more request, or as many as it counts for, all or none; None where the store does not say."""
        return await self.ask(rate, client, counted=True, cost=cost)

    async def look(self, rate: limits.RateLimitItem, *client: str) -> Standing | None:
        """Whether one more would be allowed, without counting it."""
        return await self.ask(rate, client, counted=False)

    async def ask(
        self, rate: limits.RateLimitItem, client: tuple[str, ...], *, counted: bool, cost: int = 1
    ) -> Standing | None:
        if time.monotonic() < self.silent_until:
            return None
        asked = self.limiter.hit if counted else self.limiter.test
        try:
            async with asyncio.timeout(STORE_SECONDS):  # Redis' client tries several times
                allowed = await asked(rate, *client, cost=cost)
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


class Meter:
    """What one request has counted for so far, and how its client stands since; it is in the scope at :data:`METER`."""

    def __init__(self, counter: Counter, rate: limits.RateLimitItem, client: tuple[str, ...]) -> None:
        self.counter = counter
        self.rate = rate
        self.client = client
        self.standing: Standing | None = None

    async def count(self, cost: int = 1) -> Standing | None:
        """Count more, all of it or nothing; None where the store does not say."""
        found = await self.counter.hit(self.rate, *self.client, cost=cost)
        self.standing = found or self.standing
        return found


async def refusal_of(request: Request, tracks: int) -> JSONResponse | None:
    """429 for a request with more tracks than its client may ask for now; else None, and it counts for each of them."""
    meter: Meter | None = request.scope.get(METER)
    more = tracks - 1  # one was counted when it came
    standing = await meter.count(more) if meter and more > 0 else None
    if standing is None or standing.allowed:
        return None
    return JSONResponse(body(too_many(standing, tracks), "rate_limited"), 429, headers=refusing(standing))


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
        guesses, meter = await self.guesses_and_meter(scope)
        if guesses and not guesses.allowed:
            return await self.refused(guesses, scope, receive, send)
        standing = await meter.count() if meter else None
        if meter is None or standing is None:
            return await self.app(scope, receive, send)
        if not standing.allowed:
            return await self.refused(standing, scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and meter.standing:
                MutableHeaders(scope=message).update(meter.standing.headers)
            await send(message)

        scope[METER] = meter
        await self.app(scope, receive, send_with_headers)
        return None

    async def refused(self, standing: Standing, scope: Scope, receive: Receive, send: Send) -> None:
        content = body(too_often(standing), "rate_limited")
        await refuse(scope, receive, send, 429, content, refusing(standing))

    async def guesses_and_meter(self, scope: Scope) -> tuple[Standing | None, Meter | None]:
        """How its address stands with wrong keys, and what counts this request; None for each that has no limit."""
        key, address = auth.presented(Headers(scope=scope)), address_of(scope)
        name = api_keys.owner(key, self.keys) if key else None
        guesses = await self.guesses(address, known=name is not None) if key and self.keys else None
        kind = kind_of(scope)
        client = (kind, f"key:{name}" if name else f"address:{address}")
        return guesses, Meter(self.counter, self.rates[kind], client) if kind in self.rates else None

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


def too_many(standing: Standing, tracks: int) -> str:
    left = standing.remaining + 1  # this request was counted once already
    said = f"{tracks} tracks count for as many requests, and {left} of the {standing.limit} that are allowed are left"
    if tracks > standing.limit:
        return f"{said}; send it in parts of at most {standing.limit} tracks."
    return f"{said}; send fewer tracks, or try again in {standing.wait} seconds."


def refusing(standing: Standing) -> dict[str, str]:
    """The headers of a refusal."""
    return standing.headers | {"Retry-After": str(standing.wait)}


def address_of(scope: Scope) -> str:
    """Whom a request without a key is counted for."""
    client = scope.get("client")
    return addresses.client_block(client[0]) if client else "unknown"


def kind_of(scope: Scope) -> Kind:
    """What the request costs, by its method and path."""
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return Kind.read
    return Kind.prediction if scope["path"].startswith(PREDICTIONS) else Kind.change
