"""Connections to addresses that were checked, and to no others.

A name is looked up once. All of its addresses are checked, and the connection goes to one of these very addresses, not
to the name: a second look-up might tell another address than the one that was checked (DNS rebinding). What is above,
TLS with its certificates and the ``Host`` header, goes on with the name. Redirects come through here as well.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpcore

from genre_lib.errors import UrlRefused, UrlUnreachable
from genre_lib.service import addresses
from genre_lib.service.addresses import IPAddress
from genre_lib.service.allowed_hosts import WEB_PORTS, AllowedHosts

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a name and a port to the texts of its addresses, the likeliest first."""

DNS_THREADS = ThreadPoolExecutor(16, thread_name_prefix="dns")
"""Apart from those of the event loop: someone's slow name server must not keep the service from its own files."""

MOST_ADDRESSES = 4
"""Of one name, that are tried in turn."""


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a name, as the system orders them (RFC 6724).

    Raises:
        UrlUnreachable: there are none.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(DNS_THREADS, socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the latter for labels that are empty or too long
        raise UrlUnreachable(f"There is no host {host}; check the address.") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Opens httpcore's connections.

    Args:
        allowed: hosts that may be reached although they are not public.
        resolve: looks names up.
    """

    def __init__(self, allowed: AllowedHosts, resolve: Resolve = look_up) -> None:
        self.allowed = allowed
        self.resolve = resolve
        self.network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first of the host's addresses that takes it.

        Raises:
            UrlRefused: one of the addresses, or the port, is not allowed.
            UrlUnreachable: the host has no address.
            httpcore.ConnectError, httpcore.ConnectTimeout: none of the addresses answers.
        """
        found = await self.checked(host, port)
        for address in found[:-1]:
            try:
                return await self.network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self.network.connect_tcp(str(found[-1]), port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise UrlRefused("A URL expects a host, not a socket of this machine.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def checked(self, host: str, port: int) -> list[IPAddress]:
        """The host's addresses, every one of them allowed."""
        literal = addresses.parse(host)
        texts = [str(literal)] if literal else await self.resolve(host, port)
        found = [addresses.parse(text) for text in texts]
        known = [address for address in found if address is not None]
        if not known or len(known) < len(found):
            raise UrlUnreachable(f"There is no host {host}; check the address.")
        for address in known:
            self.require_allowed(host, address, port)
        return known[:MOST_ADDRESSES]

    def require_allowed(self, host: str, address: IPAddress, port: int) -> None:
        """Refuse an address that is not public, and a port that is not the web's, unless they are listed.

        The message does not tell the address: what names mean inside is nobody's business outside.
        """
        if self.allowed.by_name(host, port) or self.allowed.by_address(address, port):
            return
        if not addresses.is_public(address):
            raise UrlRefused(
                f"{host} has an address that is not public, and only public ones are fetched from; whoever runs the "
                "service can allow it in FETCH_ALLOWED_HOSTS."
            )
        if port not in WEB_PORTS:
            raise UrlRefused(
                f"Port {port} of {host} is not fetched from, only 80 and 443 are; whoever runs the service can allow "
                "it in FETCH_ALLOWED_HOSTS."
            )
