"""Whose word counts for who the client is."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest

from genre_lib.errors import ConfigurationError
from genre_lib.service.proxies import TrustedProxies
from genre_lib.settings import get_settings

TRUSTED = tuple(ip_network(text) for text in ("10.0.0.0/8", "127.0.0.1/32", "2001:db8:1::/48"))
CLIENT, OTHER = "203.0.113.7", "198.51.100.9"


def seen(peer: str | None, *headers: tuple[str, str], networks=TRUSTED) -> tuple[str | None, str]:
    """Client and scheme as the app sees them."""
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)

    scope = {
        "type": "http",
        "scheme": "http",
        "client": (peer, 50000) if peer else None,
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    asyncio.run(TrustedProxies(app, networks=networks)(scope, None, None))
    client = scopes[0]["client"]
    return client[0] if client else None, scopes[0]["scheme"]


def forwarded_for(*values: str) -> list[tuple[str, str]]:
    return [("X-Forwarded-For", value) for value in values]


@pytest.mark.parametrize("peer", [OTHER, "127.0.0.2", "2001:db8:2::1", "11.0.0.1"])
@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP"])
def test_from_others_the_headers_count_for_nothing(peer: str, name: str):
    value = f"for={CLIENT};proto=https" if name == "Forwarded" else CLIENT
    assert seen(peer, (name, value), ("X-Forwarded-Proto", "https")) == (peer, "http")


def test_without_networks_nobody_is_believed():
    assert seen("127.0.0.1", *forwarded_for(CLIENT), networks=()) == ("127.0.0.1", "http")
    assert seen(None, *forwarded_for(CLIENT)) == (None, "http")


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([CLIENT], CLIENT),
        ([f"1.2.3.4, {CLIENT}"], CLIENT),  # what the client wrote itself stands at the left
        ([f"1.2.3.4, {CLIENT}, 10.1.2.3, 10.9.9.9"], CLIENT),
        (["1.2.3.4", CLIENT, "10.1.2.3"], CLIENT),  # lines of the same name are one list
        ([f"10.1.2.3, {CLIENT}"], CLIENT),  # pretending to be a proxy does not help
        ([f"127.0.0.1, {CLIENT}"], CLIENT),
        (["10.1.2.3, 10.4.5.6"], "10.1.2.3"),  # a client inside our own network
        ([f"{CLIENT}:51234"], CLIENT),
        (["[2001:db8:5::1]:443"], "2001:db8:5::1"),
        (["2001:db8:5::1"], "2001:db8:5::1"),
        ([f"::ffff:{CLIENT}"], CLIENT),
        ([f"{CLIENT}, unknown"], "127.0.0.1"),  # nothing is believed of what lies behind nonsense
        ([f"{CLIENT}, unknown, 10.1.2.3"], "10.1.2.3"),
        ([f"{CLIENT},"], "127.0.0.1"),
        (["<script>"], "127.0.0.1"),
        ([""], "127.0.0.1"),
    ],
)
def test_the_first_from_the_right_that_is_no_proxy_is_the_client(values: list[str], client: str):
    assert seen("127.0.0.1", *forwarded_for(*values)) == (client, "http")


@pytest.mark.parametrize(
    ("value", "client", "scheme"),
    [
        (f"for={CLIENT};proto=https", CLIENT, "https"),
        (f'For="{CLIENT}:4711" ; Proto=HTTPS;by=10.0.0.1', CLIENT, "https"),
        ('for="[2001:db8:5::1]:443"', "2001:db8:5::1", "http"),
        (f"for=1.2.3.4;proto=https, for={CLIENT}", CLIENT, "http"),
        (f"for={CLIENT}, for=10.1.2.3", CLIENT, "http"),
        (f"for={CLIENT}, for=unknown", "10.0.0.1", "http"),
        (f"for={CLIENT}, for=_hidden", "10.0.0.1", "http"),
        (f'for="{OTHER}, for={CLIENT}', CLIENT, "http"),  # a quotation mark left open hides nothing
        (f'for={OTHER};x=", for={CLIENT}', CLIENT, "http"),
        (f'for={OTHER};x=", for="{CLIENT}"', CLIENT, "http"),
        (f"by={CLIENT}", "10.0.0.1", "http"),
        (f"for={CLIENT};proto=javascript", CLIENT, "http"),
    ],
)
def test_forwarded_is_read_as_well(value: str, client: str, scheme: str):
    assert seen("10.0.0.1", ("Forwarded", value)) == (client, scheme)


def test_where_both_headers_name_different_clients_neither_is_believed():
    both = [*forwarded_for(CLIENT), ("Forwarded", f"for={OTHER}")]
    assert seen("10.0.0.1", *both) == ("10.0.0.1", "http")
    assert seen("10.0.0.1", *forwarded_for(CLIENT), ("Forwarded", f"for={CLIENT}")) == (CLIENT, "http")


@pytest.mark.parametrize(
    ("value", "scheme"),
    [("https", "https"), ("HTTPS", "https"), ("http, https", "https"), ("ftp", "http"), ("", "http")],
)
def test_the_scheme(value: str, scheme: str):
    assert seen("2001:db8:1::5", ("X-Forwarded-Proto", value)) == ("2001:db8:1::5", scheme)


def test_an_ipv4_proxy_that_connects_over_ipv6_is_known():
    assert seen("::ffff:10.0.0.1", *forwarded_for(CLIENT)) == (CLIENT, "http")


def test_networks_come_from_the_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1/32 ,2001:db8:1::/48")
    assert get_settings().trusted_proxies == TRUSTED
    monkeypatch.setenv("TRUSTED_PROXIES", "everyone")
    with pytest.raises(ConfigurationError, match="TRUSTED_PROXIES"):
        get_settings()
