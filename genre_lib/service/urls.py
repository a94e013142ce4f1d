"""URLs of files, read once and strictly: what was checked is what is connected to."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote

import httpx

from genre_lib.errors import UrlRefused
from genre_lib.service import addresses

LONGEST_URL = 4096
LONGEST_NAME = 100

HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)$")
"""A last label like this makes the system read the whole host as an IPv4 address: 127.1, 0x7f.1, 2130706433."""


def checked_url(text: str) -> httpx.URL:
    """The URL, read once: what is checked is what is connected to.

    Raises:
        UrlRefused: it is no address of a file on the web, or one in disguise.
    """
    if len(text) > LONGEST_URL:
        raise UrlRefused(f"The URL has {len(text)} letters, and at most {LONGEST_URL} are allowed.")
    if not text.isprintable() or any(letter in text for letter in " \\"):
        raise UrlRefused("The URL holds a space, a backslash or a control character; write those percent-encoded.")
    try:
        url = httpx.URL(text)
        host = host_of(url).removesuffix(".")
    except (httpx.InvalidURL, UnicodeError):
        raise UrlRefused("The URL cannot be read; send one such as https://example.com/song.mp3.") from None
    if url.scheme not in ("http", "https"):
        raise UrlRefused("The URL must begin with http:// or https://; upload the file if it lies elsewhere.")
    if url.port == 0:  # httpcore would take the scheme's own in its place
        raise UrlRefused("The URL's port is 0, which is none; leave it out.")
    if url.userinfo:
        raise UrlRefused("The URL holds a user name or a password; send an address that opens without them.")
    require_host(host)
    return url.copy_with(host=host, fragment=None)


def host_of(url: httpx.URL) -> str:
    """As it was checked; ``url.host`` would read ``xn--…`` back, and fails where it means nothing."""
    return url.raw_host.decode("ascii")


def require_host(host: str) -> None:
    """Refuse hosts that are neither a name nor an address in its usual form.

    Raises:
        UrlRefused: says what is wrong.
    """
    if addresses.parse(host) and "%" not in host:
        return
    if not HOST.fullmatch(host):
        raise UrlRefused(
            "The URL's host is neither a name nor an address; send one such as https://example.com/song.mp3."
        )
    if NUMBER.fullmatch(host.rpartition(".")[2]):
        raise UrlRefused("The URL's host is an address in an unusual form; write an IPv4 address as four numbers.")


def file_name(url: httpx.URL) -> str:
    """What the file is called in messages to the client."""
    last = PurePosixPath(unquote(url.raw_path.decode("ascii").partition("?")[0], errors="replace")).name
    return "".join(letter for letter in last if letter.isprintable())[:LONGEST_NAME] or "The file"
