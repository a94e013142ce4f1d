"""What a container claims, beside what could be decoded."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from encoded import RATE, encode, level, sine

from genre_lib.audio import AudioTruncatedWarning, load
from genre_lib.errors import (
    AudioTruncated,
)

TRUNCATED = [
    ("flac", "flac", "s16"),
    ("wav", "pcm_s16le", None),
    ("aiff", "pcm_s16be", None),
    ("au", "pcm_s16be", None),
    ("matroska", "aac", None),
]


@pytest.mark.parametrize(("container", "codec", "sample_format"), TRUNCATED)
def test_half_a_file_warns_or_raises(container: str, codec: str, sample_format: str | None) -> None:
    whole = encode(sine(4.0, 500, 44100)[None], 44100, container, codec, sample_format)
    half = whole[: len(whole) // 2]
    with pytest.warns(AudioTruncatedWarning, match="only .* could be decoded"):
        decoded = load(half, RATE)
    assert decoded.truncated
    assert decoded.duration == pytest.approx(2.0, abs=0.4)
    assert decoded.claimed_duration == pytest.approx(4.0, abs=0.1)
    assert level(decoded.waveform) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    with pytest.raises(AudioTruncated):
        load(half, RATE, on_truncated="error")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(half, RATE, on_truncated="ignore")


def test_half_an_mp3_with_a_header_that_says_its_length() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 4 * 44100))
    whole = encode(noise, 44100, "mp3", "libmp3lame")
    with pytest.warns(AudioTruncatedWarning):
        load(whole[: len(whole) // 2], RATE)


def test_a_mere_estimate_is_no_claim() -> None:
    quiet_then_loud = np.concatenate([np.zeros(20 * 44100), np.random.default_rng(0).normal(0, 0.1, 10 * 44100)])
    data = encode(quiet_then_loud[None], 44100, "mp3", "libmp3lame", write_xing="0", compression_level="9")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(data, RATE).duration == pytest.approx(30, abs=0.1)


def test_a_damaged_middle_is_skipped() -> None:
    whole = bytearray(encode(np.random.default_rng(0).normal(0, 0.1, (1, 4 * 44100)), 44100, "flac", "flac", "s16"))
    middle = len(whole) // 2
    whole[middle : middle + 60_000] = bytes(60_000)
    with pytest.warns(AudioTruncatedWarning):
        decoded = load(bytes(whole), RATE)
    assert 2.5 < decoded.duration < 3.75
