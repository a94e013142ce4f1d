"""Deezer, Apple and the hosts of previews on this machine, in one small server that can also behave badly."""

from __future__ import annotations

import io
import json
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np

Answer = tuple[int, dict[str, str], bytes]


class PreviewServices:
    """Answers by path; ``asked`` holds every path with its query, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Callable[[dict[str, str]], Answer]] = {}
        self.url = ""

    def put(self, path: str, content: object, status: int = 200, **headers: str) -> str:
        """Answer at a path with bytes, or with JSON; returns its address."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = lambda query: (status, sent, body)
        return f"{self.url}{path}"

    def put_each(self, path: str, answer: Callable[[dict[str, str]], object]) -> None:
        """Answer at a path with JSON that a function of the query makes."""
        self.answers[path] = lambda query: (200, {}, json.dumps(answer(query)).encode())

    def put_drip(self, path: str) -> str:
        """A byte every 50 ms, without end."""
        self.answers[path] = lambda query: (200, {"X-Drip": "1", "Content-Length": "1000000"}, b"x")
        return f"{self.url}{path}"


def handler(services: PreviewServices) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            services.asked.append(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            missing: Callable[[dict[str, str]], Answer] = lambda query: (404, {}, b"")  # noqa: E731
            status, headers, body = services.answers.get(parts.path, missing)(query)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.drip() if "X-Drip" in headers else self.wfile.write(body)

        def drip(self) -> None:
            for _ in range(200):
                try:
                    self.wfile.write(b"x")
                    self.wfile.flush()
                except OSError:
                    return
                time.sleep(0.05)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def preview_services() -> Iterator[PreviewServices]:
    """A server on a free port, ended afterwards."""
    services = PreviewServices()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(services))
    server.daemon_threads = True
    services.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield services
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def beep() -> bytes:
    """Half a second of a tone, as a WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes((9000 * np.sin(np.arange(4000) / 3)).astype("<i2").tobytes())
    return file.getvalue()


class Clock:
    """A clock that stands still but for those who sleep by it."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
