"""Audio in and out: any container and sample format that FFmpeg knows, as one mono waveform at the rate that is wanted.

A waveform is ``np.float32 [samples]``, mono, in [-1, 1]. Decoding is a stream: limits are held while reading, so that
a refused file costs no more memory than the limit allows.
"""

from __future__ import annotations

import os
import tempfile
import warnings
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from genre_lib.audio_durations import claimed_duration, estimated_duration
from genre_lib.audio_mixing import Mixer
from genre_lib.audio_opening import Limits, Opened, Source, opened_source
from genre_lib.errors import AudioNotFound, AudioTooLong, AudioTruncated, EmptyAudio
from genre_lib.wording import but_device

# fmt: off
AUDIO_SUFFIXES = frozenset({
    ".aac", ".aif", ".aifc", ".aiff", ".alac", ".ape", ".au", ".caf", ".flac", ".m4a", ".m4b", ".mka", ".mp2", ".mp3",
    ".mp4", ".mpc", ".oga", ".ogg", ".opus", ".snd", ".tta", ".wav", ".weba", ".webm", ".wma", ".wv",
})
"""Suffixes, in lower case, of what :func:`find` takes for audio; :func:`load` looks at the content alone."""
# fmt: on

LOST_SECONDS = 0.25
"""A decoded track may be this much shorter than claimed, for codecs pad and trim their ends."""


class AudioTruncatedWarning(UserWarning):
    """Fewer seconds could be decoded than the container claims."""


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
        return cut_off(self.name, self.claimed_duration, self.duration) if self.truncated else None


def cut_off(name: str, claimed: float | None, decoded: float) -> str:
    """What to tell a person about a track of which clearly fewer seconds were decoded than it claims."""
    return (
        f"{name} claims {claimed:.2f} s, but only {decoded:.2f} s could be decoded: "
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
    with opened_source(source, limits) as opened:
        audio = Audio(_decode(opened, sample_rate, limits), sample_rate, claimed_duration(opened), opened.name)
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
    with opened_source(source, Limits()) as opened:
        stream, container = opened.stream, opened.container
        tags = {**stream.metadata, **container.metadata}
        return AudioInfo(
            duration=claimed_duration(opened) or estimated_duration(opened),
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
        raise AudioNotFound(f"There is no file or folder at {path}{but_device(path)}. Check the path.")
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


def _decode(opened: Opened, sample_rate: int, limits: Limits) -> np.ndarray:
    """Decode the first audio stream to float32 [samples]; stop where it passes the limit."""
    seconds, longest = 0.0, float("inf") if limits.max_seconds is None else limits.max_seconds
    mixer = Mixer(sample_rate)
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


def _frames(opened: Opened) -> Iterator[Any]:
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
