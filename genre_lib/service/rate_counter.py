"""How often a client has asked, counted over a sliding window.

The window is two counters (the one before, weighted by what of it still counts, and the present one), not a time stamp
for each request: a client costs the same memory whatever its limit, and is forgotten after two windows.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass

import limits
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string
from pydantic import SecretStr

logger = logging.getLogger(__name__)

STORE_SECONDS = 1.0
"""A store that takes longer has failed."""

SILENT_SECONDS = 5.0
"""How long a store that failed is left alone, so that not every request waits for it."""


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
