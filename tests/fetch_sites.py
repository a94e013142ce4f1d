"""Sites to fetch from on loopback, names in place of DNS, and a fetcher that may not leave this machine.

A name that is listed in ``FETCH_ALLOWED_HOSTS`` stands for a public one; the sites listen on loopback, which is what
everything else must not reach.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import httpcore

from genre_lib.errors import (
    UrlUnreachable,
)
from genre_lib.service.fetch import Fetched, Fetcher
from genre_lib.settings import get_settings

SOUND = b"RIFF" + bytes(range(256)) * 40
PUBLIC = "93.184.215.14"

Answer = Callable[[BaseHTTPRequestHandler], None]


def send(body: bytes = SOUND, kind: str | None = "audio/wav", status: int = 200, **headers: str) -> Answer:
    """An answer whole and in order; ``_`` in a header's name is ``-``."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        if kind is not None:
            request.send_header("Content-Type", kind)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def redirect(location: str, status: int = 302) -> Answer:
    return send(b"", status=status, Location=location)


def endless(request: BaseHTTPRequestHandler) -> None:
    """Bytes without a length, until the other side hangs up."""
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(bytes(65536))


def dripping(request: BaseHTTPRequestHandler) -> None:
    """A byte now and then, so that no single read is slow."""
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    for _ in range(200):
        request.wfile.write(b"x")
        request.wfile.flush()
        time.sleep(0.05)


def silent(request: BaseHTTPRequestHandler) -> None:
    time.sleep(5)


def cut_off(request: BaseHTTPRequestHandler) -> None:
    send(SOUND, Content_Length=str(len(SOUND) * 2))(request)


def no_http(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"220 mail.example ESMTP\r\n" * 9)


class Site:
    """A server on loopback that answers by path, and remembers what it was asked."""

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[BaseHTTPRequestHandler] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self)
                try:
                    site.answers.get(self.path.partition("?")[0], send(b"none", status=404))(self)
                except OSError:  # the other side had enough
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

            def handle_error(self, *_: object) -> None:
                pass

        self.server = Server((host, 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def hosts(self) -> list[str]:
        return [request.headers["Host"] for request in self.asked]


class Names:
    """A table of names in place of DNS; each look-up takes the next answer, the last one for ever."""

    def __init__(self, **answers: list[list[str]] | str) -> None:
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        answer = self.answers.get(host)
        if answer is None:
            raise UrlUnreachable(f"There is no host {host}; check the address.")
        if isinstance(answer, str):
            return [answer]
        return answer.pop(0) if len(answer) > 1 else answer[0]


class LoopbackOnly(httpcore.AnyIOBackend):
    """The real network, as far as tests may go; remembers where connections went."""

    def __init__(self) -> None:
        self.connected: list[tuple[str, int]] = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.connected.append((host, port))
        if not ip_address(host).is_loopback:
            raise httpcore.ConnectError("There is no network in tests")
        return await super().connect_tcp(host, port, timeout, local_address, socket_options)


class Fetching:
    """Fetches into a file, by the settings of a test."""

    def __init__(self, folder: Path, names: Names | None = None, tls: ssl.SSLContext | None = None, **settings) -> None:
        self.target = folder / "fetched"
        self.names = names or Names()
        self.fetcher = Fetcher(get_settings(**settings), resolve=self.names, tls=tls)
        self.network = self.fetcher.backend.network = LoopbackOnly()

    def __call__(self, url: str) -> Fetched:
        try:
            return asyncio.run(self.fetcher.fetch(url, self.target))
        except Exception as error:
            assert not self.target.exists(), "what failed leaves nothing behind"
            assert str(error).endswith(".")
            raise


def at(site: Site, path: str = "/song.wav", host: str = "127.0.0.1", scheme: str = "http") -> str:
    return f"{scheme}://{host}:{site.port}{path}"
