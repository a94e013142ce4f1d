"""``FETCH_ALLOWED_HOSTS``: what it opens, and what it may not say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fetch_sites import (
    PUBLIC,
    Fetching,
    Names,
)

from genre_lib.errors import (
    ConfigurationError,
    UrlRefused,
)
from genre_lib.service.fetch import Fetcher
from genre_lib.service.urls import checked_url
from genre_lib.settings import get_settings


@pytest.mark.parametrize(
    ("entry", "url", "is_allowed"),
    [
        ("127.0.0.1", "http://127.0.0.1/", True),
        ("127.0.0.1", "http://127.0.0.1:8123/", False),
        ("127.0.0.1:8123", "http://127.0.0.1:8123/", True),
        ("127.0.0.1:8123", "http://127.0.0.1:8124/", False),
        ("127.0.0.1:8123", "http://127.0.0.1/", False),
        ("127.0.0.1:*", "http://127.0.0.1:9/", True),
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://inside.example/", True),
        ("10.0.0.0/8:8080", "http://inside.example:8080/", True),
        ("10.0.0.0/8", "http://192.168.0.1/", False),
        ("inside.example", "http://INSIDE.example./", True),
        ("INSIDE.example", "https://inside.example/", True),
        ("inside.example", "http://10.1.2.3/", False),
        ("inside.example", "http://very.inside.example/", False),
        ("*.example", "http://very.inside.example/", True),
        ("*.example", "http://example/", False),
        ("*.inside.example", "http://notinside.example/", False),
        ("*.example:8080", "http://inside.example:8080/", True),
        ("*.example:8080", "http://inside.example/", False),
        ("::1", "http://[::1]/", True),
        ("[::1]:8123", "http://[::1]:8123/", True),
        ("fd00::/8", "http://[fd00::1]/", True),
        ("[fd00::/8]:8123", "http://[fd00::1]:8123/", True),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]/", True),
        ("public.example:8080", "http://public.example:8080/", True),
        ("", "http://public.example:8080/", False),
        ("", "http://public.example/", True),
    ],
)
def test_what_is_allowed(entry: str, url: str, is_allowed: bool, tmp_path: Path):
    names = Names(
        inside_example="10.1.2.3", very_inside_example="10.1.2.3", notinside_example="10.1.2.3", example="10.1.2.3",
        public_example=PUBLIC,
    )  # fmt: skip
    fetch = Fetching(tmp_path, names, fetch_allowed_hosts=entry)
    address = checked_url(url)
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    check = fetch.fetcher.backend.checked(address.host, port)
    if is_allowed:
        assert asyncio.run(check)
    else:
        with pytest.raises(UrlRefused, match="FETCH_ALLOWED_HOSTS"):
            asyncio.run(check)


@pytest.mark.parametrize(
    "entry", ["http://host", "host:port", "host/path", "*", "a*.example", "[name]:80", "10.0.0.0/99", "a b"]
)
def test_a_malformed_list_is_one_error(entry: str):
    with pytest.raises(ConfigurationError, match=r"^FETCH_ALLOWED_HOSTS must be names"):
        Fetcher(get_settings(fetch_allowed_hosts=f"good.example,{entry}"))
