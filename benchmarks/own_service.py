"""A service that a benchmark starts for itself, with folders of its own, and of which no process is left at the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from genre_lib import api_keys
from genre_lib.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[1]
STARTER = REPOSITORY / "pretrained/genre_classifier"

START_SECONDS = 180
END_SECONDS = 20

LEFT_TO_THE_USER = {"device", "engine", "max_batch_size", "batch_timeout"}
"""Settings of the service that may be tried out here; the others are as measured."""

ENDING = (signal.SIGINT, signal.SIGTERM)

RATES = ("RATE_LIMIT", "RATE_LIMIT_PREDICTIONS", "RATE_LIMIT_CHANGES", "RATE_LIMIT_FAILED_KEYS")
UNLIMITED = dict.fromkeys(RATES, "")
"""Settings by which nobody asks too often."""


def in_own_folder(prefix: str, work: Callable[[Path], int]) -> int:
    """The exit status of work in a temporary folder; 130 where a signal ended it, and it what it had started."""
    for number in ENDING:
        signal.signal(number, interrupt_once)
    try:
        with tempfile.TemporaryDirectory(prefix=prefix) as name:
            return work(Path(name))
    except KeyboardInterrupt:
        print("interrupted; what was started was ended", file=sys.stderr)
        return 130


def interrupt_once(number: int, frame: object) -> None:
    """The first signal ends the servers; a second one shall not keep that from its end."""
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def service(temporary: Path, settings: Mapping[str, str], name: str = "service") -> Iterator[str]:
    """``serve.py`` on a free port while the block lasts; its address.

    Args:
        temporary: where its folders and its log are made.
        settings: beside these folders.
        name: of its log.
    """
    port = free_port()
    with running(serve_command(port), {**own_folders(temporary), **settings}, temporary, name):
        yield f"http://127.0.0.1:{port}"


def serve_command(port: int) -> list[str]:
    return [sys.executable, str(REPOSITORY / "serve.py"), "--port", str(port)]


def own_folders(temporary: Path) -> dict[str, str]:
    """Settings by which a service keeps to folders of its own."""
    return {f"{name}_PATH": str(temporary / name.lower()) for name in ("MODELS", "RUNS", "CACHE")}


def opened_by(key: str) -> dict[str, str]:
    """Settings by which a key opens the service."""
    return {"API_KEYS": f"ann:{api_keys.digest(key)}"}


def environment(settings: Mapping[str, str], temporary: Path) -> dict[str, str]:
    """A server's environment: these settings, and of the user's own what may be tried out."""
    own = set(Settings.model_fields) - LEFT_TO_THE_USER
    kept = {variable: value for variable, value in os.environ.items() if variable.lower() not in own}
    return kept | {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", "TMPDIR": str(temporary), **settings}


@contextmanager
def running(command: Sequence[str], settings: Mapping[str, str], temporary: Path, name: str) -> Iterator[None]:
    """A server from when it answers, at the port that its command ends with; then no process of it is left."""
    log = temporary / f"{name}.log"
    with log.open("wb") as output:
        process = started(command, environment(settings, temporary), temporary, output)
    try:
        wait_until_it_answers(process, int(command[-1]), log)
        yield
    finally:
        end(process)


def started(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, output: object
) -> subprocess.Popen[bytes]:
    """A process in a session of its own, so that Ctrl-C comes to this one alone, which ends the others in order."""
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True)


def wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=5, trust_env=False).status_code == 200:
                return
        time.sleep(0.2)
    did_not_start(log)


def did_not_start(log: Path) -> None:
    """Give up, and say what the server said."""
    sys.exit(f"error: a server did not start; it said:\n{log.read_text(errors='replace')[-3000:]}")


def end(process: subprocess.Popen[bytes]) -> None:
    """By a signal; what does not end by it is killed, with what it started."""
    with suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        for left in children:
            with suppress(psutil.NoSuchProcess):
                left.kill()
    if process.poll() is None:
        process.kill()
    process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
