"""Run a notebook as a job: one papermill process, watched, stopped whole, and judged by what it left on disk.

A job's folder is the one that the executed notebook is written to. The notebook itself appends its progress to
``events.jsonl`` there, and writes ``result.json`` last; so the job is done when papermill ends with 0 **and** that file
is there. Papermill's metadata is not asked: after a dead kernel or an interrupt it says "completed" (papermill 2.7).
"""

from __future__ import annotations

import ctypes
import difflib
import errno
import hashlib
import json
import logging
import os
import re
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

from genre_lib import errors
from genre_lib.errors import ConfigurationError, NotebookFailed, RunFailed, RunStopped, first_line

logger = logging.getLogger(__name__)

EVENTS = "events.jsonl"
RESULT = "result.json"
KERNEL = "python3"
"""Jupyter resolves this name to ``sys.executable``, whatever kernel the notebook was saved with."""

POLL_SECONDS = 0.2
START_SECONDS = 600
"""What a kernel has to start; papermill's own minute is too short on a machine that is busy with predictions."""
GRACE_SECONDS = 30.0
"""What an interrupted notebook has to write its checkpoint, before its processes are killed."""

KILL_SECONDS = 10.0
"""What a killed process may take to be gone; one that waits for a disk can be held for longer."""

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")

NO_SPACE = os.strerror(errno.ENOSPC)
LIBC = ctypes.CDLL(None)
KILL_WITH_PARENT = 1
"""Linux's PR_SET_PDEATHSIG."""

OnEvent = Callable[[dict[str, Any]], None]


def run_notebook(
    notebook: Path | str,
    parameters: Mapping[str, Any],
    output: Path | str,
    *,
    timeout: float | None = None,
    on_event: OnEvent | None = None,
    stop_when: Callable[[], bool] | None = None,
) -> None:
    """Execute ``notebook`` with ``parameters``, and return when it has ended well.

    The notebook runs in the caller's working folder, so that its ``.env`` is the caller's. An interrupt (Ctrl-C) is
    handed to the notebook's cell, which has :data:`GRACE_SECONDS` to end by itself; a second one kills it at once.

    Args:
        notebook: the ``.ipynb`` to run; it is not changed.
        parameters: values for names that the notebook's parameters cell has; plain types, as in YAML.
        output: where the executed notebook is written; its folder is where events and result are looked for.
        timeout: seconds after which the run is stopped; None waits for as long as it takes.
        on_event: called with every line of ``events.jsonl`` as the run writes it.
        stop_when: asked several times a second; once it says yes, the run is stopped as by an interrupt.

    Raises:
        ConfigurationError: there is no such notebook, or it has no parameter of a name, or a value is no plain type.
        NotebookFailed: the notebook raised an error, lost its kernel or left no result.
        RunFailed: it took too long.
        RunStopped: the run was interrupted.
    """
    notebook, output = Path(notebook).absolute(), Path(output).absolute()
    check_parameters(notebook, parameters)
    output.parent.mkdir(parents=True, exist_ok=True)
    events = EventTail(output.parent / EVENTS, on_event or (lambda event: None))
    with started(notebook, parameters, output) as job:
        wait(job, events, timeout, stop_when or (lambda: False))
    events.read()
    if job.process.returncode != 0 or not (output.parent / RESULT).is_file():
        logger.info("papermill said: %s", "\n".join(job.messages))
        raise NotebookFailed(failure(job, output), output)


def notebook_parameters(notebook: Path | str) -> dict[str, Any]:
    """The notebook's parameters as papermill infers them: name → ``{"default", "help", "inferred_type_name", "name"}``.

    Raises:
        ConfigurationError: there is no such notebook, or it cannot be read.
    """
    from papermill import inspect_notebook

    if not Path(notebook).is_file():
        raise ConfigurationError(f"Expected a notebook at {notebook}, and there is none; set NOTEBOOKS_PATH.")
    try:
        return inspect_notebook(literal(notebook))
    except Exception as error:  # nbformat, json and papermill raise types without a common root
        raise ConfigurationError(f"{notebook} cannot be read as a notebook: {first_line(str(error))}.") from error


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Papermill only warns about an unknown name and goes on with the default; here it is an error."""
    known = notebook_parameters(notebook)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        near = {name: difflib.get_close_matches(name, known, n=1) for name in unknown}
        said = ", ".join(f"{name} (did you mean {near[name][0]}?)" if near[name] else name for name in unknown)
        raise ConfigurationError(f"{notebook.name} has no parameter {said}. It has: {', '.join(sorted(known))}.")


# --- the process ------------------------------------------------------------------------------------------------------


@dataclass
class Job:
    """A papermill process and what it says on its standard error."""

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
def started(notebook: Path, parameters: Mapping[str, Any], output: Path) -> Iterator[Job]:
    """Start papermill, and leave no process of it behind, however the block ends."""
    prefix = scratch_prefix(output.parent)
    with tempfile.TemporaryDirectory(prefix=prefix) as folder, tempfile.TemporaryFile() as stderr:
        values = Path(folder) / "parameters.yaml"
        values.write_text(as_yaml(parameters), encoding="utf-8")
        arguments = [literal(notebook), literal(output), "-f", str(values), "-k", KERNEL, "--no-progress-bar"]
        arguments += ["--start-timeout", str(START_SECONDS)]
        process = subprocess.Popen(
            [sys.executable, "-m", "papermill", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,  # the terminal's Ctrl-C reaches only us
            preexec_fn=begin_child,
            env=os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "TMPDIR": folder},
        )
        job = Job(process, stderr)
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


def wait(job: Job, events: EventTail, timeout: float | None, stop_when: Callable[[], bool]) -> None:
    """Follow the job to its end; an interrupt, a stop or the timeout ends it and raises."""
    try:
        if not poll(job, events, timeout, stop_when):
            stop(job, events)
            raise RunFailed(f"The run did not end within {timeout:g} seconds and was stopped.")
    except KeyboardInterrupt:
        stop(job, events)
        raise RunStopped("The run was stopped before it ended.") from None


def poll(job: Job, events: EventTail, timeout: float | None, stop_when: Callable[[], bool] = lambda: False) -> bool:
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


def stop(job: Job, events: EventTail) -> None:
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


# --- what goes in, and what came out ----------------------------------------------------------------------------------


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


class EventTail:
    """The complete lines that were appended to a file of JSON lines since it was last read."""

    def __init__(self, path: Path, on_event: OnEvent) -> None:
        self.path = path
        self.on_event = on_event
        self.position = path.stat().st_size if path.is_file() else 0

    def read(self) -> None:
        """Pass on what is new; half a line waits for its end, and what is no JSON is passed over."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self.position)
            block = file.read()
        complete = block[: block.rfind(b"\n") + 1]
        self.position += len(complete)
        for line in complete.splitlines():
            self._pass_on(line)

    def _pass_on(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return
        if isinstance(event, dict):
            self.on_event(event)


def failure(job: Job, output: Path) -> str:
    """The notebook's own error, or what else kept it from its result; without a full stop."""
    if any(NO_SPACE in line for line in job.messages):
        return f"There is no space left on a disk that the run in {output.parent} needs; free some and resume it"
    return (notebook_error(output) or process_error(job.process.returncode, job.messages)).rstrip(".")


def notebook_error(output: Path) -> str | None:
    """The first error among the notebook's outputs, without colours; None where there is none.

    One of ours is a sentence for the user as it is; any other needs its type's name to be understood.
    """
    try:
        cells = json.loads(output.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return None
    outputs = [out for cell in cells for out in cell.get("outputs", []) if out.get("output_type") == "error"]
    if not outputs:
        return None
    name, said = outputs[0]["ename"], first_line(ANSI.sub("", outputs[0]["evalue"]))
    kind = getattr(errors, name, None)
    ours = isinstance(kind, type) and issubclass(kind, errors.GenreLibError)
    return said if ours else f"{name}: {said}"


def process_error(code: int, messages: list[str]) -> str:
    """Why papermill ended, where no cell says it."""
    if code == 0:
        return f"The notebook ended and left no {RESULT}; its last cell must write it"
    if code == 138 or any("DeadKernelError" in line for line in messages):
        return "The notebook's kernel died, as it does when memory runs out; try a smaller batch size"
    said = [ANSI.sub("", line).strip() for line in messages if line.strip()]
    return f"papermill ended with {code}: {said[-1] if said else 'it gave no reason'}"
