"""How often a client may ask: by the name of its key, or by its address.

No address is exempt, loopback neither: a proxy on the same machine that is missing in ``TRUSTED_PROXIES`` makes
everyone look like loopback, and would lift all limits unnoticed. The defaults, 200 a second, are instead above what one
worker answers on a few cores; they keep a single client from more than that.

A request counts once when it comes. What holds more than one track counts for each of them once its body was read, by
:func:`refusal_of`.
"""

from __future__ import annotations

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genre_lib import api_keys
from genre_lib.api_keys import ApiKey
from genre_lib.service import addresses, auth
from genre_lib.service.errors import body
from genre_lib.service.limits import ALWAYS_ANSWERED, refuse
from genre_lib.service.rate_counter import Counter, Meter, Standing
from genre_lib.service.rates import Kind, Rates

PREDICTIONS = ("/predict", "/analyze")
"""Beginnings of the paths where a POST changes nothing."""

METER = "genre_lib.rate_limit"
"""Key in the scope: what counts the request, where it is counted."""


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
