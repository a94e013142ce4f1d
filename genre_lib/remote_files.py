"""Files on a model hub: what they are said to be, and whether what came of them is that."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from genre_lib.errors import DiskFull, DownloadCorrupt

PART = ".part"
"""Ending of a file that is not whole yet."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class RemoteFile:
    """A file on the hub.

    Args:
        commit: the revision that it is fetched from.
        sha256: of its content; empty where the hub tells ``blob`` alone.
        blob: Git's name of its content: the SHA-1 of a header and the content.
    """

    path: str
    size: int
    commit: str
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit: what was asked for by a branch or tag is pinned here.

    Args:
        revision: as it was asked for.
        licence: as the model card's metadata say it; empty where they do not.
    """

    repo: str
    revision: str
    commit: str
    licence: str = ""
    files: dict[str, RemoteFile] = field(default_factory=dict)


def require_same(file: RemoteFile, content: BinaryIO) -> str:
    """The SHA-256 of what came.

    Raises:
        DownloadCorrupt: it is not what the hub says that it has.
    """
    content.seek(0)
    sha256, blob, size = hashlib.sha256(), hashlib.sha1(f"blob {file.size}\0".encode()), 0
    while chunk := content.read(CHUNK_BYTES):
        sha256.update(chunk)
        blob.update(chunk)
        size += len(chunk)
    same = sha256.hexdigest() == file.sha256 if file.sha256 else blob.hexdigest() == file.blob
    if size != file.size or not same:
        raise DownloadCorrupt(
            f"What came of {file.path} is not what the hub says it has (its checksum differs), so it was thrown away; "
            "run the command again."
        )
    return sha256.hexdigest()


@contextmanager
def told_when_full(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(
                f"The disk of {place.parent} is full ({error.strerror}); make room and run the command again, and it "
                "goes on where it was."
            ) from error
        raise
