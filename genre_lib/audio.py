"""Audio in and out: any container and sample format that FFmpeg knows, as one mono waveform at the rate that is wanted.

A waveform is ``np.float32 [samples]``, mono, in [-1, 1]. Decoding is a stream: limits are held while reading, so that
a refused file costs no more memory than the limit allows. FFmpeg is handed bytes only, and opens nothing by itself: a
path such as ``http://…`` or ``concat:…`` is the name of a file, and playlists, which list other files, are no audio.
"""

from __future__ import annotations

import io
import os
import tempfile
import warnings
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import av
import numpy as np
from av.audio.fifo import AudioFifo

from genre_lib.errors import (
    AudioError,
    AudioNotFound,
    AudioTooLarge,
    AudioTooLong,
    AudioTruncated,
    EmptyAudio,
    NotAudio,
)

Source = str | os.PathLike | bytes | BinaryIO

# fmt: off
AUDIO_SUFFIXES = frozenset({
    ".aac", ".aif", ".aifc", ".aiff", ".alac", ".ape", ".au", ".caf", ".flac", ".m4a", ".m4b", ".mka", ".mp2", ".mp3",
    ".mp4", ".mpc", ".oga", ".ogg", ".opus", ".snd", ".tta", ".wav", ".weba", ".webm", ".wma", ".wv",
})
"""Suffixes, in lower case, of what :func:`find` takes for audio; :func:`load` looks at the content alone."""

OPENS_OTHER_FILES = frozenset({
    "concat", "concatf", "dash", "hds", "hls", "image2", "imf", "lavfi", "rtp", "rtsp", "sap", "sdp",
    "smoothstreaming", "vapoursynth", "webm_dash_manifest",
})
"""FFmpeg formats that are lists of other files or addresses."""
# fmt: on

FORMATS = ",".join(sorted(av.formats_available - OPENS_OTHER_FILES))
BARE_STREAMS = frozenset({"aac", "ac3", "amr", "dts", "eac3", "loas", "mp2", "mp3"})
"""Formats that may lack a stated duration, so that FFmpeg divides the size by the bit rate."""

UNKNOWN_SIZES = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF})
"""What programs that write a WAV into a pipe put where its size belongs."""

CHUNK_SAMPLES = 1 << 15
"""Samples that are averaged and resampled at once: for each frame of an mp3, of 576, the calls cost too much."""

LOST_SECONDS = 0.25
"""A decoded track may be this much shorter than claimed, for codecs pad and trim their ends."""


class AudioTruncatedWarning(UserWarning):
    """Fewer seconds could be decoded than the container claims."""


@dataclass(frozen=True)
class Limits:
    """The most that a source may hold; None for no limit. Seconds are of decoded audio, not of what a header claims."""

    max_bytes: int | None = None
    max_seconds: float | None = None


@dataclass(frozen=True)
class Audio:
    """A decoded track."""

    waveform: np.ndarray
    """float32 [samples], mono, in [-1, 1]."""
    sample_rate: int
    claimed_duration: float | None = None
    """Seconds that the container states; None where it states none, or no more than its size over its bit rate."""
    name: str = "the audio"
    """What messages call it."""

    @property
    def duration(self) -> float:
        """Seconds that were decoded."""
        return len(self.waveform) / self.sample_rate

    @property
    def truncated(self) -> bool:
        """Whether clearly less was decoded than the container claims."""
        return self.claimed_duration is not None and self.claimed_duration - self.duration > LOST_SECONDS

    @property
    def warning(self) -> str | None:
        """What to tell a person about a truncated track, or None."""
        if not self.truncated:
            return None
        return (
            f"{self.name} claims {self.claimed_duration:.2f} s, but only {self.duration:.2f} s could be decoded: "
            "it is damaged or was cut off. Fetch or export it again."
        )


@dataclass(frozen=True)
class AudioInfo:
    """What a container says about itself."""

    duration: float | None
    """Seconds, stated or estimated; None if unknown."""
    sample_rate: int
    channels: int
    codec: str
    container: str
    tags: dict[str, str] = field(default_factory=dict)
    """Tags of the container and of its audio stream, keys in lower case."""


def load(
    source: Source,
    sample_rate: int,
    *,
    limits: Limits | None = None,
    on_truncated: Literal["warn", "error", "ignore"] = "warn",
) -> Audio:
    """Decode a path, bytes or an open binary file (from its start; it stays open) to mono float32 at ``sample_rate``.

    The first audio stream is taken, whatever pictures or films stand beside it. Channels are averaged: what is opposite
    in both channels of a stereo recording is lost. Samples that are no number become 0; beyond full scale they clip.

    Raises:
        AudioNotFound, NotAudio, EmptyAudio, AudioTooLarge, AudioTooLong; AudioTruncated if ``on_truncated="error"``.

    Warns:
        AudioTruncatedWarning: the container claims more than was decoded, and ``on_truncated="warn"``.
    """
    limits = limits or Limits()
    with _open(source, limits) as opened:
        audio = Audio(_decode(opened, sample_rate, limits), sample_rate, _claimed_duration(opened), opened.name)
    if audio.truncated and on_truncated == "error":
        raise AudioTruncated(audio.warning)
    if audio.truncated and on_truncated == "warn":
        warnings.warn(AudioTruncatedWarning(audio.warning), stacklevel=2)
    return audio


def probe(source: Source) -> AudioInfo:
    """Read what the container says, without decoding.

    Raises:
        AudioNotFound, NotAudio, EmptyAudio.
    """
    with _open(source, Limits()) as opened:
        stream, container = opened.stream, opened.container
        tags = {**stream.metadata, **container.metadata}
        return AudioInfo(
            duration=_claimed_duration(opened) or _estimated_duration(opened),
            sample_rate=stream.codec_context.sample_rate,
            channels=stream.codec_context.channels,
            codec=stream.codec_context.name,
            container=container.format.name,
            tags={key.lower(): value for key, value in tags.items()},
        )


def find(path: str | os.PathLike) -> list[Path]:
    """A file itself, or a folder's audio files at any depth, by :data:`AUDIO_SUFFIXES`, sorted, without hidden ones.

    Raises:
        AudioNotFound: there is nothing at the path.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise AudioNotFound(f"There is no file or folder at {path}. Check the path.")
    return sorted(file for file in path.rglob("*") if _looks_like_audio(file, path))


def write_wav(path: str | os.PathLike, waveform: np.ndarray, sample_rate: int) -> None:
    """Write ``waveform`` [samples], clipped to [-1, 1], as mono 16-bit PCM; the file appears whole or not at all."""
    path = Path(path)
    samples = np.round(np.clip(waveform, -1, 1) * 32767).astype("<i2")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file, wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(sample_rate)
            writer.writeframes(samples.tobytes())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _looks_like_audio(file: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
    return file.suffix.lower() in AUDIO_SUFFIXES and not hidden and file.is_file()


# Opening


@dataclass(frozen=True)
class _Opened:
    """A source with at least one audio stream."""

    container: Any
    file: BinaryIO
    size: int
    name: str

    @property
    def stream(self) -> Any:
        return self.container.streams.audio[0]


@contextmanager
def _open(source: Source, limits: Limits) -> Iterator[_Opened]:
    with _open_bytes(source, limits) as (file, name):
        size = file.seek(0, os.SEEK_END)
        _check_size(size, limits, name)
        try:
            with _open_container(file, name) as container:
                _check_streams(container, name)
                yield _Opened(container, file, size, name)
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


# Decoding


def _decode(opened: _Opened, sample_rate: int, limits: Limits) -> np.ndarray:
    """Decode the first audio stream to float32 [samples]; stop where it passes the limit."""
    seconds, longest = 0.0, float("inf") if limits.max_seconds is None else limits.max_seconds
    mixer = _Mixer(sample_rate)
    for frame in _frames(opened):
        seconds += frame.samples / frame.sample_rate
        if seconds > longest + 1 / frame.sample_rate:
            message = f"{opened.name} lasts longer than the limit of {longest:g} s."
            raise AudioTooLong(f"{message} Cut it shorter, or raise the limit.")
        mixer.push(frame)
    waveform = mixer.finish()
    if not len(waveform):
        raise EmptyAudio(f"{opened.name} holds no samples that can be decoded. Fetch or export it again.")
    return waveform


def _frames(opened: _Opened) -> Iterator[Any]:
    """Frames of the first audio stream. What is damaged is skipped, so that the rest of a damaged track is heard."""
    opened.stream.codec_context.thread_count = 1  # Tracks are decoded side by side: threads within one would contend.
    try:
        for packet in opened.container.demux(opened.stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            yield from frames
    except av.FFmpegError:
        return


class _Mixer:
    """Turns frames of any sample format and channel count into one mono waveform at one rate.

    Channels are averaged here, and not by FFmpeg: its downmix of floats adds stereo at 0.71 + 0.71, that is 3 dB too
    loud, and that of integers at 0.5 + 0.5, so the level would depend on the codec.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.done: list[np.ndarray] = []
        self._start(None)

    def push(self, frame: Any) -> None:
        form = (frame.format.name, frame.layout.nb_channels, frame.sample_rate)
        if form != self.form:  # Two mp3 files written into one may differ half way.
            self._drain()
            self._start(form)
        frame.pts = None  # Otherwise the queue refuses gaps in time.
        self.queue.write(frame)
        if self.queue.samples >= CHUNK_SAMPLES:
            self._mix()

    def finish(self) -> np.ndarray:
        """The waveform: float32 [samples], finite, in [-1, 1]."""
        self._drain()
        waveform = np.concatenate([*self.done, np.zeros(0, np.float32)])
        return np.clip(waveform, -1, 1, out=waveform)

    def _start(self, form: tuple[str, int, int] | None) -> None:
        self.form, self.came = form, False
        self.queue = AudioFifo()
        self.resampler = av.AudioResampler("flt", "mono", self.sample_rate)

    def _mix(self) -> np.ndarray:
        """Average what is in the queue, and resample it; the average is returned, at the source's rate."""
        frame: Any = self.queue.read(0)
        mono = _mono(frame)
        if frame.sample_rate == self.sample_rate:
            self.done.append(mono)
        else:
            self._collect(self._resampled(mono))
        return mono

    def _drain(self) -> None:
        if self.form is None:
            return
        last = self._mix() if self.queue.samples else None
        if self.form[2] == self.sample_rate:
            return
        self._collect(self._resampled(None))
        if last is not None and not self.came:
            self._collect(self._resampled_short(last))

    def _collect(self, parts: list[np.ndarray]) -> None:
        self.done += parts
        self.came = self.came or any(len(part) for part in parts)

    def _resampled(self, mono: np.ndarray | None) -> list[np.ndarray]:
        """What the resampler gives for samples [samples], or for None at their end."""
        frame: Any = None
        if mono is not None and self.form:
            frame = av.AudioFrame.from_ndarray(mono[None], "flt", "mono")
            frame.sample_rate = self.form[2]
        return [part.to_ndarray()[0] for part in self.resampler.resample(frame) if part is not None]

    def _resampled_short(self, mono: np.ndarray) -> list[np.ndarray]:
        """The same with silence after them, cut off again: FFmpeg gives none back of fewer than its filter is long."""
        self._start(self.form)
        parts = self._resampled(np.pad(mono, (0, CHUNK_SAMPLES)))
        samples = round(len(mono) * self.sample_rate / self.form[2]) if self.form else 0
        return [np.concatenate(parts)[: max(samples, 1)]] if parts else []


def _mono(frame: Any) -> np.ndarray:
    """Average of a frame's channels: float32 [samples], 1.0 at full scale, 0 where a float sample is no number."""
    array = frame.to_ndarray()  # [channels, samples], or [1, samples * channels] where the format interleaves them
    channels = array if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels).T
    if channels.dtype.kind == "f":
        mono = channels.mean(axis=0, dtype=np.float32) if len(channels) > 1 else channels[0].astype(np.float32)
        if np.isfinite(mono.sum()):  # a tenth of what it costs to look at each
            return mono
        return np.nan_to_num(mono, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    middle, full_scale = (128.0, 128.0) if channels.dtype == np.uint8 else (0.0, -float(np.iinfo(channels.dtype).min))
    return ((channels.mean(axis=0, dtype=np.float64) - middle) / full_scale).astype(np.float32)


# Durations


def _claimed_duration(opened: _Opened) -> float | None:
    """Seconds that the container itself states, or None."""
    duration = _estimated_duration(opened)
    if duration is None or _is_size_over_bit_rate(opened, duration):
        return None
    return duration * _stated_share(opened)


def _estimated_duration(opened: _Opened) -> float | None:
    """Seconds by FFmpeg's best guess. The audio stream's own comes first, for a film beside it may be longer."""
    if opened.stream.duration:
        return float(opened.stream.duration * opened.stream.time_base)
    return opened.container.duration / av.time_base if opened.container.duration else None


def _is_size_over_bit_rate(opened: _Opened, duration: float) -> bool:
    """Whether that explains the duration: it is FFmpeg's way out, and tells nothing about a file that was cut off."""
    if opened.container.format.name not in BARE_STREAMS or not opened.stream.bit_rate:
        return False
    return abs(duration - 8 * opened.size / opened.stream.bit_rate) < max(0.02 * duration, 0.1)


def _stated_share(opened: _Opened) -> float:
    """How many times larger a WAV says that it is: FFmpeg cuts its claim down to the bytes that are there."""
    if opened.container.format.name != "wav":
        return 1.0
    opened.file.seek(0)
    header = opened.file.read(8)
    size = int.from_bytes(header[4:], "little")
    return 1.0 if header[:4] != b"RIFF" or size in UNKNOWN_SIZES else max(1.0, (size + 8) / opened.size)
