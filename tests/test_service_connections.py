"""Where a connection goes: to the address that was checked, and over TLS to the name that was asked for."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from fetch_sites import (
    PUBLIC,
    SOUND,
    Fetching,
    Names,
    Site,
    at,
    send,
)

from genre_lib.errors import (
    UrlRefused,
    UrlUnreachable,
)


def test_the_connection_goes_to_the_address_that_was_checked(site: Site, tmp_path: Path):
    """The second look-up tells another address; it must never happen, and the host's name stays in the request."""
    site.answers["/song.wav"] = send()
    names = Names(music_example=[["127.0.0.1"], ["169.254.169.254"]])
    fetch = Fetching(tmp_path, names, fetch_allowed_hosts=f"music.example:{site.port}")
    assert fetch(at(site, host="music.example")).size == len(SOUND)
    assert names.asked == ["music.example"]
    assert site.hosts == [f"music.example:{site.port}"]


def test_a_name_that_is_rebound_to_loopback_is_not_followed_there(tmp_path: Path):
    """First a public address, then 127.0.0.1: what is connected to is the first."""
    names = Names(rebound_example=[[PUBLIC], ["127.0.0.1"]])
    fetch = Fetching(tmp_path, names)
    with pytest.raises(UrlUnreachable):
        fetch("http://rebound.example/song.wav")
    assert (names.asked, fetch.network.connected) == (["rebound.example"], [(PUBLIC, 80)])
    with pytest.raises(UrlRefused):
        fetch("http://rebound.example/song.wav")  # asked again, the name is checked again
    assert fetch.network.connected == [(PUBLIC, 80)]


def test_the_next_address_is_tried_where_one_does_not_answer(site: Site, tmp_path: Path):
    site.answers["/song.wav"] = send()
    names = Names(music_example=[["127.0.0.2", "127.0.0.1"]])  # the site listens on the second alone
    fetch = Fetching(tmp_path, names, fetch_allowed_hosts=f"music.example:{site.port}")
    assert fetch(at(site, host="music.example")).size == len(SOUND)


def test_ipv6_loopback_is_refused_and_can_be_allowed(tmp_path: Path):
    site = Site("::1")
    site.answers["/song.wav"] = send()
    try:
        with pytest.raises(UrlRefused, match="not public"):
            Fetching(tmp_path)(at(site, host="[::1]"))
        assert not site.asked
        allowing = Fetching(tmp_path, fetch_allowed_hosts=f"[::1]:{site.port}")
        assert allowing(at(site, host="[::1]")).size == len(SOUND)
        assert site.hosts == [f"[::1]:{site.port}"]
    finally:
        site.close()


def test_https_checks_the_certificate_against_the_name(secure_site: Site, authority: trustme.CA, tmp_path: Path):
    secure_site.answers["/song.wav"] = send()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    names = Names(music_example="127.0.0.1", other_example="127.0.0.1")
    fetch = Fetching(tmp_path, names, context, fetch_allowed_hosts=f"*.example:{secure_site.port}")
    assert fetch(at(secure_site, host="music.example", scheme="https")).size == len(SOUND)
    assert fetch(at(secure_site, host="music.example.", scheme="https")).size == len(SOUND)
    with pytest.raises(UrlUnreachable, match=r"other\.example cannot be fetched from: .*certificate"):
        fetch(at(secure_site, host="other.example", scheme="https"))
    strict = Fetching(tmp_path, names, fetch_allowed_hosts=f"*.example:{secure_site.port}")
    with pytest.raises(UrlUnreachable, match="certificate"):
        strict(at(secure_site, host="music.example", scheme="https"))  # by an authority that nobody knows
    assert len(secure_site.asked) == 2
