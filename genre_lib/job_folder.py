"""A job is a folder: what was asked, how it stands, and who works on it. All of it files, so that it outlives everyone.

| file | holds |
|---|---|
| ``job.json`` | what was asked; never changes |
| ``state.json`` | how the job stands; replaced whole |
| ``stop`` | there once somebody asked for the job to stop |
| ``lock`` | locked by the job's process for as long as it lives |
| ``job.log`` | what the process said |
| ``catalogue.csv`` | the tracks to train on |

Beside them lies what :mod:`genre_lib.runs` lists: the folder is the run's, too.

That a job's process lives is told by the lock, not by its number: the kernel of the operating system gives a lock back
when its holder ends, however it ends, and a number may belong to another process by then.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from genre_lib.files import write_whole

Stored = Literal["queued", "running", "completed", "failed", "stopped"]
"""What ``state.json`` may say; of a job that runs and was asked to stop, :mod:`genre_lib.job_store` says stopping."""


@dataclass(frozen=True)
class Request:
    """What was asked.

    Args:
        parameters: of the fine-tuning notebook.
        model_name: under which the model is published.
        base_model: name of the model to start from.
        asked: the same in the client's words, to be shown.
        submitted: when, ISO 8601 in UTC.
    """

    parameters: dict[str, Any]
    model_name: str
    base_model: str
    asked: dict[str, Any]
    submitted: str


@dataclass(frozen=True)
class State:
    """How a job stands.

    Args:
        queued: when it took its place in the queue, ISO 8601 in UTC, as all times here.
        attempt: 1, and one more with every resume.
        started, ended: of this attempt.
        pid: of the job's process, for people; nothing is decided by it.
        error: why it failed, a sentence.
        error_code: the same as a word, where one of ours stopped it before its notebook.
        kept: what a stopped job left: the epoch whose weights lie in ``model/``, and their scores.
    """

    status: Stored
    queued: str
    attempt: int = 1
    started: str | None = None
    ended: str | None = None
    pid: int | None = None
    error: str | None = None
    error_code: str | None = None
    kept: dict[str, Any] | None = None

    def but(self, **changes: Any) -> State:
        """The same with some fields changed."""
        return replace(self, **changes)


class EventReader:
    """Reads a growing file of JSON lines, each line once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = self.line = 0

    def read(self) -> list[tuple[int, dict[str, Any]]]:
        """The events that came since the last time, with their lines, which count from 1.

        Half a line waits for its end; a line that is no JSON is counted and left out.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.position)
                block = file.read()
        except OSError:
            return []
        complete = block[: block.rfind(b"\n") + 1]
        numbered = [(number, parsed(text)) for number, text in enumerate(complete.splitlines(), self.line + 1)]
        self.position += len(complete)
        self.line += len(numbered)
        return [(number, event) for number, event in numbered if event is not None]


@dataclass(frozen=True)
class JobFolder:
    """The files of one job; those that cannot be read are as if they were not there."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def log(self) -> Path:
        return self.path / "job.log"

    @property
    def catalogue(self) -> Path:
        return self.path / "catalogue.csv"

    @property
    def model(self) -> Path:
        return self.path / "model"

    def request(self) -> Request | None:
        """What was asked; None where this folder is no job's."""
        content = read_json(self.path / "job.json")
        return Request(**content) if content else None

    def write_request(self, request: Request) -> None:
        write_whole(self.path / "job.json", json.dumps(asdict(request), indent=2) + "\n")

    def state(self) -> State | None:
        """How the job stands by its own account."""
        content = read_json(self.path / "state.json")
        return State(**content) if content else None

    def write_state(self, state: State) -> None:
        """Replace the state whole.

        Raises:
            OSError: it cannot be written, on a full disk for example; the one before is still there.
        """
        write_whole(self.path / "state.json", json.dumps(asdict(state), indent=2) + "\n")

    def ask_to_stop(self) -> None:
        (self.path / "stop").touch()

    def forget_stop(self) -> None:
        (self.path / "stop").unlink(missing_ok=True)

    def stop_asked(self) -> bool:
        return (self.path / "stop").exists()

    def events(self) -> list[dict[str, Any]]:
        """What the run wrote so far."""
        return [event for _, event in self.event_reader().read()]

    def event_reader(self) -> EventReader:
        return EventReader(self.path / "events.jsonl")

    def clean(self) -> None:
        """Remove what was being written when a process died: it is no use, and on a full disk it is in the way."""
        for pattern in ("checkpoints/*.new", ".*.new", ".*.json.*"):
            for left in self.path.glob(pattern):
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)

    # --- the lock

    def lock(self) -> int | None:
        """Take the lock: a file descriptor that holds it until it is closed by all who have it; None if it is taken."""
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle

    def alive(self) -> bool:
        """Whether the job's process lives; two who ask at once do not disturb each other."""
        try:
            handle = os.open(self.path / "lock", os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Wait until no other process or thread is in such a block for the same path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        return parsed(path.read_bytes())
    except OSError:
        return None


def parsed(text: bytes) -> dict[str, Any] | None:
    """A JSON object; numbers that JSON does not know, such as the loss of a run that went astray, are None."""
    try:
        content = json.loads(text, parse_constant=lambda _: None)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
