"""Hosts and URLs that nothing is fetched from, and the name that a URL gives a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from fetch_sites import (
    PUBLIC,
    Fetching,
    Names,
)

from genre_lib.errors import (
    UrlRefused,
    UrlUnreachable,
)
from genre_lib.service.urls import checked_url, file_name


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "10.1.2.3",
            "169.254.169.254",
            "0.0.0.0",
            "[::1]",
            "[::]",
        ),
        *(
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fd00:ec2::254]",
            "[::127.0.0.1]",
        ),
        *("2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "0", "017700000001", "0x7f.0.0.0x1"),
        *(
            "127.0.0.1.",
            "127.0.0.0x1",
            "[fe80::1%25lo]",
            "[::1%25lo]",
            "127%2e0.0.1",
            "%31%32%37.0.0.1",
            "１２７.０.０.１",
        ),
        *(
            "127。0。0。1",
            "①②⑦.0.0.1",
            "metadata.google.internal",
            "inside.example",
            "half.example",
            "",
            ".",
            "a..b",
            "-",
            "a b",
        ),
        *(
            "good@127.0.0.1",
            "good:word@127.0.0.1",
            "127.0.0.1#@good.example",
            "127.0.0.1\\@good.example",
            ":word@good.example",
        ),
        *("[::1", "[127.0.0.1]", "good.example:99999", "good.example:-1", "good.example:80:80", "xn--a", "x" * 300),
    ],
)
def test_hosts_that_are_not_fetched_from(host: str, tmp_path: Path):
    names = Names(
        localhost="127.0.0.1", metadata_google_internal="169.254.169.254", inside_example="::ffff:10.0.0.1",
        half_example=[[PUBLIC, "127.0.0.1"]], good_example=PUBLIC,
    )  # fmt: skip
    fetch = Fetching(tmp_path, names, fetch_allowed_hosts="other.example")
    for url in (f"http://{host}/x", f"https://{host}/x"):
        with pytest.raises((UrlRefused, UrlUnreachable)) as caught:
            fetch(url)
        assert caught.type is UrlRefused or host in ("x" * 300, "xn--a")  # names that no resolver knows
        assert "10.0.0.1" not in str(caught.value), "what names mean inside is not told"
    assert not fetch.network.connected


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://good.example/x",
            "file:///etc/passwd",
            "gopher://good.example/",
            "data:audio/wav;base64,AAAA",
            "javascript:1",
        ),
        *(
            "//good.example/x",
            "/etc/passwd",
            "good.example/x",
            "",
            " http://good.example/",
            "http:good.example",
            "unix:/run/x",
        ),
        *(
            "http://good.example/\r\nHost: evil",
            "http://good.example/\tx",
            "http://good.example/\x00",
            "http://good.example/a b",
        ),
        *(
            "http://good.example\\.evil.example/",
            "http://good.example:22/",
            "http://good.example:8080/",
            "http://good.example:0/",
        ),
        *("https://good.example:25/", "http://" + "good.example/" * 900, "http://\ud800/"),
    ],
)
def test_urls_that_are_refused(url: str, tmp_path: Path):
    fetch = Fetching(tmp_path, Names(good_example=PUBLIC))
    with pytest.raises(UrlRefused) as caught:
        fetch(url)
    assert caught.value.code == "url_refused"
    assert not fetch.network.connected
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("host", ["user@good.example", "user:hunter2@good.example", ":hunter2@good.example"])
def test_credentials_are_refused_and_not_repeated(host: str, tmp_path: Path):
    with pytest.raises(UrlRefused, match="user name or a password") as caught:
        Fetching(tmp_path, Names(good_example=PUBLIC))(f"https://{host}/x?token=hunter3")
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/music/song.mp3", "song.mp3"),
        ("/J%C3%BCrgen.ogg?x=/../secret", "Jürgen.ogg"),
        ("/", "The file"),
        ("", "The file"),
        ("/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "passwd"),
        ("/a%0d%0aSet-Cookie:%20b.mp3", "aSet-Cookie: b.mp3"),
        ("/%ff.mp3", "\ufffd.mp3"),
        ("/" + "x" * 500, "x" * 100),
    ],
)
def test_the_name_comes_from_the_path(path: str, name: str):
    assert file_name(checked_url(f"https://example.com{path}")) == name
