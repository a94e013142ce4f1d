"""Have a model tried by a process of its own, in turn with others: this one goes without torch, and stays alive."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from genre_lib.settings import Settings

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

TURNS = ThreadPoolExecutor(1, thread_name_prefix="models")
"""One trial at a time: each takes as much memory as a model does."""

POLL_SECONDS = 0.1


class Cancelled(Exception):
    """Nobody waits for it any more."""


class TrialFailed(Exception):
    """The process that tries models has a fault of its own."""


async def in_turn(work: Callable[[threading.Event], Result]) -> Result:
    """Do something that takes seconds in a thread, one at a time; the event tells it that nobody waits any more."""
    cancelled = threading.Event()
    try:
        return await asyncio.get_running_loop().run_in_executor(TURNS, work, cancelled)
    except asyncio.CancelledError:
        cancelled.set()
        raise


def refusal(
    folder: Path, name: str, settings: Settings, cancelled: threading.Event, packed: IO[bytes] | None = None
) -> str | None:
    """Why the model in a folder cannot be served, in a sentence; None where it can.

    Args:
        folder: of the model; empty where a zip is to be unpacked there first.
        name: what the sentence calls the model.
        packed: the zip, a file with a descriptor.

    Raises:
        OSError: the files could not be written.
        Cancelled: the event was set.
        TrialFailed: it is not the model's fault.
    """
    process = begin(folder, settings, packed)
    try:
        output = ended(process, settings.model_check_timeout, cancelled)
    except subprocess.TimeoutExpired:
        return f"{name} took longer than {settings.model_check_timeout:g} seconds to be unpacked, loaded and run."
    finally:
        kill(process)
    if process.returncode < 0:
        return f"{name} ended the process that tried it, as a model does that takes too much memory."
    if process.returncode > 0:
        raise TrialFailed("a model could not be tried; what its process said is in the log")
    found = result_in(output)
    if "errno" in found:
        raise OSError(found["errno"], os.strerror(found["errno"]))
    refused = found.get("refused")
    return None if refused is None else str(refused).replace(str(folder), name)


def begin(folder: Path, settings: Settings, packed: IO[bytes] | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "genre_lib.service.model_check", str(folder), "--parent", str(os.getpid())]
    handed = [] if packed is None else [packed.fileno()]
    for descriptor in handed:
        command += ["--zip", str(descriptor), "--max-bytes", str(settings.max_model_bytes)]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=handed,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def ended(process: subprocess.Popen[bytes], seconds: float, cancelled: threading.Event) -> bytes:
    """What the process wrote.

    Raises:
        subprocess.TimeoutExpired, Cancelled: it has not ended yet.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            output, errors = process.communicate(timeout=POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if cancelled.is_set():
                raise Cancelled from None
            if time.monotonic() > deadline:
                raise
        else:
            if process.returncode != 0:
                logger.warning("a model's trial ended with %s: %s", process.returncode, errors.decode(errors="replace"))
            return output


def kill(process: subprocess.Popen[bytes]) -> None:
    """End the process where it has not ended, and all that it may have started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def result_in(output: bytes) -> dict[str, Any]:
    """The last line; a library may have written others before."""
    lines = output.decode(errors="replace").strip().splitlines()
    return dict(json.loads(lines[-1]))
