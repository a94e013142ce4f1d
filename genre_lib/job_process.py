"""The process of a job, from outside: how it is started, what it may know, and how what it left is told and ended."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psutil

from genre_lib.job_folder import JobFolder, State
from genre_lib.notebook_failure import NO_SPACE
from genre_lib.notebook_process import scratch_prefix
from genre_lib.settings import MIB, REPOSITORY, Settings

MARK = "GENRE_JOB"
"""Variable in the environment of a job's processes, by which they are known: the job's folder."""

SECRET_NAME = re.compile(r"KEYS?$|API_?KEY|SECRET|TOKEN|PASSW|CREDENTIAL|PRIVATE|WEBHOOK|DSN$", re.IGNORECASE)
SECRET_VALUE = re.compile(r"://[^/\s@]*:[^/\s@]*@")
"""A password in an address, as that of a proxy or a database."""

PASSED_ON = (
    *("model_path", "models_path", "runs_path", "notebooks_path", "fine_tune_data_path", "cache_path"),
    *("cache_max_bytes", "max_audio_bytes", "max_audio_seconds", "device", "max_jobs", "max_queued_jobs"),
    *("spotify_client_id", "spotify_path", "spotify_calls_per_day", "spotify_timeout", "spotify_api_url"),
    *("spotify_accounts_url", "music_path", "tag_sources", "listenbrainz_url", "musicbrainz_url", "contact"),
)
"""Settings that a job needs. It reads no ``.env``, since secrets stand there too."""

FULL_BYTES = MIB
"""A disk with less free space is full: nothing of use can be written to it."""

NO_SPACE_LEFT = (
    "There is no space left on the disk that holds the job; free some, and resume goes on after its last whole epoch."
)


def start(folder: JobFolder, lock: int, settings: Settings) -> subprocess.Popen[bytes]:
    """Start the job's process in a session of its own, with the lock and its log and nothing else that is open here.

    It outlives this process, and holds no port of it.

    Raises:
        OSError: the log cannot be written, or there is no room for a process.
    """
    with folder.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "genre_lib.job_runner", str(folder.path), "--lock", str(lock)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder.path,
            env=environment(os.environ, settings) | {MARK: str(folder.path)},
            pass_fds=(lock,),  # and close_fds, which is the default
            start_new_session=True,
        )


def environment(given: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """What a job's processes find in their environment: no secrets, and the settings that they need."""
    kept = {name: value for name, value in given.items() if not is_secret(name, value)}
    values = {name: getattr(settings, name) for name in PASSED_ON}
    passed = {name.upper(): absolute(value) for name, value in values.items() if value is not None}
    path = os.pathsep.join(filter(None, [str(REPOSITORY), given.get("PYTHONPATH")]))
    unset = {name for name in kept if name.lower() in PASSED_ON}  # another spelling would stand against ours
    return {name: value for name, value in kept.items() if name not in unset} | passed | {"PYTHONPATH": path}


def is_secret(name: str, value: str) -> bool:
    """Whether a variable looks as if it held a secret; one too many does no harm."""
    return bool(SECRET_NAME.search(name) or SECRET_VALUE.search(value))


def absolute(value: object) -> str:
    return str(value.expanduser().absolute()) if isinstance(value, Path) else str(value)


def end_rest(folder: JobFolder) -> None:
    """End what is left of a job's processes, and remove what they were writing; only for who holds the job's lock."""
    for process in psutil.process_iter():
        if process.pid != os.getpid() and mark(process) == str(folder.path):
            end(process)
    for left in Path(tempfile.gettempdir()).glob(f"{scratch_prefix(folder.path)}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder.clean()


def mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):  # another user's, or gone meanwhile
        return None


def end(process: psutil.Process) -> None:
    try:
        process.kill()
        process.wait(timeout=5)
    except psutil.Error:
        return


def is_published(folder: JobFolder, name: str, settings: Settings) -> bool:
    """Whether the model of that name is this job's own."""
    mine, published = (place / "model.safetensors" for place in (folder.model, settings.models_path / name))
    try:
        return filecmp.cmp(mine, published, shallow=False)
    except OSError:
        return False


def reason_of_death(folder: JobFolder, state: State) -> str | None:
    """Why a job whose process is gone has failed, as far as its files tell: a sentence, or None."""
    failures = [event for event in folder.events() if event.get("kind") == "run_failed"]
    last = failures[-1] if failures and str(failures[-1].get("time")) >= (state.started or "") else None
    if last is not None and NO_SPACE not in str(last.get("error")):
        return str(last.get("error"))
    return NO_SPACE_LEFT if last is not None or is_full(folder.path) or NO_SPACE in tail(folder.log) else None


def is_full(place: Path) -> bool:
    """Whether nothing can be written to the disk of a folder."""
    try:
        return shutil.disk_usage(place).free < FULL_BYTES
    except OSError:
        return False


def tail(log: Path, size: int = 10_000) -> str:
    """The end of a log; empty where it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
