"""The service that suffers: started again after it ended, and known by its processes, its files and its jobs."""

from __future__ import annotations

import argparse
import itertools
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from own_service import (
    START_SECONDS,
    UNLIMITED,
    did_not_start,
    environment,
    free_port,
    opened_by,
    own_folders,
    serve_command,
    started,
)

from genre_lib import api_keys
from genre_lib.files import STAGED
from genre_lib.job_folder import JobFolder

END_SECONDS = 40

JOB_SECONDS = 400
"""What a job may take to come to its first epoch, or from there to its end, on a machine that is busy predicting."""

SETTLE_SECONDS = 10
"""What is still there so long after the last answer is left over."""

LOOK_SECONDS = 0.05

MARK = "GENRE_FAULTS"
"""Variable in the environment of all that is started here, by which it is found again."""

TORCH_CACHE = "torchinductor_"
"""Beginning of the name of a folder that PyTorch makes once for each user, and keeps."""


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
        settings = {"MODEL_PATH": str(model), **UNLIMITED, **opened_by(self.key), "REQUEST_TIMEOUT": str(deadline)}
        self.environment = environment({**own_folders(place), **settings, MARK: self.mark}, self.temporary)
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False, headers={"X-API-Key": self.key}
        )
        self.known: set[Path] = set()
        """Temporary files that belong to the server that runs, or were reported already."""

    def start(self) -> None:
        """Start it, and wait until it is healthy."""
        self.known |= set(self.temporary.iterdir())
        with self.log.open("ab") as output:
            self.process = started(serve_command(self.port), self.environment, self.place, output)
        if not until(self.healthy, START_SECONDS, lambda: self.process.poll() is not None):
            did_not_start(self.log)
        self.known |= set(self.temporary.iterdir())

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
