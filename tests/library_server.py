"""Spotify's API for one invented library, over HTTP on the loopback: pages, both shapes, refusals, and a quota.

With an :class:`accounts_service.Accounts` it signs people in as well, and answers only who has a token.

Run as a program it serves until it is ended: ``python tests/library_server.py --tracks 5000`` prints its address. What
was asked is told at ``/asked``, and how much at ``/count``; ``/configure?artist_quota=600`` changes an option and
forgets what was asked.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from genre_lib.errors import QuotaExceeded, RateLimited, SpotifyForbidden, SpotifyNotFound, SpotifyUnreachable
from genre_lib.spotify import invented
from genre_lib.spotify.invented_world import World

TIMEOUT = 10
DRIP = 0.02
CHUNK = 600
WITHDRAWN = {"users", "audio-features", "audio-analysis", "recommendations"}
"""What apps made since 2026 no longer get."""


@dataclass
class Bad:
    """An answer that is not what was asked for.

    Args:
        status: of an error, with its message, and its reason where one is named.
        plain: whether the message comes as text, and not as JSON.
        retry_after: that header, whatever it says.
        how: ``hang`` (no answer), ``drip`` (a byte at a time), ``cut`` (half of it), ``garbage`` (a page), ``away``
            (sent to another host), ``word`` (an error that is no object), or ``""`` for the error as it is.
        times: so many calls are answered so, then all is well; -1 for all.
    """

    status: int = 200
    message: str = ""
    reason: str = ""
    plain: bool = False
    retry_after: str | None = None
    how: str = ""
    times: int = -1

    @property
    def body(self) -> bytes:
        error: Any = {"status": self.status, "message": self.message}
        if self.reason:
            error["reason"] = self.reason
        if self.how == "garbage":
            return b"<html>Sorry</html>"
        if self.plain:
            return self.message.encode()
        return json.dumps({"error": self.message if self.how == "word" else error}).encode()

    @property
    def headers(self) -> dict[str, str]:
        told = {"Content-Type": "text/plain" if self.plain else "application/json"}
        if self.retry_after is not None:
            told["Retry-After"] = self.retry_after
        if self.how == "away":
            told["Location"] = "http://127.0.0.1:9/v1/me"
        return told | {"Content-Length": str(len(self.body) + self.unsaid)}

    @property
    def unsaid(self) -> int:
        """Bytes that are promised, and do not come in time or at all."""
        return 100_000 if self.how in {"drip", "cut"} else 0


@dataclass
class Options:
    """How the server behaves.

    Args:
        old: entries and playlists in the shape of older apps.
        artist_quota: single artists that are told before 429; None for no end.
        retry_after: seconds that such an answer says.
        rest: seconds after the first such answer until it tells as many again.
        delay: seconds before each answer.
        forbidden: beginnings of the paths that are answered with 403.
        fail_at: numbers of the calls that are answered with 500.
        bad: by the beginning of a path, how else it is answered; that of signing in is ``api/token``.
    """

    old: bool = False
    artist_quota: int | None = None
    retry_after: float = 86400
    rest: float = 1e9
    delay: float = 0.0
    forbidden: tuple[str, ...] = ()
    fail_at: frozenset[int] = frozenset()
    bad: dict[str, Bad] = field(default_factory=dict)


class Signing(Protocol):
    """Who may ask: see :mod:`accounts_service`."""

    def authorize(self, query: dict[str, str]) -> tuple[int, str]: ...

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]: ...

    def refusal(self, authorization: str) -> str: ...


@dataclass
class State:
    world: World
    options: Options = field(default_factory=Options)
    asked: list[str] = field(default_factory=list)
    artists_told: int = 0
    exhausted_at: float = 0.0
    accounts: Signing | None = None
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


def old_shape(entry: Any) -> Any:
    """An entry or playlist as apps from before 2026 get it."""
    if not entry:
        return entry
    names = {"item": "track"} if "item" in entry else {"items": "tracks"} if "snapshot_id" in entry else {}
    return {names.get(key, key): value for key, value in entry.items()}


def in_chunks(body: bytes) -> bytes:
    """A body as it is sent whose length is not told before."""
    pieces = [body[start : start + CHUNK] for start in range(0, len(body), CHUNK)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: State

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = dict(parse_qsl(url.query))
        if url.path == "/asked":
            return self.answer(200, {"asked": self.state.asked})
        if url.path == "/count":
            return self.answer(200, {"count": len(self.state.asked)})
        if url.path == "/configure":
            return self.configure(asked)
        with self.state.lock:
            self.state.asked.append(self.path.removeprefix("/v1/"))
            number = len(self.state.asked)
        time.sleep(self.state.options.delay)
        bad = self.bad(url.path.removeprefix("/v1/").lstrip("/"))
        if bad:
            return self.misbehave(bad)
        accounts = self.state.accounts
        if accounts and url.path == "/authorize":
            return self.send_on(*accounts.authorize(asked))
        if accounts and (refusal := accounts.refusal(self.headers.get("Authorization", ""))):
            return self.fail(401, refusal)
        if number in self.state.options.fail_at:
            return self.answer(500, {"error": {"status": 500, "message": "Server error"}})
        return self.reply(url.path.removeprefix("/v1/"), asked)

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()))
        path = self.path.lstrip("/")
        with self.state.lock:
            self.state.asked.append(f"{path} {form.get('grant_type', '')}")
        bad = self.bad(path)
        if bad:
            return self.misbehave(bad)
        if not self.state.accounts or path != "api/token":
            return self.fail(404, "Not found")
        return self.answer(*self.state.accounts.token(form, self.headers.get("Authorization", "")))

    def bad(self, path: str) -> Bad | None:
        with self.state.lock:
            known = (bad for start, bad in self.state.options.bad.items() if path.startswith(start))
            found = next((bad for bad in known if bad.times), None)
            if found and found.times > 0:
                found.times -= 1
            return found

    def misbehave(self, bad: Bad) -> None:
        if bad.how == "hang":
            self.state.closing.wait(TIMEOUT)
            self.close_connection = True
            return
        self.send_response(bad.status)
        for name, value in bad.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(bad.body)
        for _ in range(bad.unsaid if bad.how == "drip" else 0):
            if self.state.closing.wait(DRIP):
                break
            self.wfile.write(b" ")
        self.close_connection = bool(bad.unsaid)

    def send_on(self, status: int, told: str) -> None:
        """A browser to the address that is told, or a page that says so."""
        body = b"" if status == 302 else told.encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", told)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def configure(self, asked: dict[str, str]) -> None:
        for name, value in asked.items():
            setattr(self.state.options, name, float(value))
        self.state.artists_told = 0
        self.state.asked.clear()
        self.answer(200, {})

    def reply(self, path: str, asked: dict[str, str]) -> None:
        world, options = self.state.world, self.state.options
        kind, _, rest = path.partition("/")
        if path.startswith(options.forbidden or ("\0",)) or kind in WITHDRAWN or path in {"tracks", "artists"}:
            return self.fail(403, "Forbidden.")
        if path == "search":
            found = [track for track in world.tracks.values() if asked["q"].lower() in track["name"].lower()]
            return self.answer(200, {"tracks": {"items": found[: min(10, int(asked["limit"]))], "total": len(found)}})
        if path == "me":
            return self.answer(200, world.user)
        if kind in {"artists", "tracks"}:
            known = world.artists if kind == "artists" else world.tracks
            if kind == "artists" and self.exhausted():
                return self.fail(429, "Too many requests.", "QUOTA_EXCEEDED")
            return self.answer(200, known[rest]) if rest in known else self.fail(404, "Resource not found")
        refused = world.refused.get(rest.split("/")[0])
        if refused:
            return self.fail(refused, "Forbidden." if refused == 403 else "Resource not found")
        return self.page(path, asked)

    def exhausted(self) -> bool:
        state, options = self.state, self.state.options
        with state.lock:
            if state.exhausted_at and time.time() > state.exhausted_at + options.rest:
                state.artists_told, state.exhausted_at = 0, 0.0
            if options.artist_quota is None or state.artists_told < options.artist_quota:
                state.artists_told += 1
                return False
            state.exhausted_at = state.exhausted_at or time.time()
            return True

    def page(self, path: str, asked: dict[str, str]) -> None:
        time_range = f"?time_range={asked['time_range']}" if "time_range" in asked else ""
        entries = self.state.world.listing(path + time_range)
        offset, limit = int(asked.get("offset", 0)), min(50, int(asked.get("limit", 20)))
        shown = [old_shape(entry) if self.state.options.old else entry for entry in entries[offset : offset + limit]]
        query = urlencode({**asked, "offset": offset + limit, "limit": limit})
        more = offset + limit < len(entries)
        link = f"http://{self.headers['Host']}/v1/{path}?{query}" if more else None
        self.answer(200, {"items": shown, "total": len(entries), "limit": limit, "offset": offset, "next": link})

    def fail(self, status: int, message: str, reason: str = "") -> None:
        error = {"status": status, "message": message} | ({"reason": reason} if reason else {})
        self.answer(status, {"error": error})

    def answer(self, status: int, reply: Any) -> None:
        """As Spotify does: compressed for whoever takes that, and long ones in chunks."""
        zipped = "gzip" in self.headers.get("Accept-Encoding", "")
        body = gzip.compress(json.dumps(reply).encode(), 1) if zipped else json.dumps(reply).encode()
        chunked = len(body) > CHUNK
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", str(round(self.state.options.retry_after)))
        self.send_header("Content-Type", "application/json")
        if zipped:
            self.send_header("Content-Encoding", "gzip")
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))))
        self.end_headers()
        self.wfile.write(in_chunks(body) if chunked else body)

    def log_message(self, *_: Any) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    """A server that says nothing of clients that were killed."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class LibraryServer:
    """The server on a free port, and what it was asked."""

    def __init__(self, world: World, accounts: Signing | None = None, **options: Any) -> None:
        self.state = State(world, Options(**options), accounts=accounts)
        self._server = Quiet(("127.0.0.1", 0), type("Bound", (Handler,), {"state": self.state}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1/"

    @property
    def accounts_url(self) -> str:
        return self.url.removesuffix("/v1/")

    @property
    def asked(self) -> list[str]:
        return self.state.asked

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.02)

    def close(self) -> None:
        self.state.closing.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(world: World, accounts: Signing | None = None, **options: Any) -> Iterator[LibraryServer]:
    server = LibraryServer(world, accounts, **options)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


class PlainClient:
    """The least that :class:`genre_lib.spotify.asking.Client` asks for, by plain HTTP and without signing in."""

    account = "test"

    def __init__(self, url: str) -> None:
        self._url, self._session = url, requests.Session()

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        url = path if "://" in path else self._url + path
        reply = self._session.get(url, params=params, timeout=TIMEOUT)
        if reply.status_code == 429:
            seconds = float(reply.headers["Retry-After"])
            kind = QuotaExceeded if reply.json()["error"].get("reason") == "QUOTA_EXCEEDED" else RateLimited
            raise kind(f"Spotify answers again in {seconds:.0f} s.", time.time() + seconds)
        known = {403: SpotifyForbidden, 404: SpotifyNotFound}
        if reply.status_code != 200:
            raise known.get(reply.status_code, SpotifyUnreachable)(f"Spotify answered {reply.status_code}.")
        return reply.json()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("tracks", "playlists", "artists"):
        parser.add_argument(f"--{name}", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--signing", action="store_true", help="answer only who has signed in")
    given = parser.parse_args()
    sizes = {name: getattr(given, name) for name in ("tracks", "playlists", "artists", "seed")}
    server = LibraryServer(invented.world(**sizes), accounts() if given.signing else None, delay=given.delay)
    print(server.url, flush=True)
    server.serve()


def accounts() -> Signing:
    from accounts_service import Accounts

    return Accounts()


if __name__ == "__main__":
    main()
