"""A track on its way to a worker: uploaded, or fetched from an address, it lies as a file until the answer is there.

A path of some bytes goes through LitServe's queues in no time, where an upload of 100 MB would hold up everyone.
"""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO

from starlette.datastructures import State, UploadFile

LONGEST_NAME = 100
CHUNK_BYTES = 1024 * 1024

Source = UploadFile | str
"""An upload, or an address."""


@dataclass(frozen=True)
class Track:
    """A file that a worker can read."""

    path: str
    name: str
    """What messages call it."""
    digest: str
    """SHA-256 of its content, in hex."""


@asynccontextmanager
async def laid_down(source: Source, state: State) -> AsyncIterator[Track]:
    """The track as a file in the folder that the processes share; gone after the block.

    Args:
        state: the app's, with ``worker.folder`` and ``fetcher``.

    Raises:
        FetchError, AudioError: the address cannot be fetched; see :mod:`genre_lib.service.fetch`.
    """
    path = state.worker.folder / f"upload-{uuid.uuid4().hex}"
    try:
        if isinstance(source, str):
            name = (await state.fetcher.fetch(source, path)).filename
            digest = await asyncio.to_thread(digest_of, path)
        else:
            name = shown(source.filename)
            digest = await asyncio.to_thread(copy, source.file, path)
        yield Track(str(path), name, digest)
    finally:
        path.unlink(missing_ok=True)


def copy(source: BinaryIO, target: Path) -> str:
    """Write the file, and return its digest."""
    digest = hashlib.sha256()
    with target.open("wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shown(filename: str | None) -> str:
    """The client's name for the file, fit for a sentence."""
    name = "".join(letter for letter in PurePath(filename or "").name if letter.isprintable())
    return name[:LONGEST_NAME] or "The upload"
