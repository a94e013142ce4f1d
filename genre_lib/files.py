"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
STAGED = ".staged"
"""Ending of the folders that :func:`staged_folder` makes."""


def is_text(name: str) -> bool:
    """Whether a file's name is text: Linux allows any bytes, and Python has those that are no UTF-8 as surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def name_as_text(name: str) -> str:
    """A file's name as text that may stand for more than a file; one that is no UTF-8 is read as Latin-1.

    >>> name_as_text("fado"), name_as_text(b"choro an\\xe7o".decode("utf-8", "surrogateescape"))
    ('fado', 'choro anço')
    """
    return name if is_text(name) else os.fsencode(name).decode("latin-1")


def write_whole(path: Path, text: str, errors: str = "strict") -> None:
    """Write a text aside and put it at its place at once, so that no reader, and no crash, meets half of it.

    Args:
        errors: what becomes of parts of a file's name that are no text, as :func:`open` takes it.
    """
    with whole_file(path, errors=errors) as file:
        file.write(text)


@contextmanager
def whole_file(place: Path, **options: Any) -> Iterator[TextIO]:
    """A text file to write, which is put at its place once the block has ended well; a link stays one.

    What is no regular file, such as a pipe or ``/dev/null``, is written into.
    """
    if place.exists() and not place.is_file():
        with named(place), place.open("w", encoding="utf-8", **options) as file:
            yield file
        return
    place = Path(os.path.realpath(place))
    aside = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
    try:
        with named(place), aside.open("x", encoding="utf-8", **options) as file:
            yield file
        aside.replace(place)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def named(place: Path) -> Iterator[None]:
    """Have the error of a disk that is full say which file it was for, which the operating system does not."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(place)
        raise


@contextmanager
def staged_folder(place: Path) -> Iterator[Path]:
    """An empty hidden folder beside ``place``, to be filled and then moved there; what is left of it goes afterwards.

    It is locked meanwhile, and the lock ends with the process: so :func:`sweep` knows what a killed one left.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}{STAGED}")
    folder.mkdir()
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def can_be_made(place: Path) -> bool:
    """Whether a folder can be put at ``place``; see :func:`try_above`."""
    try:
        try_above(place)
    except OSError:
        return False
    return True


def try_above(place: Path) -> None:
    """Make a folder for a moment in the nearest one above ``place`` that is there, for rights alone do not tell.

    Raises:
        OSError: why none can be made.
    """
    above = next(parent for parent in place.absolute().parents if parent.exists())
    with tempfile.TemporaryDirectory(prefix=".", suffix=STAGED, dir=above):
        pass


def sweep(parent: Path) -> None:
    """Delete the staged folders below ``parent`` that belong to no living process."""
    for folder in parent.glob(f".*{STAGED}"):
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def put_new(folder: Path, place: Path) -> None:
    """Move a folder to a place where nothing is; of several that come at once, one gets it.

    Raises:
        FileExistsError: something is there.
    """
    try:
        folder.rename(place)  # onto an empty folder too, and that is as good as nothing
    except OSError as error:
        if place.exists():
            raise FileExistsError(str(place)) from error
        raise


def replace_folder(new: Path, place: Path) -> None:
    """Put the folder ``new`` at ``place``; what stood there is moved away, and back if ``new`` cannot be moved."""
    old = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.old")
    if place.exists():
        place.replace(old)
    try:
        new.replace(place)
    except OSError:
        if old.exists():
            old.replace(place)
        raise
    shutil.rmtree(old, ignore_errors=True)
