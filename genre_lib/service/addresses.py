"""IP addresses: which are public, and which belong to one client."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

NOT_PUBLIC: tuple[IPNetwork, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # "this host": Linux connects it to itself
        "100.64.0.0/10",  # shared by carriers; a cloud's metadata, too
        "168.63.129.16/32",  # Azure's host, which looks public and answers its virtual machines alone
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "224.0.0.0/4",  # multicast, of which Python takes a part for global
        "240.0.0.0/4",
        "2001::/23",  # Teredo and other protocol assignments
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
    )
)
"""What ``is_global`` lets through, or did in some version of Python; IANA's special-purpose registries list them."""

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA has given out of IPv6 for public use."""

NAT64 = IPv6Network("64:ff9b::/96")
"""How hosts without IPv4 name an IPv4 address (RFC 6052)."""

CLIENT_PREFIX = 64
"""A household gets at least this much of IPv6, and may use any address in it."""


def parse(text: str) -> IPAddress | None:
    """The address in its canonical form; None for a name, and for 127.1, 0x7f.1 and other short forms."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return plain(address)


def plain(address: IPAddress) -> IPAddress:
    """An IPv4 address that is written as IPv6 (``::ffff:127.0.0.1``) as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_public(address: IPAddress) -> bool:
    """Whether anyone on the internet may reach it: no loopback, private, link-local, multicast or reserved address."""
    address = plain(address)
    if isinstance(address, IPv6Address):
        if address in NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not within(address, NOT_PUBLIC)


def within(address: IPAddress, networks: tuple[IPNetwork, ...]) -> bool:
    """Whether one of the networks holds the address."""
    address = plain(address)
    return any(address.version == network.version and address in network for network in networks)


def client_block(text: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 one. Texts that are no address stay as is."""
    address = parse(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), CLIENT_PREFIX), strict=False))
    return str(address or text)
