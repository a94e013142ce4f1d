"""A mixed load for many minutes, at a rate that the machine bears: are all answers right, and does memory stay?

    python benchmarks/soak.py ../shared/data/emotify --minutes 20
    python benchmarks/soak.py --minutes 3 --settle 1      # on invented music

The service is started here, with folders and two models of its own, and ended afterwards. The second model is the first
with its head turned around, so it says of every genre what the first says of its mirror image; once a minute the one is
exchanged for the other. What the library says of each track is known before the load begins, and every answer is
compared with it: by the model that answered, which must be one that was active then. ``MIX`` says what is asked.

Requests go out at their times whether others were answered or not. The prediction cache is small here, so that it is
full before the memory counts. The line of each 30 s shows PSS (RSS where that cannot be read), open files and threads
of each process of the service, and what lies in its upload and cache folders. The exit is 1 where a 5xx came, where an
answer was wrong, or where a process grew by more than 5 % of what it was after the first minutes (``--settle``). Growth
is that of anonymous memory: PSS changes with every other program on the machine that has PyTorch loaded, too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from load import BROKEN
from safetensors.numpy import load_file, save_file
from serving import ENDING, REPOSITORY, Upload, free_port, interrupt_once, prepare, running

from genre_lib import api_keys
from genre_lib.descriptors import analyze_file
from genre_lib.inference import Predictor

FIRST, SECOND = "soak-first", "soak-second"
FEATURES = ("tempo", "key", "mode", "loudness")
ANALYSED = 4
"""So many of the files are analysed; an analysis costs as much as many predictions."""
TOLERANCE = 0.005
"""Confidences differ by rounding with the tracks that share a pass."""
SAMPLE_SECONDS = 5.0
LINE_SECONDS = 30.0
MOST_GROWTH = 0.05
PREDICTION_CACHE_BYTES = 256 * 1024
MOST_FAULTS = 20
MIB = 1024**2


@dataclass(frozen=True)
class Track:
    """A file, and what is right about it."""

    upload: Upload
    duration: float
    genres: dict[str, dict[str, float]]
    """By model, the confidence of every genre."""
    features: dict[str, float] | None


@dataclass(frozen=True)
class Question:
    """A request, and what is wrong about an answer of the right status: a sentence, or None."""

    method: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)
    statuses: Container[int] = (200,)
    fault: Callable[[httpx.Response, set[str]], str | None] = lambda response, models: None


@dataclass(frozen=True)
class Outcome:
    """What became of one request."""

    kind: str
    status: int
    seconds: float
    fault: str | None


@dataclass
class Scene:
    """What all threads know."""

    url: str
    key: str
    tracks: Sequence[Track]
    rate: float
    active: set[str] = field(default_factory=lambda: {FIRST})
    """The models that may answer at this moment; both, while they are exchanged."""
    outcomes: list[Outcome] = field(default_factory=list)
    late: float = 0.0
    """Seconds that the latest request went out after its time."""
    ended: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Look:
    """One process at one moment."""

    seconds: float
    pss: float
    """MiB of this process and its share of what several have; RSS where the system does not tell it."""
    anonymous: float
    """MiB that come from no file; RSS where the system does not tell it."""
    files: int
    threads: int


def main() -> int:
    given = parse_arguments()
    for number in ENDING:
        signal.signal(number, interrupt_once)
    try:
        with tempfile.TemporaryDirectory(prefix="genre-soak-") as name:
            return soak(given, Path(name))
    except KeyboardInterrupt:
        print("interrupted; the service was ended", file=sys.stderr)
        return 130


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="folder of audio files; without one, invented music")
    parser.add_argument("--model", type=Path, default=REPOSITORY / "pretrained/genre_classifier", help="model folder")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--settle", type=float, default=5, help="minutes after which memory counts")
    parser.add_argument("--rate", type=float, default=6, help="requests a second")
    parser.add_argument("--clients", type=int, default=24, help="most requests that are under way at once")
    parser.add_argument("--files", type=int, default=24, help="different files to post")
    parser.add_argument(
        "--exchange", type=float, default=60, help="seconds from one exchange of the models to the next"
    )
    given = parser.parse_args()
    if min(given.minutes - given.settle, given.settle, given.rate, given.exchange) <= 0:
        parser.error("rate, exchange and settle are more than 0, and minutes more than settle")
    if min(given.clients, given.files) < 1:
        parser.error("clients and files are 1 or more")
    if given.folder and not given.folder.is_dir():
        parser.error(f"there is no folder {given.folder}")
    return given


def soak(given: argparse.Namespace, temporary: Path) -> int:
    """Prepare, load and report."""
    models = temporary / "models"
    make_models(given.model.resolve(), models)
    tracks = known(prepare(given.folder, temporary, given.files), models, temporary)
    print(f"{len(tracks)} files; {given.rate:g} requests a second for {given.minutes:g} minutes", flush=True)
    with service(models, temporary) as (url, key):
        scene = Scene(url, key, tracks, given.rate)
        processes = Processes(temporary, url)
        load(scene, given, processes, temporary)
        processes.find_the_restarted()
    return report(scene, processes, given)


# --- what is right ----------------------------------------------------------------------------------------------------


def make_models(model: Path, place: Path) -> None:
    """The model twice; the second one with the rows of its head, and so its genres, in reverse."""
    for name in (FIRST, SECOND):
        shutil.copytree(model, place / name)
    genres = len(json.loads((model / "config.json").read_text(encoding="utf-8"))["id2label"])
    weights = place / SECOND / "model.safetensors"
    tensors = load_file(weights)
    turned = {n: t[::-1].copy() if n.startswith("classifier.") and len(t) == genres else t for n, t in tensors.items()}
    save_file(turned, weights, metadata={"format": "pt"})


def known(uploads: Sequence[Upload], models: Path, temporary: Path) -> list[Track]:
    """What the library says of each file, without a service."""
    predictors = {name: Predictor.from_folder(models / name) for name in (FIRST, SECOND)}
    place, tracks = temporary / "known.mp3", []
    for number, upload in enumerate(uploads):
        place.write_bytes(upload.content)
        said = {name: predictor.file(place).to_json() for name, predictor in predictors.items()}
        genres = {name: {p["genre"]: p["confidence"] for p in row["predictions"]} for name, row in said.items()}
        described = analyze_file(place).to_json() if number < ANALYSED else None
        features = {name: described[name] for name in FEATURES} if described else None
        tracks.append(Track(upload, said[FIRST]["duration"], genres, features))
    return tracks


def fault_of(said: dict[str, Any], track: Track, models: set[str]) -> str | None:
    """What is wrong about a prediction."""
    name = said["model_name"]
    if name not in models:
        return f"{name} answered, where {' or '.join(sorted(models))} should have"
    right = track.genres[name]
    for shown in said["predictions"]:
        if abs(shown["confidence"] - right[shown["genre"]]) > TOLERANCE:
            return f"{name}: {shown['genre']} {shown['confidence']:.3f}, and not {right[shown['genre']]:.3f}"
    if max(right.values()) - right[said["predictions"][0]["genre"]] > TOLERANCE:
        return f"{name}: {said['predictions'][0]['genre']} came first, and not {max(right, key=lambda g: right[g])}"
    return None if abs(said["duration"] - track.duration) < 0.01 else f"{said['duration']} s, and not {track.duration}"


def fault_of_timeline(said: dict[str, Any]) -> str | None:
    """What is wrong about the parts of a track: they follow one another, from its beginning to its end."""
    parts = said["timeline"]
    gaps = [one["end"] != next_["start"] for one, next_ in itertools.pairwise(parts)]
    whole = parts and parts[0]["start"] == 0 and abs(parts[-1]["end"] - said["duration"]) < 0.1
    return None if whole and not any(gaps) else f"a timeline from {parts[:1]} to {parts[-1:]} of {said['duration']} s"


# --- what is asked ----------------------------------------------------------------------------------------------------


def prediction(scene: Scene, dice: random.Random, number: int, new: bool, **fields: Any) -> Question:
    """A track, as new content or as it came before, to the active model or to one by its name."""
    track = dice.choice(scene.tracks)
    content = track.upload.numbered(number) if new else track.upload.content
    name = dice.choice([None, None, None, FIRST, SECOND])
    form = {"top_k": str(dice.choice([1, 3, 1000])), **fields} | ({"model_name": name} if name else {})

    def fault(response: httpx.Response, models: set[str]) -> str | None:
        said = response.json()
        wrong = fault_of(said, track, {name} if name else models)
        return wrong or (fault_of_timeline(said) if "timeline" in fields else None)

    return Question("POST", "/predict", {"files": {"file": (track.upload.name, content)}, "data": form}, fault=fault)


def new(scene: Scene, dice: random.Random, number: int) -> Question:
    return prediction(scene, dice, number, new=True)


def repeated(scene: Scene, dice: random.Random, number: int) -> Question:
    return prediction(scene, dice, number, new=False)


def timeline(scene: Scene, dice: random.Random, number: int) -> Question:
    return prediction(scene, dice, number, new=dice.random() < 0.5, timeline="true")


def batch(scene: Scene, dice: random.Random, number: int) -> Question:
    """Three tracks, and between them one that is none."""
    tracks = dice.sample(list(scene.tracks), min(3, len(scene.tracks)))
    files = [
        ("files", (t.upload.name, t.upload.numbered(number) if dice.random() < 0.5 else t.upload.content))
        for t in tracks
    ]
    files.insert(1, ("files", ("broken.mp3", dice.choice(BROKEN))))

    def fault(response: httpx.Response, models: set[str]) -> str | None:
        items = response.json()["results"]
        broken = items.pop(1)
        if not 400 <= broken["status"] < 500 or any(item["status"] != 200 for item in items):
            return f"statuses {[item['status'] for item in items]} and {broken['status']} for the broken one"
        wrong = [fault_of(item["result"], track, models) for item, track in zip(items, tracks, strict=True)]
        return next(filter(None, wrong), None)

    return Question("POST", "/predict/batch", {"files": files}, fault=fault)


def analysis(scene: Scene, dice: random.Random, number: int) -> Question:
    track = dice.choice([track for track in scene.tracks if track.features])
    content = track.upload.numbered(number) if dice.random() < 0.5 else track.upload.content

    def fault(response: httpx.Response, models: set[str]) -> str | None:
        said, right = response.json(), track.features or {}
        wrong = {n: said[n] for n, value in right.items() if abs(said[n] - value) > 1e-3 * max(1, abs(value))}
        return f"{wrong}, and not {right}" if wrong else None

    return Question("POST", "/analyze/features", {"files": {"file": (track.upload.name, content)}}, fault=fault)


def broken(scene: Scene, dice: random.Random, number: int) -> Question:
    path = dice.choice(["/predict", "/predict", "/analyze/features"])
    file = {"file": ("broken.mp3", dice.choice(BROKEN))}
    return Question("POST", path, {"files": file}, range(400, 500), fault_of_error)


def wrong(scene: Scene, dice: random.Random, number: int) -> Question:
    """A request that cannot be answered, and the status that it should have."""
    file = {"file": ("track.mp3", scene.tracks[0].upload.content)}
    requests: list[tuple[str, str, dict[str, Any], int]] = [
        ("GET", "/nothing", {}, 404),
        ("GET", "/predict", {}, 405),
        ("GET", "/models/no-such-model", {}, 404),
        ("POST", "/predict", {"files": {"top_k": (None, "3")}}, 422),
        ("POST", "/predict", {"data": {"top_k": "3"}}, 415),
        ("POST", "/predict", {"files": file, "data": {"top_k": "many"}}, 422),
        ("POST", "/predict", {"files": file, "data": {"model_name": "no-such-model"}}, 404),
        ("POST", "/predict", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/predict", {"json": {"audio_url": "http://127.0.0.1/a.mp3"}}, 422),
        ("DELETE", f"/models/{SECOND}", {}, 401),
        ("POST", f"/models/{SECOND}/activate", {"headers": {"X-API-Key": "none"}}, 401),
    ]
    method, path, options, status = dice.choice(requests)
    return Question(method, path, options, (status,), fault_of_error)


def fault_of_error(response: httpx.Response, models: set[str]) -> str | None:
    said = response.json()
    return None if said.get("code") and said.get("detail") else f"an error without a sentence or a code: {said}"


def health(scene: Scene, dice: random.Random, number: int) -> Question:
    def fault(response: httpx.Response, models: set[str]) -> str | None:
        said = response.json()
        return said["error"] or (None if said["model"]["name"] in models else f"it serves {said['model']['name']}")

    return Question("GET", "/health", fault=fault)


def models(scene: Scene, dice: random.Random, number: int) -> Question:
    def fault(response: httpx.Response, models: set[str]) -> str | None:
        active = {entry["name"] for entry in response.json()["models"] if entry["active"]}
        return None if len(active) == 1 and active <= models else f"active are {active}"

    return Question("GET", "/models", fault=fault)


def metrics(scene: Scene, dice: random.Random, number: int) -> Question:
    def fault(response: httpx.Response, models: set[str]) -> str | None:
        return None if 'genre_worker_up{worker="predict"} 1.0' in response.text else "the worker is not up"

    return Question("GET", "/metrics", fault=fault)


MIX: dict[str, tuple[int, Callable[[Scene, random.Random, int], Question]]] = {
    "new": (40, new),
    "repeated": (20, repeated),
    "timeline": (9, timeline),
    "batch": (5, batch),
    "analysis": (4, analysis),
    "broken": (7, broken),
    "wrong": (4, wrong),
    "health": (5, health),
    "models": (4, models),
    "metrics": (2, metrics),
}
"""How often each is asked, in shares, and how it is made."""

PREDICTIONS = ("new", "repeated", "timeline")


# --- the load ---------------------------------------------------------------------------------------------------------


@contextmanager
def service(models: Path, temporary: Path) -> Iterator[tuple[str, str]]:
    """``serve.py`` on a free port with a key; its address and the key."""
    port, key = free_port(), api_keys.generate()
    settings = {
        "MODEL_PATH": str(models / FIRST),
        "MODELS_PATH": str(models),
        "RUNS_PATH": str(temporary / "runs"),
        "CACHE_PATH": str(temporary / "cache"),
        "API_KEYS": f"soak:{api_keys.digest(key)}",
        "PREDICTION_CACHE_BYTES": str(PREDICTION_CACHE_BYTES),
    }
    command = [sys.executable, str(REPOSITORY / "serve.py"), "--port", str(port)]
    with running(command, settings, temporary, "service"):
        yield f"http://127.0.0.1:{port}", key


def load(scene: Scene, given: argparse.Namespace, processes: Processes, temporary: Path) -> None:
    """Ask for so many minutes, exchange models, and look at the processes meanwhile."""
    numbers, begun = itertools.count(), time.perf_counter()
    seconds = given.minutes * 60
    targets = [lambda: client(scene, numbers, begun, seconds) for _ in range(given.clients)]
    targets.append(lambda: exchange(scene, given.exchange))
    threads = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    try:
        watch(scene, processes, begun, seconds, temporary)
    finally:
        scene.ended.set()
    for thread in threads:
        thread.join()
    print(f"{'after':>6}  {left_behind(temporary)}", flush=True)


def client(scene: Scene, numbers: itertools.count[int], begun: float, seconds: float) -> None:
    """Take the next request, wait for its time, send it."""
    with httpx.Client(base_url=scene.url, timeout=120, trust_env=False) as http:
        while not scene.ended.is_set():
            number = next(numbers)
            due = number / scene.rate
            if due > seconds or scene.ended.wait(max(0.0, due - (time.perf_counter() - begun))):
                return
            scene.late = time.perf_counter() - begun - due
            scene.outcomes.append(asked(http, scene, number))


def asked(http: httpx.Client, scene: Scene, number: int) -> Outcome:
    """One request; the same number is the same request in every run."""
    dice = random.Random(number)
    kind = dice.choices(list(MIX), [share for share, _ in MIX.values()])[0]
    question, before = MIX[kind][1](scene, dice, number), scene.active
    begun = time.perf_counter()
    try:
        response = http.request(question.method, question.path, **question.options)
    except httpx.TransportError as error:
        return Outcome(kind, 0, time.perf_counter() - begun, f"{type(error).__name__} after {question.path}")
    seconds = time.perf_counter() - begun
    if response.status_code not in question.statuses:
        fault: str | None = f"{question.method} {question.path}: {response.status_code} {response.text[:200]}"
    else:
        try:
            fault = question.fault(response, before | scene.active)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            fault = f"{question.path}: {error!r} in {response.text[:200]}"
    return Outcome(kind, response.status_code, seconds, fault)


def exchange(scene: Scene, every: float) -> None:
    """Let the other model answer, again and again."""
    names = itertools.cycle([SECOND, FIRST])
    with httpx.Client(base_url=scene.url, timeout=120, trust_env=False, headers={"X-API-Key": scene.key}) as http:
        while not scene.ended.wait(every):
            name, begun = next(names), time.perf_counter()
            scene.active = {FIRST, SECOND}
            response = http.post(f"/models/{name}/activate")
            good = response.status_code == 200 and response.json()["serving"]
            scene.active = {name} if good else scene.active
            fault = None if good else f"activate: {response.status_code} {response.text[:200]}"
            scene.outcomes.append(Outcome("activate", response.status_code, time.perf_counter() - begun, fault))


# --- the processes ----------------------------------------------------------------------------------------------------


class Processes:
    """The service's processes by what they do, as they are after the first predictions, and how they were since."""

    def __init__(self, temporary: Path, url: str) -> None:
        self.temporary = temporary
        self.url = url
        self.looks: dict[str, list[Look]] = {}
        self.restarted: list[str] = []
        self.found = self.find()

    def find(self) -> dict[str, psutil.Process]:
        """By name; what has no part of its own is a helper of multiprocessing."""
        port = self.url.rpartition(":")[2]
        own = psutil.Process().children()
        main = next(process for process in own if port in process.cmdline())
        with httpx.Client(trust_env=False) as http:
            said = http.get(f"{self.url}/health").json()
            named = {main.pid: "main", said["worker"]["pid"]: "predict", said["analysis"]["pid"]: "analyze"}
            found: dict[str, psutil.Process] = {}
            for process in [main, *main.children(recursive=True)]:
                found[named.get(process.pid) or self.part(process, int(port), set(found))] = process
        return found

    def part(self, process: psutil.Process, port: int, taken: set[str]) -> str:
        if any(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port for c in process.net_connections("tcp")):
            return "http"
        stem = "tracker" if "resource_tracker" in " ".join(process.cmdline()) else "manager"
        names = itertools.chain([stem], (f"{stem}{number}" for number in itertools.count(2)))
        return next(name for name in names if name not in taken)

    def look(self, seconds: float) -> None:
        """Note how each is; what is gone is noted no more."""
        for name, process in self.found.items():
            with suppress(psutil.Error):
                told = process.memory_full_info()
                rss, pss = told.rss / MIB, (getattr(told, "pss", 0) or told.rss) / MIB
                look = Look(seconds, pss, anonymous(process) or rss, process.num_fds(), process.num_threads())
                self.looks.setdefault(name, []).append(look)

    def find_the_restarted(self) -> None:
        """Which of them are others by now."""
        now = {name: process.pid for name, process in self.find().items()}
        self.restarted = [name for name, process in self.found.items() if now.get(name, process.pid) != process.pid]


def anonymous(process: psutil.Process) -> float | None:
    """MiB that come from no file, as Linux tells."""
    with suppress(OSError):
        lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon:")), None)
    return None


def watch(scene: Scene, processes: Processes, begun: float, seconds: float, temporary: Path) -> None:
    """Look at the processes again and again, and print a line now and then, until all was asked."""
    lines = 0
    while (now := time.perf_counter() - begun) < seconds:
        processes.look(now)
        if now >= (lines + 1) * LINE_SECONDS:
            lines += 1
            print(line(scene, processes, now, temporary), flush=True)
        time.sleep(SAMPLE_SECONDS)


def line(scene: Scene, processes: Processes, now: float, temporary: Path) -> str:
    done = list(scene.outcomes)
    statuses = " ".join(f"{status}:{count}" for status, count in sorted(Counter(o.status for o in done).items()))
    recent = [outcome.seconds for outcome in done[-int(LINE_SECONDS * scene.rate) :] if outcome.kind in PREDICTIONS]
    looks = {name: taken[-1] for name, taken in processes.looks.items()}
    shown = "  ".join(f"{name} {look.pss:.0f}M {look.files}f {look.threads}t" for name, look in looks.items())
    faults = sum(outcome.fault is not None for outcome in done)
    late = f" late {scene.late:.1f} s" if scene.late > 1 else ""
    return f"{now:5.0f}s  {statuses}  wrong {faults}  p95 {p95(recent):.3f}s{late}  {shown}  {left_behind(temporary)}"


def left_behind(temporary: Path) -> str:
    shared = [file for file in temporary.glob("genre-serve-*/**/*") if file.is_file()]
    cached = sum(file.is_file() for file in (temporary / "cache").rglob("*"))
    return f"uploads {sum(file.name.startswith('upload-') for file in shared)} shared {len(shared)} cache {cached}"


def p95(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[94] if len(seconds) > 1 else float("nan")


# --- the end ----------------------------------------------------------------------------------------------------------


def report(scene: Scene, processes: Processes, given: argparse.Namespace) -> int:
    """Print what became of all; 1 where something is not as it should be."""
    print(f"\n{'asked':9} {'requests':>8} {'p50 s':>7} {'p95 s':>7} {'longest':>7}  statuses")
    for kind in [*MIX, "activate"]:
        own = [outcome for outcome in scene.outcomes if outcome.kind == kind]
        if own:
            seconds = [outcome.seconds for outcome in own]
            times = f"{statistics.median(seconds):7.3f} {p95(seconds):7.3f} {max(seconds):7.3f}"
            print(f"{kind:9} {len(own):8} {times}  {dict(sorted(Counter(o.status for o in own).items()))}")
    print(f"\n{'process':9} {'MiB then':>8} {'at end':>8} {'MiB/hour':>8} {'growth':>7}  files then, at end; threads")
    grown = []
    for name, looks in processes.looks.items():
        counted = [look for look in looks if look.seconds >= given.settle * 60]
        if len(counted) > 2:
            growth = row(name, counted)
            grown += [name] if growth > MOST_GROWTH else []
    faults = Counter(f"{o.kind}: {o.fault}" for o in scene.outcomes if o.fault)
    for fault, count in faults.most_common(MOST_FAULTS):
        print(f"wrong: {count} × {fault}")
    broken = sum(outcome.status >= 500 for outcome in scene.outcomes)
    told = [f"{sum(faults.values())} wrong answers", f"{broken} of 5xx", f"grown: {', '.join(grown) or 'none'}"]
    print("; ".join([*told, f"started again: {', '.join(processes.restarted) or 'none'}"]))
    return int(bool(faults or broken or grown or processes.restarted))


def row(name: str, looks: Sequence[Look]) -> float:
    """Print how a process was since the load settled, by a straight line through its memory; its growth as a share."""
    slope, start = statistics.linear_regression(
        [look.seconds - looks[0].seconds for look in looks], [look.anonymous for look in looks]
    )
    end = start + slope * (looks[-1].seconds - looks[0].seconds)
    others = f"{looks[0].files}, {looks[-1].files}; {looks[0].threads}, {looks[-1].threads}"
    print(f"{name:9} {start:8.1f} {end:8.1f} {slope * 3600:8.1f} {end / start - 1:7.1%}  {others}")
    return end / start - 1


if __name__ == "__main__":
    sys.exit(main())
