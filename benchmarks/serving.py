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
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
import httpx
import psutil

from genre_lib import audio
from genre_lib.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[1]
SECONDS = 30.0
BIT_RATE = 128_000
START_SECONDS = 180
END_SECONDS = 20
ENDING = (signal.SIGINT, signal.SIGTERM)
LEFT_TO_THE_USER = {"device", "engine", "max_batch_size", "batch_timeout"}
"""Settings of the service that may be tried out here; the others are as measured."""


@dataclass(frozen=True)
class Upload:
    """A file as it is posted."""

    name: str
    content: bytes

    def numbered(self, number: int) -> bytes:
        """The same sound as other content: an ID3v2 tag before it, with a frame for private use."""
        owner_and_number = b"benchmark\0" + number.to_bytes(8, "big")
        frame = b"PRIV" + len(owner_and_number).to_bytes(4, "big") + b"\0\0" + owner_and_number
        return b"ID3\x03\0\0" + len(frame).to_bytes(4, "big") + frame + self.content


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
    for number in ENDING:
        signal.signal(number, interrupt_once)
    try:
        with tempfile.TemporaryDirectory(prefix="genre-serving-") as name, ExitStack() as stack:
            uploads = prepare(given.folder, Path(name), given.files)
            print(f"{len(uploads)} files, {sum(len(u.content) for u in uploads) / len(uploads) / 1e3:.0f} kB each")
            servers = [
                stack.enter_context(service(given.model, Path(name), given.cache)),
                stack.enter_context(plain(given.model, Path(name))),
            ]
            return measure(servers, uploads, given)
    except KeyboardInterrupt:
        print("interrupted; both servers were ended", file=sys.stderr)
        return 130


def interrupt_once(number: int, frame: object) -> None:
    """The first signal ends the servers; a second one shall not keep that from its end."""
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)
    raise KeyboardInterrupt


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="folder of audio files; without one, invented music")
    parser.add_argument("--model", type=Path, default=REPOSITORY / "pretrained/genre_classifier", help="model folder")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16], help="so many at once, one after another")
    parser.add_argument("--seconds", type=float, default=60, help="for each server and number of clients")
    parser.add_argument("--turns", type=int, default=2, help="parts that these seconds are taken in, by turns")
    parser.add_argument("--files", type=int, default=32, help="different files to post")
    parser.add_argument("--cache", action="store_true", help="leave the service's cache on, and repeat the same files")
    parser.add_argument("--plain", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.model = given.model.resolve()
    if min(*given.clients, given.turns, given.files) < 1 or given.seconds <= 0:
        parser.error("clients, turns and files are 1 or more, and seconds more than 0")
    if not (given.model / "config.json").is_file():
        parser.error(f"{given.model} is no model folder; name one by --model")
    if given.folder and not given.folder.is_dir():
        parser.error(f"there is no folder {given.folder}")
    return given


# --- what is posted ---------------------------------------------------------------------------------------------------


def prepare(folder: Path | None, temporary: Path, files: int) -> list[Upload]:
    """The first 30 s of so many files, spread over the folder; an mp3 that is no longer is taken as it is."""
    found = audio.find(folder) if folder else sorted(invented(temporary / "music", files).rglob("*.wav"))
    if not found:
        sys.exit(f"error: there is no audio below {folder}; name another folder, or none for invented music")
    chosen = found[:: max(1, len(found) // files)][:files]
    uploads = []
    for number, file in enumerate(chosen):
        short = file.suffix.lower() == ".mp3" and (audio.probe(file).duration or SECONDS + 1) <= SECONDS + 0.5
        content = file if short else cut(file, temporary / f"{number}.mp3")
        uploads.append(Upload(f"{number}.mp3", content.read_bytes()))
    return uploads


def invented(folder: Path, files: int) -> Path:
    """The synthetic catalogue, long enough to be cut, as large as is needed."""
    from genre_lib.data import synthetic

    genres = len(synthetic.SYNTH_GENRES)
    tracks = max(synthetic.MIN_TRACKS, -(-files // genres))
    return synthetic.make(folder, tracks_per_genre=tracks, seconds=SECONDS, sample_rate=44100)


def cut(source: Path, target: Path) -> Path:
    """The first 30 s as mp3, in the source's rate and with as many channels, at most two."""
    with av.open(str(source)) as given, av.open(str(target), "w", format="mp3") as made:
        stream = given.streams.audio[0]
        layout = "mono" if stream.codec_context.channels == 1 else "stereo"
        encoder = made.add_stream("libmp3lame", rate=stream.codec_context.sample_rate, layout=layout)
        encoder.bit_rate = BIT_RATE
        for frame in given.decode(stream):
            if frame.time is not None and frame.time >= SECONDS:
                break
            frame.pts = None
            made.mux(encoder.encode(frame))
        made.mux(encoder.encode(None))
    return target


# --- the two servers --------------------------------------------------------------------------------------------------


@contextmanager
def service(model: Path, temporary: Path, cache: bool) -> Iterator[Server]:
    """``serve.py`` on a free port, without limits of rate, with folders of its own."""
    port = free_port()
    settings = {
        "MODEL_PATH": str(model),
        "MODELS_PATH": str(temporary / "models"),
        "RUNS_PATH": str(temporary / "runs"),
        "CACHE_PATH": str(temporary / "cache"),
        **dict.fromkeys(("RATE_LIMIT", "RATE_LIMIT_PREDICTIONS", "RATE_LIMIT_CHANGES"), ""),
        "MAX_REQUESTS_IN_FLIGHT": "1000",
        **({} if cache else {"PREDICTION_CACHE_BYTES": "0"}),
    }
    command = [sys.executable, str(REPOSITORY / "serve.py"), "--port", str(port)]
    with running(command, settings, temporary, "service"):
        yield Server("service", f"http://127.0.0.1:{port}")


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


@contextmanager
def running(command: Sequence[str], settings: dict[str, str], temporary: Path, name: str) -> Iterator[None]:
    """A server from when it answers; at the end, whatever ends this, no process of it is left."""
    log = temporary / f"{name}.log"
    own = set(Settings.model_fields) - LEFT_TO_THE_USER
    kept = {variable: value for variable, value in os.environ.items() if variable.lower() not in own}
    environment = kept | {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", "TMPDIR": str(temporary)} | settings
    with log.open("wb") as output:
        # in a session of its own, so that Ctrl-C comes to this process alone, which ends the others in order
        process = subprocess.Popen(
            command, cwd=temporary, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until_it_answers(process, int(command[-1]), log)
        yield
    finally:
        end(process)


def wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=5, trust_env=False).status_code == 200:
                return
        time.sleep(0.2)
    sys.exit(f"error: a server did not start; it said:\n{log.read_text(errors='replace')[-3000:]}")


def end(process: subprocess.Popen[bytes]) -> None:
    """By a signal; what does not end by it is killed, with what it started."""
    with suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        for left in started:
            with suppress(psutil.NoSuchProcess):
                left.kill()
    if process.poll() is None:
        process.kill()
    process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
