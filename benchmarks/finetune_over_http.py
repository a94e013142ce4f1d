"""A model fine-tuned over HTTP alone, as a user sees it: started, watched, stopped, resumed, activated, asked.

    python benchmarks/finetune_over_http.py ../shared/data/emotify/tracks.csv
    python benchmarks/finetune_over_http.py            # on invented music

The service is started here, with a key, with folders of its own and the music's folder as its data root, and ended
afterwards with all jobs. Every step is a line: seconds since the start, status, seconds it took, what was answered.
Between them stand the job's events as they came, and (marked ``|``) what ``/finetune/status`` said at that time. At the
end: how good its time left was, and which of the service's metrics are others than before.

The settings are those of an experiment file as far as the API takes them; which it does not is printed.
"""

from __future__ import annotations

import argparse
import csv
import json
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families
from serving import ENDING, REPOSITORY, free_port, interrupt_once, running

from genre_lib import api_keys, audio
from genre_lib.data import synthetic

MODEL = "over-http"
SENT = {"num_epochs": "epochs"}
"""Settings of an experiment that the API calls otherwise."""
SHOWN = (
    "genre_jobs",
    "genre_inference_seconds",
    "genre_batch_size",
    "genre_cache",
    "genre_errors",
    "genre_request_",
    "genre_worker_r",
)
LEFT_OUT = ("_bucket", "_created", "_sum")
POLL_SECONDS = 2.0
TELL_SECONDS = 15.0
"""How often a status is printed where only numbers changed."""
MOST_SECONDS = 1800.0
"""That a job is followed."""


@dataclass(frozen=True)
class Music:
    """What is trained on, as the API names it below its data root, and a track of it."""

    root: Path
    source: dict[str, str]
    track: Path


@dataclass
class Session:
    """A client, and what it saw."""

    http: httpx.Client
    key: str
    began: float = field(default_factory=time.perf_counter)
    job: str = ""
    last_event: str = "0"
    ended_training: float | None = None
    estimates: list[tuple[float, float]] = field(default_factory=list)
    """When the job was asked for its time left, and the seconds it said."""
    failed: bool = False

    @property
    def now(self) -> float:
        return time.perf_counter() - self.began

    def say(self, text: str) -> None:
        print(f"{self.now:7.1f}s  {text}", flush=True)

    def step(self, method: str, path: str, expected: int = 200, with_key: bool = True, **options: Any) -> Any:
        """A request as a line; its answer."""
        begun = time.perf_counter()
        headers = {"X-API-Key": self.key} if with_key else {}
        response = self.http.request(method, path, headers=headers, **options)
        seconds = time.perf_counter() - begun
        is_json = response.headers.get("content-type", "").startswith("application/json")
        content = response.json() if is_json else response.text
        good = response.status_code == expected
        self.failed |= not good
        mark = "" if good else f"  EXPECTED {expected}"
        self.say(f"{method} {path} {response.status_code} in {seconds:.2f} s  {brief(content)}{mark}")
        return content


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("music", type=Path, nargs="?", help="folder or CSV; without one, invented music")
    parser.add_argument("--model", type=Path, default=REPOSITORY / "pretrained/genre_classifier", help="model folder")
    parser.add_argument("--experiment", type=Path, default=REPOSITORY / "experiments/finetune_all.yaml")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--clips", type=int, default=4, help="max_clips_per_track")
    given = parser.parse_args()
    if given.music and not given.music.exists():
        parser.error(f"there is no {given.music}")
    for number in ENDING:
        signal.signal(number, interrupt_once)
    try:
        with tempfile.TemporaryDirectory(prefix="genre-finetune-") as name, ExitStack() as stack:
            music = music_in(given.music, Path(name))
            session = stack.enter_context(service(given.model.resolve(), music, Path(name)))
            stack.enter_context(no_job_left(session))
            return go(session, music, given)
    except KeyboardInterrupt:
        print("interrupted; the service and its job were ended", file=sys.stderr)
        return 130


def go(session: Session, music: Music, given: argparse.Namespace) -> int:
    """All steps; 1 where one was not answered as it should be, or the job did not complete."""
    predict(session, music)
    before = metrics(session)
    start(session, music, settings(session, given))
    with watched(session):
        follow(session, until="epoch_ended")
        session.step("POST", f"/finetune/resume/{session.job}", 409)
        session.step("POST", f"/finetune/stop/{session.job}", 202)
        follow(session)
        session.step("GET", f"/finetune/status/{session.job}")
        session.step("POST", f"/finetune/resume/{session.job}", 202)
        ended = follow(session)
    for entry in session.step("GET", f"/finetune/status/{session.job}")["history"]:
        print("        " + "  ".join(f"{name} {value:.4g}" for name, value in entry.items() if value is not None))
    session.step("GET", f"/models/{MODEL}/metrics")
    session.step("POST", f"/models/{MODEL}/activate", 401, with_key=False)
    session.step("POST", f"/models/{MODEL}/activate")
    predict(session, music)
    predict(session, music)
    tell_difference(before, metrics(session))
    tell_time_left(session)
    return int(session.failed or ended.get("status") != "completed")


# --- music and service ------------------------------------------------------------------------------------------------


def music_in(given: Path | None, temporary: Path) -> Music:
    """The music below its root, and a track of it that is not trained on, where it says so."""
    place = (given or synthetic.make(temporary / "music")).resolve()
    if place.is_dir():
        return Music(place.parent, {"data_path": place.name}, audio.find(place)[0])
    with place.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    row = next((row for row in rows if row.get("split") == "valid"), rows[0])
    return Music(place.parent, {"catalogue": place.name}, place.parent / row["path"])


@contextmanager
def service(model: Path, music: Music, temporary: Path) -> Iterator[Session]:
    """``serve.py`` on a free port, and a client of it."""
    port, key = free_port(), api_keys.generate()
    settings = {
        "MODEL_PATH": str(model),
        "MODELS_PATH": str(temporary / "models"),
        "RUNS_PATH": str(temporary / "runs"),
        "CACHE_PATH": str(temporary / "cache"),
        "API_KEYS": f"user:{api_keys.digest(key)}",
        "FINETUNE_DATA_ROOTS": str(music.root),
    }
    command = [sys.executable, str(REPOSITORY / "serve.py"), "--port", str(port)]
    with (
        running(command, settings, temporary, "service"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300, trust_env=False) as http,
    ):
        yield Session(http, key)


@contextmanager
def no_job_left(session: Session) -> Iterator[None]:
    """A job outlives its server; whatever ends this, ours shall not."""
    try:
        yield
    finally:
        deadline = time.monotonic() + 60
        while session.job and time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                said = session.http.post(f"/finetune/stop/{session.job}", headers={"X-API-Key": session.key}).json()
                if said.get("ended"):
                    break
            time.sleep(1)


# --- the steps --------------------------------------------------------------------------------------------------------


def predict(session: Session, music: Music) -> None:
    content = music.track.read_bytes()
    session.step("POST", "/predict", files={"file": (music.track.name, content)}, data={"top_k": "3"})


def metrics(session: Session) -> dict[str, float]:
    """What can be counted, by name and labels."""
    text = session.step("GET", "/metrics")
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    chosen = [s for s in samples if s.name.startswith(SHOWN) and not s.name.endswith(LEFT_OUT)]
    return {f"{s.name}{{{', '.join(f'{n}={v}' for n, v in sorted(s.labels.items()))}}}": s.value for s in chosen}


def settings(session: Session, given: argparse.Namespace) -> dict[str, Any]:
    """The experiment's settings that the API says it takes."""
    known = session.http.get("/openapi.json").json()["components"]["schemas"]["FinetuneSettings"]["properties"]
    wanted = yaml.safe_load(given.experiment.read_text(encoding="utf-8"))
    wanted |= {
        "num_epochs": given.epochs,
        "learning_rate": given.learning_rate,
        "max_clips_per_track": given.clips,
    }
    sent = {SENT.get(name, name): value for name, value in wanted.items()}
    refused = sorted(set(sent) - set(known))
    session.say(f"{given.experiment.name}: the API takes {len(sent) - len(refused)} settings, not {refused or 'none'}")
    return {name: value for name, value in sent.items() if name in known}


def start(session: Session, music: Music, config: dict[str, Any]) -> None:
    asked = {**music.source, "model_name": MODEL, "config": config}
    session.step("POST", "/finetune/start", 401, with_key=False, json=asked)
    session.step("POST", "/finetune/start", 422, json=asked | {"config": {"learning_rat": 1e-3}})
    session.step("POST", "/finetune/start", 403, json={"data_path": "/etc", "model_name": MODEL})
    session.job = session.step("POST", "/finetune/start", 202, json=asked)["job_id"]


def follow(session: Session, until: str = "end") -> dict[str, Any]:
    """Print a job's events that were not seen yet, up to one; its data."""
    deadline = time.monotonic() + MOST_SECONDS
    headers = {"Last-Event-ID": session.last_event}
    with session.http.stream("GET", f"/finetune/events/{session.job}", headers=headers) as stream:
        for name, number, data in events(stream.iter_lines()):
            session.last_event = number or session.last_event
            kind = name or data["kind"]
            session.say(f"  event {number or '-'} {kind}  {brief(without(data, 'kind', 'time'))}")
            if kind == "epoch_ended":
                session.ended_training = time.perf_counter() - age(data)
            if kind == until or time.monotonic() > deadline:
                return data
    session.say("  the stream ended before the job did")
    return {}


def events(lines: Iterator[str]) -> Iterator[tuple[str | None, str | None, dict[str, Any]]]:
    """Server-sent events: name, id and data."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields.get("event"), fields.get("id"), json.loads(fields["data"])
            fields = {}


@contextmanager
def watched(session: Session) -> Iterator[None]:
    """Within the block the job's status is asked for again and again, and printed where it changed."""
    ended = threading.Event()

    def watch() -> None:
        told = ("", 0.0)
        with httpx.Client(base_url=session.http.base_url, timeout=60, trust_env=False) as http:
            while not ended.wait(POLL_SECONDS):
                with suppress(httpx.TransportError):
                    told = look(session, http.get(f"/finetune/status/{session.job}").json(), told)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def look(session: Session, said: dict[str, Any], told: tuple[str, float]) -> tuple[str, float]:
    """Note what a status says of the progress, and print it now and then; what was printed last, and when."""
    left = said["seconds_left"]
    if left is not None and said["attempt"] > 1 and said["phase"] == "training":
        session.estimates.append((time.perf_counter(), left))
    standing = f"{said['status']} {said['phase'] or ''} epoch {said['epoch']}/{said['epochs']}"
    if standing == told[0] and session.now - told[1] < TELL_SECONDS:
        return told
    prepared = "" if said["prepared"] is None else f", prepared {said['prepared']:.0%}"
    time_left = "" if left is None else f", {left:.0f} s left"
    session.say(f"    | {standing} {said['progress']:.0%}{prepared}{time_left}")
    return standing, session.now


# --- what came of it --------------------------------------------------------------------------------------------------


def tell_difference(before: dict[str, float], after: dict[str, float]) -> None:
    print("metrics before and after, where they differ:")
    for name in sorted(set(before) | set(after)):
        was, now = before.get(name, 0.0), after.get(name, 0.0)
        if was != now:
            print(f"  {name}  {was:g} → {now:g}")


def tell_time_left(session: Session) -> None:
    """How far the time left was from what was left of the training, after the job was resumed."""
    if session.ended_training is None or not session.estimates:
        print("no time left was told")
        return
    pairs = [(left, session.ended_training - at) for at, left in session.estimates if at < session.ended_training]
    errors = [abs(left - real) for left, real in pairs]
    if errors:
        mean = statistics.mean(errors)
        print(f"time left: {len(pairs)} times told, wrong by {mean:.1f} s in the mean, {max(errors):.1f} s at most")


def brief(content: Any, longest: int = 330) -> str:
    """An answer in a line."""
    if isinstance(content, str):
        return f"{len(content.splitlines())} lines"
    text = json.dumps(shortened(content), ensure_ascii=False)
    return text if len(text) <= longest else f"{text[:longest]}…"


def shortened(content: Any) -> Any:
    """Numbers of four digits."""
    if isinstance(content, dict):
        return {name: shortened(value) for name, value in content.items() if value is not None}
    if isinstance(content, list):
        return [shortened(value) for value in content]
    return float(f"{content:.4g}") if isinstance(content, float) else content


def without(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}


def age(event: dict[str, Any]) -> float:
    """Seconds since an event was written."""
    written = datetime.fromisoformat(event["time"])
    return (datetime.now(written.tzinfo) - written).total_seconds()


if __name__ == "__main__":
    sys.exit(main())
