"""How the answer of Spotify's sign-in page comes back: by the browser, to an address of ours, or pasted by a person.

Both are listened to at once until one brings the answer or the time is over, so that signing in works over SSH, where
the browser runs on another machine: it fails to open ``http://127.0.0.1:…``, and that address is what is pasted.
"""

from __future__ import annotations

import hmac
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from typing import Any, TextIO
from urllib.parse import parse_qsl, urlsplit

from genre_lib.errors import ConfigurationError, SpotifyLoginFailed
from genre_lib.spotify.pasted import Pasted

PATH = "/callback"
GLANCE = 0.1
"""Seconds between two looks at what came."""

PASTES = 3
"""Times that a person may paste something before signing in is given up."""

ARRIVED = "Spotify's answer has arrived; this window can be closed, and the terminal says the rest."
NO_ADDRESS = "What was pasted is not the address that the browser ended at"
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

    def wait(
        self, seconds: float, typed: TextIO | None = None, again: Callable[[str], object] = lambda why: None
    ) -> Answer:
        """The answer that the browser brings, or that is pasted as a line of ``typed``.

        Args:
            again: called with what is wrong with that which was pasted, where it may be pasted again.

        Raises:
            SpotifyLoginFailed: none came in time, or what was pasted is none, ``PASTES`` times or to its end.
        """
        ends = time.monotonic() + seconds
        pasted, fault, left = Pasted(typed), "", PASTES
        while time.monotonic() < ends:
            ready, _, _ = select.select([self._server.fileno(), *pasted.sources], [], [], GLANCE)
            if self._server.fileno() in ready:
                self._server.handle_request()
            lines = pasted.lines() if set(pasted.sources) & set(ready) else []
            if answer := self._answer_of(lines):
                return answer
            if lines:
                fault, left = fault_of(lines[-1], self._state), left - 1
            if fault and not (left and pasted.sources):
                raise SpotifyLoginFailed(f"{fault}; run `genre spotify login` again, and paste {self._wanted}.")
            if lines:
                again(f"{fault}; paste {self._wanted}.")
        raise SpotifyLoginFailed(
            f"Nobody came back from Spotify within {seconds:g} s. If its page said INVALID_CLIENT, check "
            "SPOTIFY_CLIENT_ID and the redirect URIs of the app; then run `genre spotify login` again."
        )

    def _answer_of(self, lines: list[str]) -> Answer | None:
        """The first of what was pasted that is the answer, or else what the browser has brought."""
        found = next((answer for line in lines if (answer := self.answer_in(line))), None)
        try:
            return found or self._answers.get_nowait()
        except Empty:
            return None

    @property
    def _wanted(self) -> str:
        return f"the whole address that begins with http://127.0.0.1:{self._server.server_port}{PATH}"


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


def fault_of(pasted: str, state: str) -> str:
    """Why something pasted is no answer to the question with this state, as the beginning of a sentence."""
    try:
        parts = urlsplit(pasted)
    except ValueError:
        return NO_ADDRESS
    told = dict(parse_qsl(parts.query))
    if parts.path.endswith("/authorize"):
        return "What was pasted is the address to open in a browser, and not the one that the browser ends at"
    if parts.path != PATH:
        return NO_ADDRESS
    if "state" in told and told["state"] != state and not state.startswith(told["state"]):
        return "What was pasted is the answer to another sign-in, such as an earlier one"
    return "What was pasted is a part of the address that the browser ended at"


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
