"""How the answer of Spotify's sign-in page comes back: by the browser, to an address of ours, or pasted by a person.

Both are listened to at once until one brings the answer or the time is over, so that signing in works over SSH, where
the browser runs on another machine: it fails to open ``http://127.0.0.1:…``, and that address is what is pasted.
"""

from __future__ import annotations

import hmac
import os
import select
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from typing import Any, TextIO
from urllib.parse import parse_qsl, urlsplit

from genre_lib.errors import ConfigurationError, SpotifyLoginFailed

PATH = "/callback"
GLANCE = 0.1
"""Seconds between two looks at what came."""

LONGEST_LINE = 1 << 14
ARRIVED = "Spotify's answer has arrived; this window can be closed, and the terminal says the rest."
NOT_AWAITED = "This is no answer to the sign-in that the terminal waits for."
PAGE = "<!doctype html><html lang=en><meta charset=utf-8><title>genre_lib</title><p>{text}</p></html>"


@dataclass(frozen=True)
class Answer:
    """What Spotify's page sent back.

    Args:
        code: to be exchanged for tokens; ``""`` where the person declined, for which ``error`` is a word.
    """

    code: str = ""
    error: str = ""


class Listener:
    """The address on the loopback to which the browser comes back.

    Args:
        port: of ``SPOTIFY_REDIRECT_PORT``.
        state: the random word that the answer must carry.

    Raises:
        ConfigurationError: another program has the port.
    """

    def __init__(self, port: int, state: str) -> None:
        self._state = state
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        try:
            self._server = CallbackServer(port, self)
        except OSError as error:
            raise ConfigurationError(
                f"Signing in comes back to port {port} of this machine, which another program has ({error.strerror}). "
                "End it, or set SPOTIFY_REDIRECT_PORT to another port and add its address to the app's redirect URIs."
            ) from error

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def answer_in(self, target: str) -> Answer | None:
        """What a browser asks for as the answer that is waited for, if it is that."""
        return answer_in(target, self._state)

    def take(self, answer: Answer) -> None:
        self._answers.put(answer)

    def wait(self, seconds: float, typed: TextIO | None = None) -> Answer:
        """The answer that the browser brings, or that is pasted as a line of ``typed``.

        Raises:
            SpotifyLoginFailed: none came in time, or what was pasted is none.
        """
        ends = time.monotonic() + seconds
        pasted = Pasted(typed)
        while time.monotonic() < ends:
            ready, _, _ = select.select([self._server.fileno(), *pasted.sources], [], [], GLANCE)
            if self._server.fileno() in ready:
                self._server.handle_request()
            line = pasted.line() if set(pasted.sources) & set(ready) else ""
            if line:
                return self._pasted(line)
            try:
                return self._answers.get_nowait()
            except Empty:
                continue
        raise SpotifyLoginFailed(
            f"Nobody came back from Spotify within {seconds:g} s. If its page said INVALID_CLIENT, check "
            "SPOTIFY_CLIENT_ID and the redirect URIs of the app; then run `genre spotify login` again."
        )

    def _pasted(self, line: str) -> Answer:
        answer = answer_in(line, self._state)
        if answer is None:
            raise SpotifyLoginFailed(
                "What was pasted is not the address that this sign-in came back to; run `genre spotify login` again, "
                f"and paste the whole address that begins with http://127.0.0.1:{self._server.server_port}{PATH}."
            )
        return answer


class Pasted:
    """A line that a person types or pastes, without waiting for it; none where there is nobody.

    Args:
        typed: a file of the operating system's, such as standard input.
    """

    def __init__(self, typed: TextIO | None) -> None:
        self.sources: list[int] = []
        self._rest = b""
        try:
            self.sources = [typed.fileno()] if typed else []
        except (OSError, ValueError):  # closed, or no file of the operating system's
            return

    def line(self) -> str:
        """The first that is whole by now and not blank, ``""`` where none is; at its end the file's last is whole."""
        came = os.read(self.sources[0], LONGEST_LINE)
        if not came:
            self.sources = []
        *whole, self._rest = (self._rest + (came or b"\n")).split(b"\n")
        return next((text for text in (line.decode(errors="replace").strip() for line in whole) if text), "")


def answer_in(address: str, state: str) -> Answer | None:
    """What an address says to the question with this state; None where it is no answer to it."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return None
    told = dict(parse_qsl(parts.query))
    same = hmac.compare_digest(told.get("state", "").encode(), state.encode())
    if parts.path != PATH or not same or not (told.get("code") or told.get("error")):
        return None
    return Answer(told.get("code", ""), "" if told.get("code") else told["error"])


class CallbackServer(ThreadingHTTPServer):
    """Threads, for browsers open connections ahead of need and say nothing on them."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, listener: Listener) -> None:
        self.listener = listener
        super().__init__(("127.0.0.1", port), CallbackHandler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no matter."""


class CallbackHandler(BaseHTTPRequestHandler):
    """Answers the browser with a page that holds nothing of what it brought."""

    server: CallbackServer
    timeout = 10
    server_version = "genre_lib"
    sys_version = ""

    def do_GET(self) -> None:
        answer = self.server.listener.answer_in(self.path)
        try:
            self._show(200, ARRIVED) if answer else self._show(400, NOT_AWAITED)
        finally:  # not before the page was sent: the process may end as soon as it has its answer
            if answer:
                self.server.listener.take(answer)

    def _show(self, status: int, text: str) -> None:
        body = PAGE.format(text=text).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Content-Security-Policy", "default-src 'none'")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """The address holds a code."""
