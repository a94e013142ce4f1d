"""An ``audio_url`` fetched as a file: from where, how much, how long and what is bounded.

Whoever asks names an address that this machine opens, from inside its network. So only http and https, only public
addresses (:mod:`genre_lib.service.connections`), every redirect checked as the first address was, and nothing of the
environment: no proxy, no cookies, no credentials. It is done by httpcore, below httpx, which does none of these by
itself.

A query may hold a token that opens the file: of a URL, messages tell the host alone, and nothing is logged.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpcore
import httpx

from genre_lib import __version__
from genre_lib.errors import (
    AudioTooLarge,
    EmptyAudio,
    FetchTimeout,
    NotAudio,
    UrlRefused,
    UrlUnreachable,
    first_line,
)
from genre_lib.service.allowed_hosts import AllowedHosts
from genre_lib.service.connections import CheckedBackend, Resolve, look_up
from genre_lib.service.urls import checked_url, file_name, host_of
from genre_lib.settings import MIB, Settings

logging.getLogger("httpcore").setLevel(logging.INFO)  # at DEBUG it logs where redirects lead, with their tokens

MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
CONNECT_SECONDS = 10.0
SILENT_SECONDS = 10.0
"""How long a server may send nothing; one that drips ends at the total."""

PLAYLISTS = frozenset({"audio/mpegurl", "audio/x-mpegurl", "audio/x-scpls"})
"""Lists of further addresses, which nobody has checked."""
AUDIO = frozenset(
    {"application/octet-stream", "binary/octet-stream", "application/ogg", "application/mp4", "application/x-flac"}
)
"""What servers call audio, beside ``audio/*`` and ``video/*``."""

REQUEST_HEADERS = (
    (b"User-Agent", f"genre_lib/{__version__}".encode()),
    (b"Accept", b"audio/*, video/*;q=0.9, application/octet-stream;q=0.8, */*;q=0.1"),
    (b"Accept-Encoding", b"identity"),
    (b"Connection", b"close"),
)


@dataclass(frozen=True)
class Fetched:
    """A file that was fetched."""

    path: Path
    filename: str
    """For messages to the client: the last part of the URL's path, printable and at most 100 letters."""
    size: int
    """In bytes."""
    content_type: str | None
    """As the server said, without parameters."""


class Fetcher:
    """Fetches files within the settings' bounds.

    Args:
        settings: ``max_audio_bytes``, ``fetch_timeout``, ``fetch_allowed_hosts``.
        resolve: looks names up.
        tls: which certificates are believed; those of certifi, or of ``SSL_CERT_FILE``, by default.

    Raises:
        ConfigurationError: ``fetch_allowed_hosts`` cannot be used.
    """

    def __init__(self, settings: Settings, *, resolve: Resolve = look_up, tls: ssl.SSLContext | None = None) -> None:
        self.max_bytes = settings.max_audio_bytes
        self.seconds = settings.fetch_timeout
        self.backend = CheckedBackend(AllowedHosts(settings.fetch_allowed_hosts), resolve)
        self.tls = tls

    async def fetch(self, url: str, target: Path) -> Fetched:
        """Fetch the file at ``url`` into ``target``, which is not left behind where this fails.

        Raises:
            UrlRefused: the address, or one that it redirects to, is none that is fetched from.
            UrlUnreachable: nobody answers there, or with something else than the file.
            FetchTimeout: it took longer than ``fetch_timeout`` in all, or nothing came for too long.
            AudioTooLarge: there are more bytes than ``max_audio_bytes``.
            NotAudio, EmptyAudio: a web page came, a list of further addresses, or nothing.
        """
        address = checked_url(url)
        try:
            async with asyncio.timeout(self.seconds), self.answer(address) as (final, response):
                content_type = require_audio(final, response)
                size = await self.save(final, response, target)
        except BaseException as error:
            target.unlink(missing_ok=True)
            if isinstance(error, TimeoutError):
                raise self.too_slow(address) from None
            raise
        return Fetched(target, file_name(address), size, content_type)

    @asynccontextmanager
    async def answer(self, url: httpx.URL) -> AsyncIterator[tuple[httpx.URL, httpcore.Response]]:
        """What the last address of the redirects answers, with that address; its body is still to come."""
        context = self.tls or await asyncio.to_thread(default_tls)
        async with httpcore.AsyncConnectionPool(ssl_context=context, network_backend=self.backend) as pool:
            for _ in range(MOST_REDIRECTS + 1):
                response = await self.ask(pool, url)
                try:
                    if response.status not in REDIRECTS:
                        yield url, response
                        return
                    url = redirected(url, response)
                finally:
                    await response.aclose()
        raise UrlUnreachable(f"{host_of(url)} redirects more than {MOST_REDIRECTS} times; name the file's own address.")

    async def ask(self, pool: httpcore.AsyncConnectionPool, url: httpx.URL) -> httpcore.Response:
        request = httpcore.Request(
            "GET",
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[(b"Host", url.netloc), *REQUEST_HEADERS],
            extensions={
                "timeout": {"connect": CONNECT_SECONDS, "read": SILENT_SECONDS, "write": SILENT_SECONDS, "pool": None}
            },
        )
        with network_errors(url):
            return await pool.handle_async_request(request)

    async def save(self, url: httpx.URL, response: httpcore.Response, target: Path) -> int:
        """Write the body, and count it as it comes: what a header says of its length may be wrong."""
        declared = header(response, "content-length")
        if declared.isdigit() and int(declared) > self.max_bytes:
            raise self.too_large(url)
        size = 0
        with target.open("wb") as file:
            async for chunk in body_of(url, response):
                size += len(chunk)
                if size > self.max_bytes:
                    raise self.too_large(url)
                await asyncio.to_thread(file.write, chunk)
        if not size:
            raise EmptyAudio(f"{host_of(url)} sent an empty file.")
        return size

    def too_slow(self, url: httpx.URL) -> FetchTimeout:
        return FetchTimeout(
            f"{host_of(url)} did not send the file within {self.seconds:g} seconds; try again, or upload the file."
        )

    def too_large(self, url: httpx.URL) -> AudioTooLarge:
        return AudioTooLarge(
            f"The file at {host_of(url)} is larger than the {self.max_bytes / MIB:.0f} MiB that are allowed; "
            "name a smaller one."
        )


def redirected(url: httpx.URL, response: httpcore.Response) -> httpx.URL:
    """Where a redirect leads, checked as the first address was.

    Raises:
        UrlRefused: to where is not fetched from. From https to http is refused, too: who asked for the one wants to
            know whom the file comes from.
        UrlUnreachable: it does not say to where.
    """
    location = header(response, "location")
    if not location:
        raise UrlUnreachable(f"{host_of(url)} redirects ({response.status}) without saying to where.")
    try:
        joined = str(url.join(location))
    except (httpx.InvalidURL, UnicodeError):
        raise UrlRefused(f"{host_of(url)} redirects to a URL that cannot be read.") from None
    target = checked_url(joined)
    if url.scheme == "https" and target.scheme == "http":
        raise UrlRefused(
            f"{host_of(url)} redirects from https to http, which is not followed; send the http address itself."
        )
    return target


def require_audio(url: httpx.URL, response: httpcore.Response) -> str | None:
    """The type of an answer that may be a file of audio; what it is is found when it is decoded.

    Raises:
        UrlUnreachable: the status is not 200, or the body is compressed, so that its bytes say nothing of its size.
        NotAudio: it is something else by its type.
    """
    if response.status != 200:
        raise UrlUnreachable(f"{host_of(url)} answers with status {response.status} in place of the file (200).")
    encoding = header(response, "content-encoding").lower()
    if encoding not in ("", "identity"):
        raise UrlUnreachable(
            f"{host_of(url)} sends the file compressed, which it was asked not to do; upload the file."
        )
    kind = header(response, "content-type").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise NotAudio(f"{host_of(url)} sent a web page in place of a file; send the address of the file itself.")
    if kind in PLAYLISTS or not (not kind or kind in AUDIO or kind.startswith(("audio/", "video/"))):
        raise NotAudio(f"{host_of(url)} sent {kind[:50]!r} in place of audio; send the address of a file of audio.")
    return kind or None


async def body_of(url: httpx.URL, response: httpcore.Response) -> AsyncIterator[bytes]:
    with network_errors(url):
        async for chunk in response.aiter_stream():
            yield chunk


@contextmanager
def network_errors(url: httpx.URL) -> Iterator[None]:
    """httpcore's errors as ours."""
    try:
        yield
    except httpcore.TimeoutException:
        raise TimeoutError from None  # told with the total, in one place
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as error:
        raise UrlUnreachable(f"{host_of(url)} cannot be fetched from: {first_line(str(error))[:200]}.") from None


def header(response: httpcore.Response, name: str) -> str:
    """A header of the answer, empty where it is missing."""
    wanted = name.encode()
    return next((value.decode("latin-1").strip() for key, value in response.headers if key.lower() == wanted), "")


@cache
def default_tls() -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than many a fetch."""
    return httpx.create_ssl_context()
