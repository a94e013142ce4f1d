"""The service under load while its processes are killed, its disk fills up, and it is told to end.

    python benchmarks/faults.py ../shared/data/emotify
    python benchmarks/faults.py --clients 4 --seconds 3 --only worker sigterm      # on invented music

Several clients post 30 s of mp3 to ``/predict`` and two to ``/analyze/features`` while one thing after the other goes
wrong. A server that ends is started again here, as a supervisor would do it.

| fault | what happens | what is expected |
|---|---|---|
| worker, analysis | the process is killed (-9) at work | 503 for what it held, 200 for the rest; it is back |
| http | the HTTP process is killed | the server ends with a status that is not 0 |
| job | a fine-tuning job's process is killed | the job has failed and says why; resumed it is completed |
| main | the main process is killed amid a job | the job goes on, and the next server knows it as it is |
| bad | one upload in ten is broken, and one track in each batch | 4xx for these, 200 for all others |
| disk | uploads, cache, models and runs lie on a disk that gets full | 507 or 200; 200 once there is room |
| sigterm | the server is told to end | what was asked before is answered; exit code 0 |

A request that waits for a worker which is started again may be answered with 504, at the deadline. The full disk is a
tmpfs that is mounted for it, which takes root: where mounting is not allowed, this part is left out and a line says so.
Where a fault leaves a process or a file behind, where a request is answered later than ``REQUEST_TIMEOUT``, or with
something else than expected, it is told below the table, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from load import BROKEN, BROKEN_EVERY
from serving import ENDING, REPOSITORY, Upload, free_port, interrupt_once, prepare

from genre_lib import api_keys
from genre_lib.files import STAGED
from genre_lib.job_folder import JobFolder
from genre_lib.settings import MIB, Settings

START_SECONDS = 180
END_SECONDS = 40
JOB_SECONDS = 400
"""What a job may take to come to its first epoch, or from there to its end, on a machine that is busy predicting."""
SETTLE_SECONDS = 10
"""What is still there so long after the last answer is left over."""
LOOK_SECONDS = 0.05
RETRY_SECONDS = 0.5
SLACK_SECONDS = 1.0
"""Between the service's clock, which starts when a request has come in, and the client's."""
GIVE_UP_SECONDS = 15.0
"""So long after the deadline a client waits no more."""

ANALYSING = 2
BATCH_FILES = 4
MARK = "GENRE_FAULTS"
"""Variable in the environment of all that is started here, by which it is found again."""

TORCH_CACHE = "torchinductor_"
"""Beginning of the name of a folder that PyTorch makes once for each user, and keeps."""

DISK_BYTES = 256 * MIB
NEARLY_FULL_BYTES = MIB
JOB_SETTINGS = {"learning_rate": 1e-3, "batch_size": 16, "early_stopping_patience": 1000}
JOB_EPOCHS = {"job": 20, "main": 1000, "disk": 1000}
"""Faults that meet a job which has an epoch behind it, and how many it is to train."""

PREDICT, BATCH, ANALYZE = "/predict", "/predict/batch", "/analyze/features"
REFUSED = "connection"
"""The status of a request that got no answer because nobody listened, or the connection was closed."""
SILENT = "none"
"""The status of one that got none although the connection stood."""


@dataclass(frozen=True)
class Outcome:
    """What became of one request."""

    route: str
    broken: bool
    status: str
    begun: float
    seconds: float
    detail: str = ""


@dataclass
class Part:
    """What became of one fault."""

    name: str
    job: str = ""
    """The id of the job that runs meanwhile."""
    outcomes: list[Outcome] = field(default_factory=list)
    recovered: float | None = None
    """Seconds until ``/health`` was 200 again, and what was killed was back."""
    processes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """What is not as expected, a sentence each."""

    @property
    def longest(self) -> float:
        return max((outcome.seconds for outcome in self.outcomes), default=0.0)

    def require(self, holds: bool, otherwise: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.findings.append(otherwise)

    def allow(self, *statuses: str, outcomes: Iterable[Outcome] | None = None, when: str = "") -> None:
        """Note requests with other statuses than these."""
        wrong = [o for o in (self.outcomes if outcomes is None else outcomes) if o.status not in statuses]
        for (route, status), count in Counter((o.route, o.status) for o in wrong).items():
            detail = next(o.detail for o in wrong if (o.route, o.status) == (route, status))
            self.findings.append(f"{count} × {status} from {route}{when}: {detail}")


def main() -> int:
    given = parse_arguments()
    for number in ENDING:
        signal.signal(number, interrupt_once)
    try:
        with tempfile.TemporaryDirectory(prefix="genre-faults-") as name:
            uploads = prepare(given.folder, Path(name), given.files)
            print(f"{len(uploads)} files, {sum(len(u.content) for u in uploads) / len(uploads) / 1e3:.0f} kB each")
            parts = run(Path(name), uploads, given)
        return report(parts, given.deadline)
    except KeyboardInterrupt:
        print("interrupted; what was started was ended", file=sys.stderr)
        return 130


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="folder of audio files; without one, invented music")
    parser.add_argument("--model", type=Path, default=REPOSITORY / "pretrained/genre_classifier", help="model folder")
    parser.add_argument("--clients", type=int, default=8, help="that predict; beside them two analyse")
    parser.add_argument("--seconds", type=float, default=6, help="of load before each fault, and after it is over")
    parser.add_argument("--deadline", type=float, default=60, help="REQUEST_TIMEOUT of the service")
    parser.add_argument("--files", type=int, default=16, help="different files to post")
    parser.add_argument(
        "--only", nargs="+", choices=[*FAULTS, DISK], default=[*FAULTS, DISK], help="these faults alone"
    )
    given = parser.parse_args()
    given.model = given.model.resolve()
    if min(given.clients, given.files) < 1 or min(given.seconds, given.deadline) <= 0:
        parser.error("clients and files are 1 or more, and seconds and the deadline more than 0")
    if not (given.model / "config.json").is_file():
        parser.error(f"{given.model} is no model folder; name one by --model")
    if given.folder and not given.folder.is_dir():
        parser.error(f"there is no folder {given.folder}")
    return given


def run(place: Path, uploads: Sequence[Upload], given: argparse.Namespace) -> list[Part]:
    """Every fault that was asked for, one after the other."""
    parts: list[Part] = []
    numbers = itertools.count()
    faults = [name for name in FAULTS if name in given.only]
    if faults:
        with service(given, place / "place", place / "service.log") as server:
            parts += [suffer(name, FAULTS[name], server, uploads, numbers, given) for name in faults]
    if DISK in given.only:
        with small_disk(place / "disk") as mounted:
            if not mounted:
                print("disk      left out: a tmpfs cannot be mounted here; it takes root", flush=True)
            else:
                with service(given, place / "disk", place / "disk.log") as server:
                    parts.append(suffer(DISK, full_disk, server, uploads, numbers, given))
    return parts


# --- the service ------------------------------------------------------------------------------------------------------


class Service:
    """``serve.py`` with folders of its own, which is started again after it ended.

    Args:
        model: folder of the model that is served.
        place: for uploads, cache, models and runs.
        log: what it says.
        deadline: of a request, in seconds.
    """

    def __init__(self, model: Path, place: Path, log: Path, deadline: float) -> None:
        self.place, self.log = place, log
        self.port, self.mark, self.key = free_port(), secrets.token_hex(8), api_keys.generate()
        self.temporary, self.runs, self.models = (place / name for name in ("tmp", "runs", "models"))
        for folder in (self.temporary, self.runs, self.models):
            folder.mkdir(parents=True, exist_ok=True)
        own = {
            "MODEL_PATH": str(model),
            "MODELS_PATH": str(self.models),
            "RUNS_PATH": str(self.runs),
            "CACHE_PATH": str(place / "cache"),
            "TMPDIR": str(self.temporary),
            "API_KEYS": f"faults:{api_keys.digest(self.key)}",
            "REQUEST_TIMEOUT": str(deadline),
            **dict.fromkeys(("RATE_LIMIT", "RATE_LIMIT_PREDICTIONS", "RATE_LIMIT_CHANGES"), ""),
            **{"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", MARK: self.mark},
        }
        inherited = {name: text for name, text in os.environ.items() if name.lower() not in Settings.model_fields}
        self.environment = inherited | own
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False, headers={"X-API-Key": self.key}
        )
        self.known: set[Path] = set()
        """Temporary files that belong to the server that runs, or were reported already."""

    def start(self) -> None:
        """Start it, and wait until it is healthy."""
        self.known |= set(self.temporary.iterdir())
        command = [sys.executable, str(REPOSITORY / "serve.py"), "--port", str(self.port)]
        with self.log.open("ab") as output:
            # in a session of its own, so that Ctrl-C comes to this process alone, which ends the others in order
            self.process = subprocess.Popen(
                command, cwd=self.place, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )
        if not until(self.healthy, START_SECONDS, lambda: self.process.poll() is not None):
            sys.exit(f"error: the server did not start; it said:\n{self.said()}")
        self.known |= set(self.temporary.iterdir())

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def health(self) -> dict[str, Any]:
        """What ``/health`` says; empty where nobody answers."""
        with suppress(httpx.TransportError, ValueError):
            return dict(self.http.get("/health", timeout=5).json())
        return {}

    def healthy(self) -> bool:
        """Whether ``/health`` is 200, and the analysis process is there, too."""
        said = self.health()
        return said.get("status") == "ok" and said["analysis"]["state"] == "ready"

    def http_process(self) -> int:
        """The process that answers: the one that has the other end of a connection."""
        with socket.create_connection(("127.0.0.1", self.port)) as mine:
            mine.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            mine.recv(1)
            ends = psutil.net_connections("tcp4")
            return next(c.pid for c in ends if c.raddr and tuple(c.raddr) == mine.getsockname() and c.pid)

    def processes(self) -> list[psutil.Process]:
        """All that was started by it and is there, jobs included, of whichever parent."""
        return [process for process in psutil.process_iter() if variable(process, MARK) == self.mark]

    def strangers(self) -> list[str]:
        """Processes that do not belong to the server as it runs now, and those that wait to be reaped by it."""
        with suppress(psutil.NoSuchProcess):
            tree = [self.process.pid, *(child.pid for child in psutil.Process(self.process.pid).children(True))]
            zombies = [pid for pid in tree[1:] if status_of(pid) == psutil.STATUS_ZOMBIE]
            others = [p for p in self.processes() if p.pid not in tree or variable(p, "GENRE_JOB")]
            return [*map(described, others), *(f"{pid} is a zombie" for pid in zombies)]
        return [described(process) for process in self.processes()]

    def litter(self) -> list[Path]:
        """Uploads and temporary files that nobody needs any more, and what was half written among models and runs."""
        new = [path for path in self.temporary.iterdir() if path not in self.known]
        temporary = [path for path in new if not path.name.startswith(TORCH_CACHE)]
        uploads = self.temporary.glob("genre-serve-*/upload-*")
        staged = itertools.chain(self.models.glob(f".*{STAGED}"), self.models.glob(".*.old"), self.runs.glob(".*.new"))
        states = itertools.chain(self.runs.glob("*/checkpoints/*.new"), self.runs.glob("*/.*.*"))
        cached = (self.place / "cache").rglob("*.partial")
        return sorted({*temporary, *uploads, *staged, *states, *cached})

    def end(self) -> None:
        """By a signal; then whatever is left of it is killed."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(END_SECONDS)
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    # --- jobs

    def start_job(self, name: str, config: dict[str, Any]) -> str:
        """Fine-tune on the invented catalogue."""
        asked = {"catalogue": "synthetic", "model_name": name, "config": config}
        answer = self.http.post("/finetune/start", json=asked)
        answer.raise_for_status()
        return str(answer.json()["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as the service tells it; empty where it does not."""
        with suppress(httpx.TransportError, ValueError):
            return dict(self.http.get(f"/finetune/status/{job_id}").json())
        return {}

    def job_process(self, job_id: str) -> int | None:
        """The job's process by its own account, if it lives."""
        folder = JobFolder(self.runs / job_id)
        state = folder.state()
        return state.pid if state is not None and folder.alive() else None

    def job_processes(self, job_id: str) -> list[str]:
        place = str(self.runs / job_id)
        return [described(process) for process in self.processes() if variable(process, "GENRE_JOB") == place]

    def until_job(self, job_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job once this holds, or has ended, or the time is over."""

        def settled() -> bool:
            job = self.job(job_id)
            return bool(job) and (holds(job) or job.get("status") in ("completed", "failed", "stopped"))

        until(settled, JOB_SECONDS)
        return self.job(job_id)


@contextmanager
def service(given: argparse.Namespace, place: Path, log: Path) -> Iterator[Service]:
    """A service that answers; at the end, whatever ends this, no process of it is left."""
    place.mkdir(exist_ok=True)
    server = Service(given.model, place, log, given.deadline)
    try:
        server.start()
        yield server
    finally:
        server.end()


def until(holds: Callable[[], bool], seconds: float, in_vain: Callable[[], bool] = lambda: False) -> float | None:
    """Seconds until something holds; None where it does not within the time given, or cannot any more."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if holds():
            return time.monotonic() - begun
        if in_vain():
            return None
        time.sleep(LOOK_SECONDS)
    return None


def variable(process: psutil.Process, name: str) -> str | None:
    """A variable of a process's environment."""
    try:
        return process.environ().get(name)
    except (psutil.Error, OSError):
        return None


def described(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())[-80:]}"
    except psutil.Error:
        return f"{process.pid}"


def status_of(pid: int) -> str | None:
    try:
        return psutil.Process(pid).status()
    except psutil.Error:
        return None


# --- the load ---------------------------------------------------------------------------------------------------------


class Load:
    """Clients that post one file after the other, each as soon as the one before is answered.

    Args:
        server: that is posted to.
        uploads: made different by a number each, so that no cache answers.
        numbers: of these.
        clients: that predict.
        deadline: of the service.
        bad: whether one in ten is broken, and a client posts batches with one broken file each.
    """

    def __init__(
        self,
        server: Service,
        uploads: Sequence[Upload],
        numbers: itertools.count,
        clients: int,
        deadline: float,
        bad: bool = False,
    ) -> None:
        self.server, self.uploads, self.numbers, self.bad = server, uploads, numbers, bad
        self.patience = deadline + GIVE_UP_SECONDS
        self.outcomes: list[Outcome] = []
        self.stopped = threading.Event()
        routes = [PREDICT] * clients + [ANALYZE] * ANALYSING + [BATCH] * bad
        self.threads = [threading.Thread(target=self.post_on, args=(route,), daemon=True) for route in routes]
        for thread in self.threads:
            thread.start()

    def stop(self) -> list[Outcome]:
        """Post no more; what is under way is waited for, and counts."""
        self.stopped.set()
        for thread in self.threads:
            thread.join(self.patience + SLACK_SECONDS)
        return self.outcomes

    def post_on(self, route: str) -> None:
        with httpx.Client(base_url=self.server.http.base_url, timeout=self.patience, trust_env=False) as http:
            while not self.stopped.is_set():
                outcome = self.post(http, route)
                self.outcomes.append(outcome)
                if outcome.status == REFUSED:
                    self.stopped.wait(RETRY_SECONDS)

    def post(self, http: httpx.Client, route: str) -> Outcome:
        number = next(self.numbers)
        broken = self.bad and (route == BATCH or number % BROKEN_EVERY == 0)
        files = self.files(number, route, broken)
        begun = time.monotonic()
        try:
            answer = http.post(route, files=files)
        except httpx.TimeoutException as error:
            return Outcome(route, broken, SILENT, begun, time.monotonic() - begun, type(error).__name__)
        except httpx.TransportError as error:
            return Outcome(route, broken, REFUSED, begun, time.monotonic() - begun, repr(error))
        seconds = time.monotonic() - begun
        if route == BATCH and answer.status_code == 200:
            statuses = [item["status"] for item in answer.json()["results"]]
            as_expected = statuses[1:] == [200] * (BATCH_FILES - 1) and 400 <= statuses[0] < 500
            return Outcome(route, broken, "200" if as_expected else "mixed up", begun, seconds, str(statuses))
        return Outcome(route, broken, str(answer.status_code), begun, seconds, answer.text[:200])

    def files(self, number: int, route: str, broken: bool) -> list[tuple[str, tuple[str, bytes]]]:
        """A form; the broken file is the first of its batch."""
        bad = BROKEN[number // BROKEN_EVERY % len(BROKEN)]
        if route != BATCH:
            upload = self.uploads[number % len(self.uploads)]
            return [("file", (upload.name, bad if broken else upload.numbered(number)))]
        good = [self.uploads[(number + i) % len(self.uploads)] for i in range(1, BATCH_FILES)]
        contents = [bad, *(upload.numbered(next(self.numbers)) for upload in good)]
        return [("files", (f"{i}.mp3", content)) for i, content in enumerate(contents)]


# --- the faults -------------------------------------------------------------------------------------------------------

Fault = Callable[[Service, Load, Part, float], None]
"""Causes it under load, waits until it is over, and notes what is not as expected."""


def suffer(
    name: str, fault: Fault, server: Service, uploads: Sequence[Upload], numbers: itertools.count, given: Any
) -> Part:
    """Load the service, cause a fault, load it on, and see what is left."""
    part = Part(name)
    if name in JOB_EPOCHS:
        part.job = server.start_job(f"during-{name}", JOB_SETTINGS | {"epochs": JOB_EPOCHS[name]})
        server.until_job(part.job, lambda job: job.get("epoch", 0) >= 1)
    load = Load(server, uploads, numbers, given.clients, given.deadline, bad=name == "bad")
    time.sleep(given.seconds)
    try:
        fault(server, load, part, given.seconds)
        time.sleep(given.seconds)
    finally:
        part.outcomes = load.stop()
    CHECKS.get(name, check)(part)
    if not until(server.healthy, SETTLE_SECONDS):
        part.findings.append(f"the service is not healthy at the end: {server.health()}")
    until(lambda: not server.strangers() and not server.litter(), SETTLE_SECONDS)
    part.processes = server.strangers()
    litter = server.litter()
    part.files = [str(path.relative_to(server.place)) for path in litter]
    server.known |= set(litter)
    tell(part)
    return part


def kill_worker(server: Service, load: Load, part: Part, seconds: float) -> None:
    kill_and_wait(server, part, "worker")


def kill_analysis(server: Service, load: Load, part: Part, seconds: float) -> None:
    kill_and_wait(server, part, "analysis")


def kill_and_wait(server: Service, part: Part, name: str) -> None:
    pid = server.health()[name]["pid"]
    os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        said = server.health()
        return said.get("status") == "ok" and said[name]["state"] == "ready" and said[name]["pid"] != pid

    part.recovered = until(back, START_SECONDS)
    part.require(part.recovered is not None, f"the {name} did not come back: {server.health()}")


def kill_http(server: Service, load: Load, part: Part, seconds: float) -> None:
    begun = time.monotonic()
    os.kill(server.http_process(), signal.SIGKILL)
    code = wait_for_end(server, part)
    part.require(code not in (0, None), f"the server ended with {code}")
    start_again(server, part, begun)


def kill_job(server: Service, load: Load, part: Part, seconds: float) -> None:
    """The job is resumed afterwards, without load, to its end."""
    job_id = part.job
    pid = server.job_process(job_id)
    part.require(pid is not None, f"the job ended before it was killed: {server.job(job_id)}")
    if pid is None:
        return
    os.kill(pid, signal.SIGKILL)
    part.recovered = until(lambda: server.job(job_id).get("status") == "failed", SETTLE_SECONDS)
    job = server.job(job_id)
    part.require(part.recovered is not None and bool(job.get("error")), f"the job is not failed with a reason: {job}")
    part.require(not server.job_processes(job_id), f"processes of the dead job: {server.job_processes(job_id)}")
    print(f"          the job is {job.get('status')} at epoch {job.get('epoch')}: {job.get('error')}")
    time.sleep(seconds)
    load.stop()
    answer = server.http.post(f"/finetune/resume/{job_id}")
    part.require(answer.status_code == 202, f"resume answered {answer.status_code} {answer.text[:200]}")
    ended = server.until_job(job_id, lambda job: False)
    as_expected = ended.get("status") == "completed" and ended.get("attempt") == 2
    part.require(as_expected, f"the resumed job is {ended.get('status')} after attempt {ended.get('attempt')}")
    names = [model["name"] for model in server.http.get("/models").json()["models"]]
    part.require("during-job" in names, f"its model is not among {names}")
    print(f"          resumed: {ended.get('status')} at epoch {ended.get('epoch')} of {ended.get('epochs')}")


def kill_main(server: Service, load: Load, part: Part, seconds: float) -> None:
    """The job lives on; the next server tells how it stands, and stops it when asked."""
    job_id, before = part.job, server.job(part.job)
    pid, begun = server.job_process(job_id), time.monotonic()
    part.require(before.get("status") == "running", f"the job ended too early: {before}")
    server.process.kill()
    wait_for_end(server, part)
    start_again(server, part, begun)
    job, alive = server.job(job_id), server.job_process(job_id)
    part.require(job.get("status") == "running" and alive == pid, f"process {alive}, was {pid}, and the job says {job}")
    part.require(job.get("epoch", 0) >= before.get("epoch", 0), f"epochs were lost: {job}")
    print(f"          after the restart the job is {job.get('status')} at epoch {job.get('epoch')}")
    stop_job(server, job_id, part)


def stop_job(server: Service, job_id: str, part: Part) -> None:
    """Stop a job that has an epoch behind it, and see that it kept its best."""
    server.http.post(f"/finetune/stop/{job_id}").raise_for_status()
    until(lambda: server.job(job_id).get("status") not in ("running", "stopping"), JOB_SECONDS)
    job = server.job(job_id)
    as_expected = job.get("status") == "stopped" and bool(job.get("kept"))
    part.require(as_expected, f"the stopped job is {job.get('status')}, kept {job.get('kept')}: {job.get('error')}")


def bad_items(server: Service, load: Load, part: Part, seconds: float) -> None:
    """The load does it."""
    time.sleep(seconds)


def told_to_end(server: Service, load: Load, part: Part, seconds: float) -> None:
    begun = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    refused = until(lambda: not listens(server.port), END_SECONDS)
    code = wait_for_end(server, part)
    ended = time.monotonic() - begun
    part.require(code == 0, f"the exit code is {code}")
    part.require(refused is not None and not listens(server.port), "connections are taken after the end")
    print(f"          new connections refused after {refused or 0:.1f} s, ended after {ended:.1f} s with {code}")
    under_way = [o for o in load.outcomes if o.begun < begun <= o.begun + o.seconds]
    part.allow("200", outcomes=under_way, when=" that was asked before the signal")
    start_again(server, part, begun)


def wait_for_end(server: Service, part: Part) -> int | None:
    """The main process's exit code, once all of the server has ended but its jobs; what does not end is noted."""
    with suppress(subprocess.TimeoutExpired):
        server.process.wait(END_SECONDS)
    if server.process.poll() is None:
        part.findings.append(f"the server did not end within {END_SECONDS} s")
        server.process.kill()

    def rest() -> list[psutil.Process]:
        return [p for p in server.processes() if variable(p, "GENRE_JOB") is None]

    until(lambda: not rest(), SETTLE_SECONDS)
    for process in rest():
        part.findings.append(f"left by the server that ended: {described(process)}")
        process.kill()
    left = [path for path in server.temporary.iterdir() if not path.name.startswith("genre-job-")]
    part.findings += [f"left by the server that ended: {path.name}" for path in left if path in server.known]
    return server.process.poll()


def start_again(server: Service, part: Part, begun: float) -> None:
    """As a supervisor does it."""
    server.start()
    part.recovered = time.monotonic() - begun


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


# --- the full disk ----------------------------------------------------------------------------------------------------

DISK = "disk"


@contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """A tmpfs for as long as the block lasts; False where none can be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "genre-faults", str(place)]
    mounted = sys.platform == "linux" and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def full_disk(server: Service, load: Load, part: Part, seconds: float) -> None:
    """Nearly full first, where some uploads find room and others do not, then full; amid a job."""
    job_id, before, begun = part.job, pids(server), time.monotonic()
    with filling(server.place) as leave:
        leave(NEARLY_FULL_BYTES)
        time.sleep(seconds)
        leave(0)
        time.sleep(seconds)
        refuse_job(server, part)
        reached = fail_for_room(server, job_id, part)
        part.require(server.healthy(), f"on a full disk the service is not healthy: {server.health()}")
    room = time.monotonic()
    part.recovered = until(server.healthy, START_SECONDS)
    time.sleep(seconds)
    load.stop()
    during = [o for o in load.outcomes if o.begun < room and o.begun + o.seconds > begun]
    part.allow("200", "507", outcomes=during, when=" while the disk was full")
    part.allow("200", outcomes=[o for o in load.outcomes if o.begun >= room], when=" after there was room again")
    part.require(any(o.status == "507" for o in during), "no request met the full disk")
    part.require(pids(server) == before, f"processes were started again: {before} and then {pids(server)}")
    server.http.post(f"/finetune/resume/{job_id}").raise_for_status()
    resumed = server.until_job(job_id, lambda now: now.get("epoch", 0) > reached)
    print(f"          resumed: {resumed.get('status')} at epoch {resumed.get('epoch')}")
    part.require(resumed.get("status") == "running", f"the resumed job is {resumed.get('status')}")
    stop_job(server, job_id, part)


def refuse_job(server: Service, part: Part) -> None:
    """A new job finds no room, or waits in the queue where an upload had just left some."""
    answer = server.http.post("/finetune/start", json={"catalogue": "synthetic", "model_name": "too-much"})
    part.require(answer.status_code in (202, 507), f"starting a job answered {answer.status_code} {answer.text[:200]}")
    if answer.status_code == 202:
        server.http.post(f"/finetune/stop/{answer.json()['job_id']}")


def fail_for_room(server: Service, job_id: str, part: Part) -> int:
    """Wait until a job has met the full disk; the epoch that it had come to."""
    job = server.until_job(job_id, lambda job: False)
    said = str(job.get("error"))
    part.require(job.get("status") == "failed" and "space" in said, f"the job is {job.get('status')}: {said}")
    print(f"          the job is {job.get('status')} at epoch {job.get('epoch')}: {said}")
    return int(job.get("epoch", 0))


@contextmanager
def filling(place: Path) -> Iterator[Callable[[int], None]]:
    """Within the block all room but so many bytes is taken, again and again, as others leave some."""
    wanted, ended = [DISK_BYTES], threading.Event()

    def fill() -> None:
        with (place / "ballast").open("wb") as file:
            while not ended.wait(LOOK_SECONDS / 10):
                space = os.statvfs(place)
                free = space.f_bavail * space.f_frsize - wanted[0]
                with suppress(OSError):  # somebody else was quicker
                    if free > 0:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free)

    def leave(size: int) -> None:
        wanted[0] = size

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    try:
        yield leave
    finally:
        ended.set()
        thread.join()
        (place / "ballast").unlink()


def pids(server: Service) -> list[int]:
    """The processes that answer requests."""
    said = server.health()
    return [server.http_process(), *(said[name]["pid"] for name in ("worker", "analysis") if said)]


# --- what is told -----------------------------------------------------------------------------------------------------

FAULTS: dict[str, Fault] = {
    "worker": kill_worker,
    "analysis": kill_analysis,
    "http": kill_http,
    "job": kill_job,
    "main": kill_main,
    "bad": bad_items,
    "sigterm": told_to_end,
}


def check(part: Part) -> None:
    """A job's end disturbs nobody; a worker's costs the requests in its hands; a server's, those of its time off."""
    costs = {"worker": ["503", "504"], "analysis": ["503", "504"], "job": []}.get(part.name, [REFUSED, "503"])
    part.allow("200", *costs)


def check_bad(part: Part) -> None:
    singles = [o for o in part.outcomes if o.broken and o.route != BATCH]
    wrong = [o for o in singles if not (o.status.isdigit() and 400 <= int(o.status) < 500)]
    part.require(bool(singles), "no broken upload was sent")
    part.require(not wrong, f"broken uploads were answered {Counter(o.status for o in wrong)}")
    part.allow("200", outcomes=[o for o in part.outcomes if o not in singles])


CHECKS: dict[str, Callable[[Part], None]] = {"bad": check_bad, DISK: lambda part: None}
"""What statuses are expected; the fault of a full disk sees to it itself."""


def tell(part: Part) -> None:
    """A part as soon as it is over."""
    by_route: dict[str, Counter[str]] = {}
    for outcome in part.outcomes:
        by_route.setdefault(outcome.route, Counter())[outcome.status] += 1
    routes = "; ".join(f"{route} {counted(statuses)}" for route, statuses in sorted(by_route.items()))
    print(f"{part.name:9} {routes}", flush=True)
    for finding in part.findings:
        print(f"          ! {finding}", flush=True)


def counted(statuses: Counter[str]) -> str:
    return ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))


def report(parts: Sequence[Part], deadline: float) -> int:
    """The table, and below it what is not as it should be; 1 where there is any."""
    head = ("fault", "requests", "longest s", "back s", "processes left", "files left", "statuses")
    print(f"\n{head[0]:9} {head[1]:>8} {head[2]:>9} {head[3]:>7} {head[4]:>14} {head[5]:>10}  {head[6]}")
    for part in parts:
        back = f"{part.recovered:7.1f}" if part.recovered is not None else f"{'–':>7}"
        numbers = f"{len(part.outcomes):8} {part.longest:9.1f} {back} {len(part.processes):14} {len(part.files):10}"
        print(f"{part.name:9} {numbers}  {counted(Counter(o.status for o in part.outcomes))}")
    print(f"The deadline is {deadline:g} s.")
    findings = [f"{part.name}: {sentence}" for part in parts for sentence in found(part, deadline)]
    for finding in findings:
        print(f"! {finding}")
    return int(bool(findings))


def found(part: Part, deadline: float) -> list[str]:
    """All that a part was not to do."""
    late = [o for o in part.outcomes if o.seconds > deadline + SLACK_SECONDS or o.status == SILENT]
    return [
        *part.findings,
        *([f"{len(late)} requests were answered after the deadline, or never"] if late else []),
        *(f"left running: {process}" for process in part.processes),
        *(f"left lying: {file}" for file in part.files),
    ]


if __name__ == "__main__":
    sys.exit(main())
