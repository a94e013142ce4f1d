"""Opening what is to be decoded: a path, bytes or a file, by its content and within limits.

FFmpeg is handed bytes only, and opens nothing by itself: a path such as ``http://…`` or ``concat:…`` is the name of a
file, and playlists, which list other files, are no audio.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av

from genre_lib.errors import AudioError, AudioNotFound, AudioTooLarge, EmptyAudio, NotAudio

Source = str | os.PathLike | bytes | BinaryIO

# fmt: off
OPENS_OTHER_FILES = frozenset({
    "concat", "concatf", "dash", "hds", "hls", "image2", "imf", "lavfi", "rtp", "rtsp", "sap", "sdp",
    "smoothstreaming", "vapoursynth", "webm_dash_manifest",
})
"""FFmpeg formats that are lists of other files or addresses."""
# fmt: on

FORMATS = ",".join(sorted(av.formats_available - OPENS_OTHER_FILES))


@dataclass(frozen=True)
class Limits:
    """The most that a source may hold; None for no limit. Seconds are of decoded audio, not of what a header claims."""

    max_bytes: int | None = None
    max_seconds: float | None = None


@dataclass(frozen=True)
class Opened:
    """A source with at least one audio stream."""

    container: Any
    file: BinaryIO
    size: int
    name: str

    @property
    def stream(self) -> Any:
        return self.container.streams.audio[0]


@contextmanager
def opened_source(source: Source, limits: Limits) -> Iterator[Opened]:
    """The source, open as long as the block lasts.

    Raises:
        AudioNotFound, NotAudio, EmptyAudio, AudioTooLarge; AudioError where it cannot be read.
    """
    with _open_bytes(source, limits) as (file, name):
        size = file.seek(0, os.SEEK_END)
        _check_size(size, limits, name)
        try:
            with _open_container(file, name) as container:
                _check_streams(container, name)
                yield Opened(container, file, size, name)
        except OSError as error:  # the disk or the network under the file, not its content
            raise _unreadable(name, error) from error


def _open_container(file: BinaryIO, name: str) -> Any:
    options = {"format_whitelist": FORMATS}
    try:
        return av.open(_Reader(file), metadata_errors="replace", container_options=options, io_open=_refuse_to_open)
    except (av.FFmpegError, ValueError) as error:
        raise NotAudio(_not_audio(name, "its bytes are in no known format")) from error


@contextmanager
def _open_bytes(source: Source, limits: Limits) -> Iterator[tuple[BinaryIO, str]]:
    """The source as a file that can seek, and its name; one that cannot is read into memory, up to the limit."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source), "The audio"
    elif isinstance(source, str | os.PathLike):
        with _open_path(Path(source)) as file:
            yield file, str(source)
    elif source.seekable():
        yield source, _name_of(source)
    else:
        most = -1 if limits.max_bytes is None else limits.max_bytes + 1
        yield io.BytesIO(source.read(most)), _name_of(source)


def _open_path(path: Path) -> BinaryIO:
    if path.is_dir():
        raise AudioNotFound(f"{path} is a folder; expected an audio file.")
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise AudioNotFound(f"There is no file at {path}. Check the path.") from error
    except (OSError, ValueError) as error:  # a ValueError is a name that no file can have
        raise _unreadable(str(path), error) from error


def _unreadable(name: str, error: Exception) -> AudioError:
    return AudioError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.")


def _name_of(file: BinaryIO) -> str:
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else "The audio"


def _check_size(size: int, limits: Limits, name: str) -> None:
    if size == 0:
        raise EmptyAudio(f"{name} is empty: it holds no bytes. Fetch or export it again.")
    if limits.max_bytes is not None and size > limits.max_bytes:
        raise AudioTooLarge(
            f"{name} is larger than the limit of {limits.max_bytes:,} bytes. "
            "Convert it to mp3 or flac, or raise the limit."
        )


def _check_streams(container: Any, name: str) -> None:
    if not container.streams.audio:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "no"
        raise NotAudio(_not_audio(name, f"a {container.format.name} file with {kinds} streams, and none of audio"))
    if container.streams.audio[0].codec_context is None:
        raise NotAudio(_not_audio(name, "FFmpeg has no decoder for its codec"))


def _not_audio(name: str, reason: str) -> str:
    return f"{name} is not audio that can be decoded: {reason}. Give an audio file such as mp3, m4a, ogg, flac or wav."


def _refuse_to_open(url: str, flags: int, options: dict) -> BinaryIO:
    raise PermissionError(f"the audio asks for another file, {url}")


class _Reader:
    """A file as PyAV reads it: without a name to act upon, and a seek before its start is refused in silence."""

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        self.read, self.tell, self._seek = file.read, file.tell, file.seek

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError):
            return -1
