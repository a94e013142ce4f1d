"""What Prometheus may ask: instruments that all processes share through files, and the middleware for requests.

Without :func:`prepare` every function here does nothing, so that the parts of the service work outside of a server,
too. ``prometheus_client`` decides when it is imported whether it counts in memory or in files; it is therefore imported
only after the folder is named in the environment, which the processes that are started later inherit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from functools import cache
from pathlib import Path

from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable by which ``prometheus_client`` knows where its files lie."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
TRACKS = (1, 2, 4, 8, 16, 32, 64)
"""Upper bounds of the histograms' buckets."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED = "unmatched"
"""The route of every path that there is none for: a stranger shall not make labels."""
UNKNOWN = "unknown"
CODE = re.compile(r"[a-z0-9_]{1,64}")
CLIENT_GONE = 499
"""The status of a request that nobody waited for any more, as nginx has it."""


class Instruments:
    """The metrics of one process; what they hold lies in files, and is added up when Prometheus asks."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram, values

        from genre_lib.service.metric_files import ReservedDict

        values.MmapedDict = ReservedDict  # type: ignore[misc]
        values.ValueClass = values.get_value_class()  # anew: another library may have imported it before the folder
        self.request_seconds = Histogram(
            "genre_request_seconds",
            "Seconds from a request to the beginning of its answer.",
            ["route", "method", "status"],
            buckets=SECONDS,
            registry=None,
        )
        self.in_flight = Gauge(
            "genre_requests_in_flight",
            "Requests that are being answered.",
            registry=None,
            multiprocess_mode="livesum",
        )
        self.inference_seconds = Histogram(
            "genre_inference_seconds",
            "Seconds of a pass through the network, without decoding.",
            ["model"],
            buckets=SECONDS,
            registry=None,
        )
        self.batch_size = Histogram(
            "genre_batch_size", "Tracks in a pass through the network.", ["model"], buckets=TRACKS, registry=None
        )
        self.queue_length = Gauge(
            "genre_queue_length",
            "Requests that wait for a worker to take them.",
            ["worker"],
            registry=None,
            multiprocess_mode="livesum",
        )
        self.errors = Counter("genre_errors_total", "Errors by their code.", ["code"], registry=None)
        self.cache_hits = Counter("genre_cache_hits_total", "What a cache held.", ["cache"], registry=None)
        self.cache_misses = Counter("genre_cache_misses_total", "What a cache did not hold.", ["cache"], registry=None)
        self.worker_restarts = Counter(
            "genre_worker_restarts_total",
            "Times that a worker ended by itself and was started again.",
            ["worker"],
            registry=None,
        )


def prepare(folder: Path) -> None:
    """Count from zero, in files in ``folder``, which is emptied. In the main process, before it starts others."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[FOLDER] = str(folder)
    _instruments.cache_clear()


def forget() -> None:
    """Count no more in this process: the folder is about to go."""
    os.environ.pop(FOLDER, None)
    _instruments.cache_clear()


def prepared() -> bool:
    """Whether there is a folder to count in."""
    return bool(os.environ.get(FOLDER))


@cache
def _instruments() -> Instruments | None:
    return Instruments() if prepared() else None


# --- what other modules report ----------------------------------------------------------------------------------------


def observe_pass(model: str, tracks: int, seconds: float) -> None:
    """A pass of so many tracks went through a model's network, in so many seconds."""
    if found := _instruments():
        found.inference_seconds.labels(model).observe(seconds)
        found.batch_size.labels(model).observe(tracks)


def cache_hit(cache: str) -> None:
    """A cache held what was asked for; its name is one of a few, such as ``models``."""
    if found := _instruments():
        found.cache_hits.labels(cache).inc()


def cache_miss(cache: str) -> None:
    """A cache did not hold what was asked for."""
    if found := _instruments():
        found.cache_misses.labels(cache).inc()


def count_error(code: str) -> None:
    """An error that is no answer of its own, such as one item's of a batch; the others are counted by themselves."""
    if found := _instruments():
        found.errors.labels(code if CODE.fullmatch(code) else UNKNOWN).inc()


def set_queue_length(requests: int, worker: str = "predict") -> None:
    """So many requests wait for a worker."""
    if found := _instruments():
        found.queue_length.labels(worker).set(requests)


def worker_restarted(worker: str, dead: int | None) -> None:
    """A worker ended by itself, with this process id; what it counted stays, and what it was doing does not."""
    if found := _instruments():
        from prometheus_client.multiprocess import mark_process_dead

        found.worker_restarts.labels(worker).inc()
        if dead is not None:
            mark_process_dead(dead)


# --- requests ---------------------------------------------------------------------------------------------------------


class RequestMetrics:
    """Counts every request by route, method and status, and errors by their code. To be the outermost middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.routes: Routes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _instruments()
        if scope["type"] != "http" or found is None:
            return await self.app(scope, receive, send)
        self.routes = self.routes or Routes(scope["app"])
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        answer = Answering(found, send, self.routes.template(scope["path"]), method)
        found.in_flight.inc()
        try:
            await self.app(scope, receive, answer.send)
        except Exception:  # answered outside of all middlewares
            answer.end(500)
            raise
        finally:
            found.in_flight.dec()
            answer.end(CLIENT_GONE)
        return None


class Answering:
    """One request's way out: the status is counted when the answer begins, so that a stream is counted, too."""

    def __init__(self, instruments: Instruments, send: Send, route: str, method: str) -> None:
        self.instruments = instruments
        self._send = send
        self.route, self.method = route, method
        self.begun = time.perf_counter()
        self.status: int | None = None
        self.code_wanted = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.count(message["status"])
            self.code_wanted = message["status"] >= 400
        elif self.code_wanted:
            self.code_wanted = False
            count_error(code_in(message.get("body", b"")))
        await self._send(message)

    def count(self, status: int) -> None:
        self.status = status
        seconds = time.perf_counter() - self.begun
        self.instruments.request_seconds.labels(self.route, self.method, str(status)).observe(seconds)

    def end(self, status: int) -> None:
        """Nothing more comes; where nothing came at all, this was the status."""
        if self.status is None:
            self.count(status)
            if status >= 500:
                count_error("internal_server_error")


class Routes:
    """The templates of an app's paths: ``/models/{name}`` for ``/models/mine``.

    Of the path, because what is refused by a middleware never comes to a route.
    """

    def __init__(self, app: ASGIApp) -> None:
        contexts = iter_route_contexts(app.routes)  # type: ignore[attr-defined]
        paths = dict.fromkeys(context.path for context in contexts if context.path)
        plain_first = sorted(paths, key=lambda path: "{" in path)  # /models/upload is no model
        self.patterns = [(compile_path(path)[0], path) for path in plain_first]

    def template(self, path: str) -> str:
        """Of the first route that the path fits, or :data:`UNMATCHED`."""
        return next((template for pattern, template in self.patterns if pattern.match(path)), UNMATCHED)


def code_in(content: bytes) -> str:
    """The code in an error's body. Every layer writes the same small body, so it need not be told beside it."""
    try:
        code = json.loads(content)["code"]
    except (ValueError, KeyError, TypeError):
        return UNKNOWN
    return code if isinstance(code, str) else UNKNOWN
