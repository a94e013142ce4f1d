"""Small answers of the services that previews come from: bounded in bytes, seconds and redirects, from their own hosts.

An address that an answer names is opened only if it is https at a host of that service, or lies where the service's
own address is configured; so is every redirect. Nothing is written to disk. Messages name the service and no address,
for addresses of previews hold tokens.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import urllib3

from genre_lib import __version__
from genre_lib.errors import RateLimited, SpotifyUnreachable
from genre_lib.settings import MIB

MOST_BYTES = 5 * MIB
"""Of a preview: 30 s at 320 kbit/s are 1.2 MB."""
MOST_JSON_BYTES = MIB
MOST_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
CHUNK = 1 << 16
NO_ADDRESS = (requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL)
DEFAULT_PORTS = {"https": 443, "http": 80}
HEADERS = {"User-Agent": f"genre_lib/{__version__}", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Service:
    """Whom an answer is asked of.

    Args:
        name: for messages.
        api: its address in the settings; whatever has the same origin is its own.
        suffixes: of its hosts for previews, such as ``.dzcdn.net``.
    """

    name: str
    api: str
    suffixes: tuple[str, ...]

    def owns(self, url: str) -> bool:
        """Whether an address may be opened: https at a host of the service's, or the origin of the settings."""
        try:
            parts = urlsplit(url)
            if parts.username is not None or parts.password is not None or not parts.hostname:
                return False
            if origin(parts) == origin(urlsplit(self.api)):
                return True
            return parts.scheme == "https" and port_of(parts) == 443 and f".{parts.hostname}".endswith(self.suffixes)
        except ValueError:  # a port or brackets that are none
            return False


@dataclass(frozen=True)
class Reply:
    """An answer that came whole."""

    status: int
    content: bytes
    retry_after: float | None = None
    """In seconds, where it says so."""


class Downloads:
    """Asks over HTTP.

    Args:
        service: whose answers these are.
        timeout: seconds that one answer may take in all.
        now: seconds since 1970.
    """

    def __init__(self, service: Service, timeout: float, now: Callable[[], float] = time.time) -> None:
        self.service, self.timeout, self.now = service, timeout, now
        self.session = requests.Session()
        self.session.headers.update(HEADERS)
        self.session.auth = lambda request: request  # otherwise passwords in ~/.netrc are sent

    def json(self, path: str, **params: str | int) -> tuple[Reply, Any]:
        """An answer of the API at a path below its address, and what it holds; None where that is no JSON.

        Raises:
            SpotifyUnreachable: no answer came, or one that is too long or too late.
        """
        reply = self.get(self.service.api.rstrip("/") + "/" + path, MOST_JSON_BYTES, params)
        try:
            return reply, json.loads(reply.content)
        except (ValueError, RecursionError):
            return reply, None

    def audio(self, url: str) -> bytes | None:
        """The bytes at an address; None where it is none of the service's, or there is nothing at it any more.

        Raises:
            RateLimited, SpotifyUnreachable: nothing comes now, and may later.
        """
        if not self.service.owns(url):
            return None
        reply = self.get(url, MOST_BYTES)
        if reply.status == 429:
            raise self.limited(reply.retry_after or 60.0)
        if reply.status >= 500:
            raise self.unreachable(f"answers {reply.status}")
        return reply.content or None if reply.status == 200 else None

    def get(self, url: str, most_bytes: int, params: Mapping[str, str | int] | None = None) -> Reply:
        """Ask, and follow redirects that stay with the service."""
        ends = time.monotonic() + self.timeout
        try:
            for _ in range(MOST_REDIRECTS + 1):
                with self._open(url, params) as response:
                    if response.status_code not in REDIRECTS:
                        return self._reply(response, most_bytes, ends)
                    url, params = urljoin(url, response.headers.get("Location", "")), None
                if not self.service.owns(url):
                    return Reply(404, b"")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self.unreachable(reason_of(error)) from error
        raise self.unreachable("sends in circles")

    def _open(self, url: str, params: Mapping[str, str | int] | None) -> requests.Response:
        limits = (min(10.0, self.timeout), self.timeout)
        return self.session.get(url, params=params, timeout=limits, stream=True, allow_redirects=False)

    def _reply(self, response: requests.Response, most_bytes: int, ends: float) -> Reply:
        """Read as it comes: of a server that drips, no more than the time allows."""
        content = bytearray()
        while chunk := response.raw.read1(CHUNK):
            content += chunk
            if len(content) > most_bytes:
                raise self.unreachable(f"sends more than {most_bytes:,} bytes")
            if time.monotonic() > ends:
                raise self.unreachable(f"took more than {self.timeout:g} s")
        wait = seconds_to_wait(response.headers.get("Retry-After", ""), self.now())
        return Reply(response.status_code, bytes(content), wait)

    def limited(self, seconds: float) -> RateLimited:
        told = f"{self.service.name} takes no more calls for now; try again in {max(1, round(seconds)):,} s."
        return RateLimited(told, resume_at=self.now() + seconds)

    def unreachable(self, reason: str) -> SpotifyUnreachable:
        return SpotifyUnreachable(f"{self.service.name} {reason}. Try again later.")


def seconds_to_wait(header: str, now: float) -> float | None:
    """Of a ``Retry-After``, which is a number of seconds or a date; None where it is neither."""
    try:
        if header.strip().isdigit():
            return float(header)
        return max(0.0, parsedate_to_datetime(header).timestamp() - now) if header else None
    except ValueError:
        return None


def origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, port_of(parts)


def port_of(parts: SplitResult) -> int | None:
    return parts.port or DEFAULT_PORTS.get(parts.scheme)


def is_late(error: Exception) -> bool:
    """Whether it was the time that ran out."""
    return isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError)


def may_pass(error: Exception) -> bool:
    """Whether the next try may go better: a wrong certificate or address stays wrong."""
    return not isinstance(error, (requests.exceptions.SSLError, *NO_ADDRESS))


def reason_of(error: Exception) -> str:
    """Why no answer came, without the address, which errors of requests hold."""
    if is_late(error):
        return "does not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "shows a certificate that cannot be checked"
    if isinstance(error, NO_ADDRESS):
        return "cannot be asked at the address in the settings"
    if isinstance(error, requests.exceptions.ChunkedEncodingError | urllib3.exceptions.ProtocolError):
        return "cut its answer off"
    return "cannot be reached" if isinstance(error, requests.ConnectionError) else "answers with what cannot be read"
