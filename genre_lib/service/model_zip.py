"""A model folder out of a zip that a stranger sent: plain files of known kinds, side by side, within bounds.

What the zip says of itself is believed nowhere: names are compared with what is allowed, and bytes are counted as they
come out. To be run in a process of its own, for ``zipfile`` holds the whole list of members in memory.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from genre_lib.engines.names import REPORT
from genre_lib.errors import UploadRefused

MIB = 1024**2

MOST_FILES = 64
SMALL_BYTES = 8 * MIB
"""The most that a file may hold that holds no weights."""

MOST_RATIO = 100
RATIO_FROM = 16 * MIB
"""Above this many bytes a zip may unpack to no more than :data:`MOST_RATIO` times itself; weights hardly shrink."""

WEIGHTS = ".safetensors"
ENDINGS = frozenset({WEIGHTS, ".json", ".md", ".txt", ".png"})
CODE = frozenset(
    {".py", ".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".h5", ".msgpack", ".npy", ".npz"}
)
"""Endings of what runs, or may run, when it is loaded; named only to say so."""

PASSED_OVER = frozenset({".DS_Store", ".gitattributes", ".gitignore", "Thumbs.db"})
PASSED_OVER_FOLDER = "__MACOSX"
"""What file managers and git leave beside a model, and what was measured elsewhere; it is never unpacked."""

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. ()+-]{0,99}")
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
ENCRYPTED = 0x1 | 0x40
CHUNK = MIB

UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError)
"""What ``zipfile`` raises for a zip that is broken, or made to break it."""


def unpack(source: BinaryIO, folder: Path, max_bytes: int) -> None:
    """Unpack a zip's files into a folder, without the one folder that they may all lie in.

    Args:
        source: the zip; it can be sought in.
        folder: there, and empty.
        max_bytes: of all files together.

    Raises:
        UploadRefused: it is no zip, or holds something that is not allowed; the folder may hold some files then.
        OSError: the files cannot be written.
    """
    limit = min(max_bytes, max(RATIO_FROM, MOST_RATIO * size_of(source)))
    try:
        with zipfile.ZipFile(source) as archive:
            left = limit
            for name, member in members(archive).items():
                left -= extract(archive, member, folder / name, left, limit)
    except UNREADABLE as error:
        raise UploadRefused(f"The file is no zip that can be read: {error or type(error).__name__}.") from error


def members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files by the names that they get.

    Raises:
        UploadRefused: one of them is not allowed, or there are too many.
    """
    infos = archive.infolist()
    if len(infos) > MOST_FILES:
        raise UploadRefused(f"The zip holds {len(infos)} entries; a model folder has at most {MOST_FILES}.")
    for info in infos:
        require_harmless(info)
    files = [info for info in infos if not info.orig_filename.endswith("/") and not is_passed_over(info)]
    found = dict(zip(names(files), files, strict=True))
    if len({name.casefold() for name in names(files)}) < len(files):
        raise UploadRefused("The zip holds two files of the same name, or of names that differ by case alone.")
    for name in found:
        require_allowed(name)
    if not found:
        raise UploadRefused("The zip is empty; send the zipped folder of a model.")
    return found


def require_harmless(info: zipfile.ZipInfo) -> None:
    """Refuse what leads out of the folder, and what is no plain file or folder."""
    name = info.orig_filename
    shown = ascii(name[:100])
    if "\\" in name or ":" in name or not name.isprintable():
        raise UploadRefused(f"The zip names {shown}, with a backslash, colon or control character; use plain names.")
    if name.startswith("/") or {"", ".", ".."} & set(name.removesuffix("/").split("/")):
        raise UploadRefused(f"The zip names {shown}, which leads out of its folder; use names below one folder.")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UploadRefused(f"{shown} in the zip is a link or device; only plain files are taken in.")
    if info.flag_bits & ENCRYPTED:
        raise UploadRefused(f"{shown} in the zip is encrypted; send it without a password.")
    if info.compress_type not in METHODS:
        raise UploadRefused(f"{shown} in the zip is compressed by another method than deflate; zip it anew.")


def is_passed_over(info: zipfile.ZipInfo) -> bool:
    """Whether it is of those files that nobody meant to send."""
    parts = info.orig_filename.split("/")
    return parts[0] == PASSED_OVER_FOLDER or parts[-1] in PASSED_OVER or parts[-1].casefold() == REPORT


def names(files: list[zipfile.ZipInfo]) -> list[str]:
    """The files' names, without the top folder where all lie in the same."""
    paths = [info.orig_filename for info in files]
    tops = {path.partition("/")[0] if "/" in path else None for path in paths}
    return [path.partition("/")[2] for path in paths] if len(tops) == 1 and None not in tops else paths


def require_allowed(name: str) -> None:
    """Refuse folders in the folder, and files of other kinds than a model needs."""
    shown = ascii(name[:100])
    if "/" in name:
        raise UploadRefused(f"{shown} lies in a folder within the model's folder; a model's files lie side by side.")
    ending = Path(name).suffix.lower()
    if ending in CODE:
        raise UploadRefused(f"{shown} may hold code, which is never run here; save weights as safetensors, alone.")
    if not PLAIN.fullmatch(name) or ending not in ENDINGS:
        raise UploadRefused(f"{shown} is of no kind that a model needs; send {', '.join(sorted(ENDINGS))} files.")


def extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int, limit: int) -> int:
    """Write one file, and return its bytes as they were counted.

    Raises:
        UploadRefused: there are more than ``left`` of them, or more than a file of this kind may have.
    """
    most = left if target.suffix.lower() == WEIGHTS else min(left, SMALL_BYTES)
    written = 0
    with archive.open(member) as packed, target.open("xb") as file:
        while chunk := packed.read(CHUNK):
            written += len(chunk)
            if written > most:
                what = f"{target.name} unpacks" if most < left else "The zip unpacks"
                bound = most if most < left else limit
                raise UploadRefused(f"{what} to more than the {bound / MIB:.0f} MiB that are allowed.")
            file.write(chunk)
    return written


def size_of(source: BinaryIO) -> int:
    """Bytes of a file that can be sought in."""
    size = source.seek(0, 2)
    source.seek(0)
    return size
