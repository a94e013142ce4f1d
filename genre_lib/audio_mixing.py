"""Decoded frames of any sample format, channel count and rate → one mono waveform."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.audio.fifo import AudioFifo

CHUNK_SAMPLES = 1 << 15
"""Samples that are averaged and resampled at once: for each frame of an mp3, of 576, the calls cost too much."""


class Mixer:
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
