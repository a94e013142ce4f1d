"""A small web server for ``audio_url``, with what it may meet."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class Web(BaseHTTPRequestHandler):
    """What an ``audio_url`` may meet."""

    song = b""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/song.wav":
            self.answer(200, "audio/wav", self.song)
        elif path == "/page":
            self.answer(200, "text/html", b"<title>No audio</title>")
        elif path == "/empty":
            self.answer(200, "audio/wav", b"")
        elif path == "/large":
            self.answer(200, "audio/wav", bytes(2 * 1024**2))
        elif path == "/slow":
            time.sleep(3)
            self.answer(200, "audio/wav", self.song)
        elif path in REDIRECTS:
            self.answer(302, "text/plain", b"", REDIRECTS[path])
        else:
            self.answer(404, "text/plain", b"nothing here")

    def answer(self, status: int, kind: str, content: bytes, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        try:
            self.wfile.write(content)
        except ConnectionError:  # it was refused by its length, or waited for too long
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the document says what was asked."""


REDIRECTS = {"/moved": "/song.wav", "/in-circles": "/in-circles", "/to-private": "http://192.168.0.1/song.wav"}


@contextmanager
def web_server(song: bytes) -> Iterator[int]:
    """The web server in a thread; its port."""
    Web.song = song
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
