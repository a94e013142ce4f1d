"""What a folder of music holds: tags and lengths of its files, read once and kept on disk.

A file is read again only where its size or its time of change differ. The index lies in the cache's folder, one for
each folder of music, and may be deleted at any time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from genre_lib import audio
from genre_lib.cache import content_digest
from genre_lib.data.tags import read_tags
from genre_lib.errors import AudioError, CatalogueNotFound
from genre_lib.files import write_whole

VERSION = 1
"""Changes with what is kept of a file, so that an older index is read anew."""

FOLDER = "music_folders"
KEPT_EVERY = 2000
"""Files after which the index is kept meanwhile: who interrupts it loses no more than that."""

ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class MusicFile:
    """A file of the user's own, as its tags and its container tell.

    Args:
        path: relative to the folder.
        size, changed: in bytes, and in nanoseconds since 1970: what tells whether it was changed.
        duration: in seconds; 0 where the file does not say.
        isrc: upper case without dashes; ``""`` where the tag holds none or none that is well formed.
        readable: whether there is audio in it.
    """

    path: str
    size: int
    changed: int
    artist: str = ""
    title: str = ""
    album: str = ""
    isrc: str = ""
    duration: float = 0.0
    readable: bool = True


def isrc_of(text: str) -> str:
    """The recording's code in a tag, which may hold dashes, spaces or a word before it; ``""`` for none."""
    found = ISRC.search(re.sub(r"[\s-]", "", text.upper()).removeprefix("ISRC").lstrip(":"))
    return found.group() if found else ""


def read_file(root: Path, path: Path, size: int, changed: int) -> MusicFile:
    """Read one file's tags and length; one without audio is kept as such, so that it is not read again."""
    relative = path.relative_to(root).as_posix()
    try:
        duration = audio.probe(path).duration or 0.0
    except AudioError:
        return MusicFile(relative, size, changed, readable=False)
    tags = read_tags(path)
    return MusicFile(
        relative, size, changed, tags["artist"], tags["title"], tags["album"], isrc_of(tags["isrc"]), round(duration, 3)
    )


def index(root: Path, cache_path: Path, progress: Progress | None = None) -> list[MusicFile]:
    """The folder's audio files in the order of their paths; only those that changed are read.

    Args:
        progress: called with the files done and all of them.

    Raises:
        CatalogueNotFound: there is no such folder.
    """
    if not root.is_dir():
        came = "that is a file" if root.exists() else "there is nothing"
        raise CatalogueNotFound(f"Your music should be in the folder {root}; {came}. Set MUSIC_PATH to a folder.")
    place = place_of(root, cache_path)
    known = read_index(place)
    found: list[MusicFile] = []
    fresh = 0
    listed = list(stated(audio.find(root)))
    for path, size, changed in listed:
        file = known.get(path.relative_to(root).as_posix())
        if file is None or (file.size, file.changed) != (size, changed):
            file, fresh = read_file(root, path, size, changed), fresh + 1
            if fresh % KEPT_EVERY == 0:
                write_index(place, {**known, **{each.path: each for each in found}}.values())
        found.append(file)
        if progress:
            progress(len(found), len(listed))
    if fresh or len(found) != len(known):
        write_index(place, found)
    return found


def stated(paths: list[Path]) -> Iterator[tuple[Path, int, int]]:
    """Each file that is still there, with its size and time of change."""
    for path in paths:
        with suppress(OSError):
            status = path.stat()
            yield path, status.st_size, status.st_mtime_ns


def place_of(root: Path, cache_path: Path) -> Path:
    return cache_path.expanduser() / FOLDER / f"{content_digest(str(root).encode())[:16]}.json"


def read_index(place: Path) -> dict[str, MusicFile]:
    """What was kept, by path; nothing where it is damaged or of another version."""
    try:
        kept = json.loads(place.read_bytes())
        if kept["version"] != VERSION:
            return {}
        files = [MusicFile(*row) for row in kept["files"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    return {file.path: file for file in files}


def write_index(place: Path, files: object) -> None:
    """Keep the index whole; a disk that refuses costs the next start, and nothing now."""
    rows = [list(asdict(file).values()) for file in files]  # type: ignore[attr-defined]
    content = {"version": VERSION, "columns": [each.name for each in fields(MusicFile)], "files": rows}
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, json.dumps(content, ensure_ascii=False))
