"""The papermill process that executes a notebook: started, followed to its end, and stopped whole."""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil
import yaml

from genre_lib.errors import ConfigurationError, RunFailed, RunStopped, first_line
from genre_lib.notebook_events import EventTail

KERNEL = "python3"
"""Jupyter resolves this name to ``sys.executable``, whatever kernel the notebook was saved with."""

POLL_SECONDS = 0.2
START_SECONDS = 600
"""What a kernel has to start; papermill's own minute is too short on a machine that is busy with predictions."""

GRACE_SECONDS = 30.0
"""What an interrupted notebook has to write its checkpoint, before its processes are killed."""

KILL_SECONDS = 10.0
"""What a killed process may take to be gone; one that waits for a disk can be held for longer."""

LIBC = ctypes.CDLL(None)
KILL_WITH_PARENT = 1
"""Linux's PR_SET_PDEATHSIG."""


@dataclass
class Papermill:
    """The process and what it says on its standard error."""

    process: subprocess.Popen[bytes]
    stderr: IO[bytes]
    messages: list[str] = field(default_factory=list)

    def kernels(self) -> list[psutil.Process]:
        """The Jupyter kernels below papermill; each leads a session of its own."""
        return [p for p in descendants(self.process.pid) if "ipykernel_launcher" in " ".join(command(p))]

    def interrupt(self) -> None:
        """SIGINT to the kernel, not to papermill, which would leave the cell 2.5 seconds."""
        for kernel in self.kernels() or [psutil.Process(self.process.pid)]:
            kernel.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End every process of the tree, and return once they are gone: a killed one lives on for a moment."""
        tree = [*descendants(self.process.pid), *alive(self.process.pid)]
        for process in tree:
            with_suppressed(process.kill)
        self.process.wait()
        psutil.wait_procs(tree, timeout=KILL_SECONDS)


@contextmanager
def started(notebook: Path, parameters: Mapping[str, Any], output: Path) -> Iterator[Papermill]:
    """Start papermill, and leave no process of it behind, however the block ends."""
    prefix = scratch_prefix(output.parent)
    with tempfile.TemporaryDirectory(prefix=prefix) as folder, tempfile.TemporaryFile() as stderr:
        values = Path(folder) / "parameters.yaml"
        values.write_text(as_yaml(parameters), encoding="utf-8")
        arguments = [literal(notebook), literal(output), "-f", str(values), "-k", KERNEL, "--no-progress-bar"]
        arguments += ["--start-timeout", str(START_SECONDS)]
        process = subprocess.Popen(
            [sys.executable, "-m", "genre_lib.notebook_papermill", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,  # the terminal's Ctrl-C reaches only us
            preexec_fn=begin_child,
            env=os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "TMPDIR": folder},
        )
        job = Papermill(process, stderr)
        try:
            yield job
        finally:
            job.kill()
            stderr.seek(0)
            job.messages = stderr.read().decode(errors="replace").splitlines()


def scratch_prefix(folder: Path) -> str:
    """How the names of a job's temporary folders begin: what a killed process left is found by it.

    They do not lie in the job's folder, since sockets in them may have paths of 107 bytes at most.
    """
    return f"genre-job-{hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:12]}-"


def begin_child() -> None:
    """What papermill's process does first.

    Shells start background commands with SIGINT ignored, and it stays so in every child: no run could be stopped. And
    papermill must not train on where what watches it was killed; its kernel ends with it within a second.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        LIBC.prctl(KILL_WITH_PARENT, signal.SIGKILL)


def wait(job: Papermill, events: EventTail, timeout: float | None, stop_when: Callable[[], bool]) -> None:
    """Follow the job to its end; an interrupt, a stop or the timeout ends it and raises."""
    try:
        if not poll(job, events, timeout, stop_when):
            stop(job, events)
            raise RunFailed(f"The run did not end within {timeout:g} seconds and was stopped.")
    except KeyboardInterrupt:
        stop(job, events)
        raise RunStopped("The run was stopped before it ended.") from None


def poll(
    job: Papermill, events: EventTail, timeout: float | None, stop_when: Callable[[], bool] = lambda: False
) -> bool:
    """Whether the job ended within ``timeout`` seconds; its events are passed on meanwhile."""
    deadline = time.monotonic() + (timeout if timeout is not None else float("inf"))
    while job.process.poll() is None:
        events.read()
        if stop_when():
            raise KeyboardInterrupt
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def stop(job: Papermill, events: EventTail) -> None:
    """Interrupt the notebook, give it its grace, then kill what is left; a second Ctrl-C ends the grace."""
    try:
        with_suppressed(job.interrupt)
        poll(job, events, GRACE_SECONDS)
    except KeyboardInterrupt:
        pass
    finally:
        job.kill()


def descendants(pid: int) -> list[psutil.Process]:
    return [child for process in alive(pid) for child in with_suppressed(process.children, recursive=True) or []]


def alive(pid: int) -> list[psutil.Process]:
    process = with_suppressed(psutil.Process, pid)
    return [process] if process else []


def command(process: psutil.Process) -> list[str]:
    return with_suppressed(process.cmdline) or []


def with_suppressed(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The call's result, or None where the process it is about has ended meanwhile."""
    try:
        return call(*args, **kwargs)
    except psutil.Error:
        return None


def as_yaml(parameters: Mapping[str, Any]) -> str:
    """The parameters as papermill reads them. JSON would not do: YAML 1.1 takes JSON's ``2e-05`` for a text."""
    plain = {name: str(value) if isinstance(value, os.PathLike) else value for name, value in parameters.items()}
    try:
        return yaml.safe_dump(plain, allow_unicode=True)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"A notebook's parameter must be a plain value: {first_line(str(error))}.") from error


def literal(path: Path | str) -> str:
    """The path as papermill takes it literally: it formats paths, so that braces are doubled."""
    return str(path).replace("{", "{{").replace("}", "}}")
