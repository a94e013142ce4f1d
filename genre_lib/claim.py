"""A place that a folder will be put at after long work, claimed before it, so that no two work for the same one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genre_lib.errors import ModelExists


@contextmanager
def claimed(place: Path) -> Iterator[None]:
    """Hold the place while the block runs, by a locked file beside it that has the process's number.

    The lock ends with the process, so that one that was killed claims nothing, whatever file it left.

    Raises:
        ModelExists: another process or thread holds it.
    """
    place = place.expanduser().absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    handle = _locked(place)
    try:
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        _file(place).unlink(missing_ok=True)
        os.close(handle)


def require_unclaimed(place: Path) -> None:
    """Refuse a place that is claimed at present; whoever goes on claims it by itself.

    Raises:
        ModelExists: it is.
    """
    place = place.expanduser().absolute()
    try:
        handle = os.open(_file(place), os.O_RDONLY)
    except OSError:  # nobody's, or not to be reached, which is for others to say
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _taken(place) from error
    finally:
        os.close(handle)


def _locked(place: Path) -> int:
    """The locked file, by its handle; one that its holder deleted meanwhile locks nothing, and is taken anew."""
    while True:
        handle = os.open(_file(place), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle).st_nlink:
                return handle
            os.close(handle)
        except BlockingIOError as error:
            os.close(handle)
            raise _taken(place) from error


def _taken(place: Path) -> ModelExists:
    try:
        holder = f"Process {int(_file(place).read_text())}"
    except (OSError, ValueError):  # it has this moment begun, or ended
        holder = "Another process"
    return ModelExists(f"{holder} is training a model for {place} at present; choose another place, or wait for it.")


def _file(place: Path) -> Path:
    return place.with_name(f".{place.name}.claim")
