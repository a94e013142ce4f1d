"""Hosts that may be fetched from although they are not public: for tests and for intranets."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from genre_lib.errors import ConfigurationError
from genre_lib.service.addresses import IPAddress, IPNetwork, within

WEB_PORTS = frozenset({80, 443})
"""What is meant where no port is named."""

ENTRY = re.compile(r"(?:\[(?P<bracketed>[0-9A-Fa-f:./]+)\]|(?P<plain>[^:\[\]]+))(?::(?P<port>\d{1,5}|\*))?")
NAME = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


@dataclass(frozen=True)
class AllowedHost:
    """One entry: a name, all names below a suffix, or a network; and its ports."""

    ports: frozenset[int] | None
    """None for all."""
    name: str | None = None
    suffix: str | None = None
    network: IPNetwork | None = None

    def has_port(self, port: int) -> bool:
        return self.ports is None or port in self.ports


class AllowedHosts:
    """The list as a whole.

    A name that is listed may resolve to any address, so list names alone whose DNS is yours.

    Args:
        entries: ``name``, ``*.suffix``, an address or a network, each with ``:port``, or ``:*`` for all ports; without
            one the ports are 80 and 443. An IPv6 address with a port stands in brackets.

    Raises:
        ConfigurationError: an entry is none of these.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self.hosts = tuple(parse(entry) for entry in entries)

    def by_name(self, host: str, port: int) -> bool:
        """Whether the name is listed with this port."""
        return any(
            entry.has_port(port) and (host == entry.name or (entry.suffix is not None and host.endswith(entry.suffix)))
            for entry in self.hosts
        )

    def by_address(self, address: IPAddress, port: int) -> bool:
        """Whether a network that is listed with this port holds the address."""
        return any(
            entry.has_port(port) and entry.network is not None and within(address, (entry.network,))
            for entry in self.hosts
        )


def parse(text: str) -> AllowedHost:
    """One entry of ``FETCH_ALLOWED_HOSTS``."""
    network = network_in(text)  # an IPv6 address without brackets: its colons begin no port
    if network:
        return AllowedHost(WEB_PORTS, network=network)
    found = ENTRY.fullmatch(text.strip().lower().rstrip("."))
    if found:
        ports = ports_in(found["port"])
        host = found["bracketed"] or found["plain"]
        network = network_in(host)
        if network:
            return AllowedHost(ports, network=network)
        if found["plain"] and NAME.fullmatch(host):
            return AllowedHost(ports, suffix=host[1:]) if host.startswith("*.") else AllowedHost(ports, name=host)
    raise ConfigurationError(
        "FETCH_ALLOWED_HOSTS must be names, *.suffixes, addresses or networks, separated by commas, each with :port "
        f"or :* where that is not 80 or 443; {text!r} is none of these."
    )


def network_in(text: str) -> IPNetwork | None:
    """The network, or the one of an address alone; None for a name."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def ports_in(text: str | None) -> frozenset[int] | None:
    if text == "*":
        return None
    return frozenset({int(text)}) if text else WEB_PORTS
