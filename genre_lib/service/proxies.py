"""Whom a request comes from, where proxies stand between: their word counts, that of others does not.

``X-Forwarded-For`` and ``Forwarded`` (RFC 7239) are lists that each proxy adds to at the right, and that a client may
begin with whatever it likes. So they are read from the right, for as long as the addresses are those of our own
proxies; the first that is not is the client.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from genre_lib.service import addresses
from genre_lib.service.addresses import IPAddress, IPNetwork

SCHEMES = frozenset({"http", "https"})

PARAMETER = re.compile(r'\s*(?P<name>[A-Za-z]+)=(?P<quote>"?)(?P<value>[^\s"]*)(?P=quote)\s*')
PORT = re.compile(r"^(?:\[(?P<v6>[^\]]+)\](?::\d+)?|(?P<v4>\d+\.\d+\.\d+\.\d+)(?::\d+)?)$")


@dataclass(frozen=True)
class Hop:
    """What one proxy says of whom it got the request from."""

    address: IPAddress | None
    """None where it says nothing that can be used: ``unknown``, a hidden name, nonsense."""
    scheme: str | None = None


class TrustedProxies:
    """Puts the client's address and scheme in place of the proxy's, if the proxy is one of ours.

    Args:
        networks: of our proxies. Without any, or from any other peer, the headers are ignored.
    """

    def __init__(self, app: ASGIApp, *, networks: tuple[IPNetwork, ...]) -> None:
        self.app = app
        self.networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.is_trusted(peer(scope)):
            headers = Headers(scope=scope)
            scope = {**scope, **self.told(headers)}
        await self.app(scope, receive, send)

    def is_trusted(self, address: IPAddress | None) -> bool:
        return address is not None and addresses.within(address, self.networks)

    def told(self, headers: Headers) -> dict[str, object]:
        """What replaces the scope's own: client, scheme.

        Where both headers stand there and name different clients, one of them went through our proxy untouched, and
        nobody knows which: neither is believed.
        """
        told = [self.client(hops) for hops in (forwarded_for(headers), forwarded(headers)) if hops]
        found: dict[str, object] = {}
        if told and all(hop.address == told[0].address for hop in told) and told[0].address:
            found["client"] = (str(told[0].address), 0)
        scheme = last(headers, "X-Forwarded-Proto").lower() or next((hop.scheme for hop in told if hop.scheme), None)
        if scheme in SCHEMES:
            found["scheme"] = scheme
        return found

    def client(self, hops: list[Hop]) -> Hop:
        """The first from the right that is no proxy of ours; behind what cannot be read nothing is believed."""
        known = Hop(None)
        for hop in reversed(hops):
            if hop.address is None:
                break
            known = hop
            if not self.is_trusted(hop.address):
                break
        return known


def peer(scope: Scope) -> IPAddress | None:
    """Who opened the connection; None for a socket without an address."""
    client = scope.get("client")
    return addresses.parse(client[0]) if client else None


def forwarded_for(headers: Headers) -> list[Hop]:
    """The hops of ``X-Forwarded-For``; lines of the same name are one list."""
    entries = ",".join(headers.getlist("X-Forwarded-For"))
    return [Hop(address_in(entry)) for entry in entries.split(",")] if entries.strip() else []


def forwarded(headers: Headers) -> list[Hop]:
    """The hops of ``Forwarded``: ``for=192.0.2.60;proto=https, for="[2001:db8::1]:80"``.

    Split at every comma, for an address holds none; so a quotation mark that a client leaves open hides nothing of
    what our proxy wrote behind it.
    """
    text = ",".join(headers.getlist("Forwarded"))
    return [hop_of(element) for element in text.split(",")] if text.strip() else []


def hop_of(element: str) -> Hop:
    """One element of ``Forwarded``; nothing of it where a part cannot be read."""
    found = [PARAMETER.fullmatch(part) for part in element.split(";")]
    named = {part["name"].lower(): part["value"] for part in found if part}
    if len(named) < len(found):
        return Hop(None)
    return Hop(address_in(named.get("for", "")), named.get("proto", "").lower() or None)


def address_in(text: str) -> IPAddress | None:
    """The address in ``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1`` or ``[2001:db8::1]:80``."""
    text = text.strip()
    found = PORT.match(text)
    return addresses.parse((found["v6"] or found["v4"]) if found else text)


def last(headers: Headers, name: str) -> str:
    """The last entry of a list header, which the nearest proxy wrote."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()
