"""How a job stands. Whoever looks makes true what a process that died could not write any more."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from genre_lib import job_process
from genre_lib.job_folder import JobFolder, Request, State
from genre_lib.settings import Settings

logger = logging.getLogger(__name__)

Status = Literal["queued", "running", "stopping", "completed", "failed", "stopped"]
STATUSES: tuple[Status, ...] = ("queued", "running", "stopping", "completed", "failed", "stopped")
OPEN: frozenset[Status] = frozenset({"queued", "running", "stopping"})
"""What a job is while something may still come of it by itself."""

DIED = (
    "The job's process ended without a word: it was killed, as it is when memory runs out, or the machine was "
    "restarted; resume goes on after its last whole epoch."
)


@dataclass(frozen=True)
class Job:
    """A job as it stood when it was looked at; for the fields see :class:`Request` and :class:`State`."""

    folder: JobFolder
    status: Status
    request: Request
    state: State
    position: int | None = None
    """Place in the queue: 1 is the next to start; None where it does not wait."""

    @property
    def id(self) -> str:
        return self.folder.id

    @property
    def ended(self) -> bool:
        return self.status not in OPEN

    @property
    def epochs(self) -> int:
        """That it is to train; what :func:`genre_lib.job_request.prepare` makes says so always."""
        return int(self.request.parameters.get("num_epochs") or 1)


def look(folder: JobFolder, settings: Settings) -> Job | None:
    """How a job stands; None where the folder holds none."""
    request, state = folder.request(), folder.state()
    if request is None or state is None:
        return None
    if state.status == "running" and not folder.alive():
        state = _settled(folder, settings)
    if state.status == "running" and folder.stop_asked():
        return Job(folder, "stopping", request, state)
    return Job(folder, state.status, request, state)


def _settled(folder: JobFolder, settings: Settings) -> State:
    """The state of a job that says it runs and whose process is gone, made true on the disk where that can be."""
    handle = folder.lock()
    state = folder.state()  # the process may have written its last word just before it ended
    assert state is not None
    if handle is None or state.status != "running":
        return _closed(handle, state)
    state = _truth(folder, state, settings)
    try:
        job_process.end_rest(folder)
        folder.write_state(state)
    except OSError as error:  # it is found out anew each time, until there is room to write it down
        logger.warning("the state of job %s cannot be written: %s", folder.id, error.strerror)
    return _closed(handle, state)


def _truth(folder: JobFolder, state: State, settings: Settings) -> State:
    """What became of a job whose process is gone."""
    request = folder.request()
    if request is not None and job_process.is_published(folder, request.model_name, settings):
        return state.but(status="completed", ended=now())
    if folder.stop_asked():
        return state.but(status="stopped", ended=now())
    return state.but(status="failed", ended=now(), error=job_process.reason_of_death(folder, state) or DIED)


def _closed(handle: int | None, state: State) -> State:
    if handle is not None:
        os.close(handle)
    return state


def now() -> str:
    return datetime.now(UTC).isoformat()
