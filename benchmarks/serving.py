"""The service beside a plain FastAPI app with the same model: uploads of 30 s of mp3 from several clients at once.

    python benchmarks/serving.py ../shared/data/emotify
    python benchmarks/serving.py --seconds 10 --clients 1 4      # on invented music

Both servers are started here, each in a process of its own, and ended afterwards. The plain app is what one writes
first: a route that decodes the upload and calls ``pipeline("audio-classification")`` of transformers, in FastAPI's
threads. Both decode by ``genre_lib.audio`` at the model's sampling rate (the pipeline's own way is to start ffmpeg).
The service cuts a track into clips and joins what it thinks of each; a pipeline hears the track in one piece.

Only one of them is loaded at a time, in turns, so that a machine that slows down slows both. Every upload differs by a
tag before its sound, and the service's cache is off; ``--cache`` posts the files as they are, with the cache on.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from own_service import UNLIMITED, free_port, in_own_folder, running, service
from uploads import Upload, add_arguments, prepare, require_arguments

from genre_lib import audio


@dataclass(frozen=True)
class Server:
    """A server that answers, and how it is called in the table."""

    name: str
    url: str


@dataclass
class Load:
    """What became of the requests to one server from so many clients."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, percent: int) -> float:
        if len(self.latencies) < 2:
            return self.latencies[0] if self.latencies else float("nan")
        return statistics.quantiles(self.latencies, n=100, method="inclusive")[percent - 1]

    @property
    def mean_batch(self) -> float:
        """An answer tells its batch's size, so that large ones are told often: the harmonic mean undoes that."""
        return statistics.harmonic_mean(self.batches) if self.batches else float("nan")


def main() -> int:
    given = parse_arguments()
    if given.plain:
        serve_plainly(given.model, given.plain)
        return 0
    return in_own_folder("genre-serving-", lambda temporary: beside_each_other(temporary, given))


def beside_each_other(temporary: Path, given: argparse.Namespace) -> int:
    """Start both, and load them in turns."""
    uploads = prepare(given.folder, temporary, given.files)
    with ours(given.model, temporary, given.cache) as own, plain(given.model, temporary) as other:
        return measure([own, other], uploads, given)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, files=32)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16], help="so many at once, one after another")
    parser.add_argument("--seconds", type=float, default=60, help="for each server and number of clients")
    parser.add_argument("--turns", type=int, default=2, help="parts that these seconds are taken in, by turns")
    parser.add_argument("--cache", action="store_true", help="leave the service's cache on, and repeat the same files")
    parser.add_argument("--plain", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    require_arguments(parser, given)
    if min(*given.clients, given.turns) < 1 or given.seconds <= 0:
        parser.error("clients and turns are 1 or more, and seconds more than 0")
    return given


# --- the two servers --------------------------------------------------------------------------------------------------


@contextmanager
def ours(model: Path, temporary: Path, cache: bool) -> Iterator[Server]:
    """The service without limits of rate."""
    settings = {"MODEL_PATH": str(model), **UNLIMITED, "MAX_REQUESTS_IN_FLIGHT": "1000"}
    with service(temporary, settings if cache else {**settings, "PREDICTION_CACHE_BYTES": "0"}) as url:
        yield Server("service", url)


@contextmanager
def plain(model: Path, temporary: Path) -> Iterator[Server]:
    """:func:`serve_plainly` in a process of its own."""
    port = free_port()
    command = [sys.executable, __file__, "--model", str(model), "--plain", str(port)]
    with running(command, {}, temporary, "plain"):
        yield Server("plain", f"http://127.0.0.1:{port}")


def serve_plainly(model: Path, port: int) -> None:
    """A FastAPI app around a pipeline of transformers, as short as it can be."""
    import uvicorn
    from fastapi import FastAPI, UploadFile
    from transformers import pipeline

    import genre_lib.models  # noqa: F401 - makes our networks known to transformers

    classify = pipeline("audio-classification", model=str(model))
    assert classify.feature_extractor is not None
    rate = classify.feature_extractor.sampling_rate
    app = FastAPI()

    def predict(file: UploadFile) -> list[dict]:
        return classify(audio.load(file.file, rate, on_truncated="ignore").waveform, top_k=3)

    predict.__annotations__ = {"file": UploadFile, "return": list[dict]}  # names of this function, not of the module
    app.post("/predict")(predict)
    app.get("/health")(lambda: "ok")
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(servers: Sequence[Server], uploads: Sequence[Upload], given: argparse.Namespace) -> int:
    """Load both with every number of clients and print the table; 1 where a request was not answered well."""
    numbers = itertools.count()
    for server in servers:
        post_for(server, uploads, 1, 1.0, numbers, given.cache)  # the first requests prepare what all share
    print(f"{'clients':>7}  {'server':8} {'requests/s':>10} {'p50 s':>8} {'p95 s':>8} {'mean batch':>10} {'errors':>6}")
    errors: list[str] = []
    for clients in given.clients:
        loads = {server.name: Load() for server in servers}
        for turn in range(given.turns):
            for server in servers if turn % 2 == 0 else servers[::-1]:
                took = post_for(server, uploads, clients, given.seconds / given.turns, numbers, given.cache)
                add(loads[server.name], took)
        for name, load in loads.items():
            print(row(clients, name, load), flush=True)
        ours, others = (loads[server.name].rate for server in servers)
        print(f"{'':7}  ratio    {ours / others if others else float('nan'):10.2f}", flush=True)
        errors += [error for load in loads.values() for error in load.errors]
    for error, count in Counter(errors).items():
        print(f"{count} × {error}")
    return int(bool(errors))


def row(clients: int, name: str, load: Load) -> str:
    batch = f"{load.mean_batch:10.2f}" if load.batches else f"{'':10}"
    times = f"{load.percentile(50):8.3f} {load.percentile(95):8.3f}"
    return f"{clients:7}  {name:8} {load.rate:10.2f} {times} {batch} {len(load.errors):6}"


def add(load: Load, other: Load) -> None:
    load.seconds += other.seconds
    load.latencies += other.latencies
    load.batches += other.batches
    load.errors += other.errors


def post_for(
    server: Server, uploads: Sequence[Upload], clients: int, seconds: float, numbers: itertools.count, cache: bool
) -> Load:
    """Every client posts one file after the other for so long; what is under way then is waited for, and counts."""
    load, begun, stopped = Load(), time.perf_counter(), threading.Event()

    def client() -> None:
        with httpx.Client(base_url=server.url, timeout=120, trust_env=False) as http:
            while not stopped.is_set() and time.perf_counter() - begun < seconds:
                number = next(numbers)
                upload = uploads[number % len(uploads)]
                post(http, upload.name, upload.content if cache else upload.numbered(number), load)

    threads = [threading.Thread(target=client, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:
        stopped.set()
    load.seconds = time.perf_counter() - begun
    return load


def post(http: httpx.Client, name: str, content: bytes, load: Load) -> None:
    """One request, counted; threads may append to one list."""
    begun = time.perf_counter()
    try:
        response = http.post("/predict", files={"file": (name, content)})
    except httpx.TransportError as error:
        load.errors.append(type(error).__name__)
        return
    if response.status_code != 200:
        load.errors.append(f"{response.status_code} {response.text[:200]}")
        return
    load.latencies.append(time.perf_counter() - begun)
    if batch := response.headers.get("X-Batch-Size"):
        load.batches.append(int(batch))


if __name__ == "__main__":
    sys.exit(main())
