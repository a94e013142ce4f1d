"""Tones as FFmpeg's encoders write them, and what is heard of one."""

from __future__ import annotations

import io

import av
import numpy as np

RATE = 22050


def sine(seconds: float, frequency: float, sample_rate: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * sample_rate)) / sample_rate)).astype("f4")


def encode(
    channels: np.ndarray,
    sample_rate: int,
    container: str,
    codec: str,
    sample_format: str | None = None,
    layout: str = "",
    **options: str,
) -> bytes:
    """Write [channels, samples] through FFmpeg's encoders."""
    file = io.BytesIO()
    layout = layout or ("mono" if len(channels) == 1 else "stereo")
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=sample_rate, layout=layout, options=options)
        if sample_format:
            stream.codec_context.format = sample_format
        stream.codec_context.open()
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels, "f4"), "fltp", layout)
        frame.sample_rate = sample_rate
        size = stream.codec_context.frame_size or 1024
        split = av.AudioResampler(stream.codec_context.format, layout, sample_rate, frame_size=size)
        for part in [*split.resample(frame), *split.resample(None), None]:
            if part is not None:
                part.pts = None
            output.mux(stream.encode(part))
    return file.getvalue()


def loudest_frequency(waveform: np.ndarray, sample_rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.argmax(spectrum) * sample_rate / len(waveform))


def level(waveform: np.ndarray) -> float:
    """Root mean square of the inner half, where no encoder fades in or out."""
    quarter = len(waveform) // 4
    return float(np.sqrt(np.mean(waveform[quarter:-quarter] ** 2)))
