"""Mixing: the tone that was written comes back at its frequency and level, whatever the format and the channels."""

from __future__ import annotations

import numpy as np
import pytest
from encoded import RATE, encode, level, loudest_frequency, sine

from genre_lib.audio import load

FORMATS = [
    # container, codec, sample format, rate, relative tolerance of the level
    ("mp3", "libmp3lame", None, 44100, 0.02),
    ("mp3", "libmp3lame", None, 22050, 0.02),
    ("ipod", "aac", None, 44100, 0.02),
    ("adts", "aac", None, 48000, 0.02),
    ("ogg", "libopus", "flt", 48000, 0.02),
    ("webm", "libopus", "flt", 48000, 0.02),
    ("flac", "flac", "s16", 44100, 0.001),
    ("flac", "flac", "s32", 96000, 0.001),
    ("wav", "pcm_u8", None, 8000, 0.01),
    ("wav", "pcm_s16le", None, 11025, 0.001),
    ("wav", "pcm_s24le", None, 44100, 0.001),
    ("wav", "pcm_s32le", None, 44100, 0.001),
    ("wav", "pcm_f32le", None, 32000, 0.001),
    ("wav", "pcm_f64le", None, 22050, 0.001),
    ("wav", "pcm_mulaw", None, 8000, 0.01),
    ("aiff", "pcm_s16be", None, 44100, 0.001),
    ("au", "pcm_s16be", None, 22050, 0.001),
    ("matroska", "vorbis", None, 44100, 0.1),
    ("ogg", "vorbis", None, 44100, 0.1),
]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("container", "codec", "sample_format", "rate", "tolerance"), FORMATS)
def test_tone_in_every_format(
    container: str, codec: str, sample_format: str | None, rate: int, tolerance: float, channels: int
) -> None:
    if codec == "vorbis" and channels == 1:
        pytest.skip("FFmpeg's own vorbis encoder writes stereo alone")
    options = {"strict": "experimental"} if codec == "vorbis" else {}
    tone = np.tile(sine(2.0, 1000, rate), (channels, 1))
    decoded = load(encode(tone, rate, container, codec, sample_format, **options), RATE)
    assert decoded.waveform.dtype == np.float32
    assert decoded.duration == pytest.approx(2.0, abs=0.1)
    assert loudest_frequency(decoded.waveform, RATE) == pytest.approx(1000, abs=1)
    gain = 0.95 if codec == "libmp3lame" else 1.0  # LAME turns its input down so that nothing clips
    assert level(decoded.waveform) == pytest.approx(gain * 0.5 / np.sqrt(2), rel=tolerance)
    assert not decoded.truncated


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le"])
@pytest.mark.parametrize("rate", [22050, 44100])
def test_channels_are_averaged_whatever_the_sample_format(codec: str, rate: int) -> None:
    left, right = sine(1.0, 500, rate), 0.5 * sine(1.0, 2000, rate)
    decoded = load(encode(np.stack([left, right]), rate, "wav", codec), RATE)
    expected = 0.5 * sine(1.0, 500, RATE) + 0.25 * sine(1.0, 2000, RATE)
    assert decoded.waveform[1000:-1000] == pytest.approx(expected[1000:-1000], abs=1e-3)


def test_opposite_channels_cancel() -> None:
    left = sine(1.0, 500, RATE)
    assert np.abs(load(encode(np.stack([left, -left]), RATE, "wav", "pcm_f32le"), RATE).waveform).max() == 0


def test_six_channels_are_averaged() -> None:
    channels = np.zeros((6, RATE), np.float32)
    channels[3] = sine(1.0, 500, RATE)  # the one for low frequencies, which a usual downmix drops
    decoded = load(encode(channels, RATE, "wav", "pcm_f32le", layout="5.1"), RATE)
    assert decoded.waveform == pytest.approx(channels[3] / 6, abs=1e-6)


def test_what_a_lower_rate_cannot_hold_is_not_folded_down() -> None:
    decoded = load(encode(sine(1.0, 15000, 44100)[None], 44100, "wav", "pcm_f32le"), RATE)
    assert level(decoded.waveform) < 1e-3


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_length_after_resampling(rate: int) -> None:
    decoded = load(encode(sine(3.0, 300, 32000)[None], 32000, "wav", "pcm_s16le"), rate)
    assert abs(len(decoded.waveform) - 3 * rate) <= 2


@pytest.mark.parametrize("rate", [8000, 32000, 44100, 96000])
@pytest.mark.parametrize("samples", [1, 3, 17])
def test_fewer_samples_than_the_filter_is_long_are_heard_as_before_silence(rate: int, samples: int) -> None:
    wave = np.linspace(0.2, 0.6, samples, dtype=np.float32)
    alone = load(encode(wave[None], rate, "wav", "pcm_f32le"), 16000).waveform
    before_silence = load(encode(np.pad(wave, (0, rate))[None], rate, "wav", "pcm_f32le"), 16000).waveform
    assert len(alone) == max(round(samples * 16000 / rate), 1) and np.abs(alone).max() > 0.01
    np.testing.assert_allclose(alone, before_silence[: len(alone)], atol=1e-6)


def test_samples_that_are_no_number_become_silence() -> None:
    wave = sine(1.0, 500, RATE)
    data = bytearray(encode(wave[None], RATE, "wav", "pcm_f32le"))
    broken = np.frombuffer(data, "<f4", count=RATE, offset=len(data) - 4 * RATE)
    broken[5:8] = [np.nan, np.inf, -np.inf]
    broken[9] = 7.0
    decoded = load(bytes(data), RATE).waveform
    assert decoded[5:8].tolist() == [0, 0, 0]
    assert decoded[9] == 1.0
    assert decoded[10:] == pytest.approx(wave[10:])


def test_a_file_whose_format_changes_half_way() -> None:
    first = encode(sine(1.0, 500, 44100)[None], 44100, "mp3", "libmp3lame", write_xing="0")
    second = encode(np.tile(sine(1.0, 500, 22050), (2, 1)), 22050, "mp3", "libmp3lame", write_xing="0")
    decoded = load(first + second, RATE)
    assert decoded.duration == pytest.approx(2.0, abs=0.25)
    assert loudest_frequency(decoded.waveform, RATE) == pytest.approx(500, abs=2)
