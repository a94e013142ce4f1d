"""How long a container says that its audio is, and whether it knows."""

from __future__ import annotations

import av

from genre_lib.audio_opening import Opened

BARE_STREAMS = frozenset({"aac", "ac3", "amr", "dts", "eac3", "loas", "mp2", "mp3"})
"""Formats that may lack a stated duration, so that FFmpeg divides the size by the bit rate."""

UNKNOWN_SIZES = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF})
"""What programs that write a WAV into a pipe put where its size belongs."""


def claimed_duration(opened: Opened) -> float | None:
    """Seconds that the container itself states, or None."""
    duration = estimated_duration(opened)
    if duration is None or _is_size_over_bit_rate(opened, duration):
        return None
    return duration * _stated_share(opened)


def estimated_duration(opened: Opened) -> float | None:
    """Seconds by FFmpeg's best guess. The audio stream's own comes first, for a film beside it may be longer."""
    if opened.stream.duration:
        return float(opened.stream.duration * opened.stream.time_base)
    return opened.container.duration / av.time_base if opened.container.duration else None


def _is_size_over_bit_rate(opened: Opened, duration: float) -> bool:
    """Whether that explains the duration: it is FFmpeg's way out, and tells nothing about a file that was cut off."""
    if opened.container.format.name not in BARE_STREAMS or not opened.stream.bit_rate:
        return False
    return abs(duration - 8 * opened.size / opened.stream.bit_rate) < max(0.02 * duration, 0.1)


def _stated_share(opened: Opened) -> float:
    """How many times larger a WAV says that it is: FFmpeg cuts its claim down to the bytes that are there."""
    if opened.container.format.name != "wav":
        return 1.0
    opened.file.seek(0)
    header = opened.file.read(8)
    size = int.from_bytes(header[4:], "little")
    return 1.0 if header[:4] != b"RIFF" or size in UNKNOWN_SIZES else max(1.0, (size + 8) / opened.size)
