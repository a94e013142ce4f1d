"""Audio in and out: containers told of, folders searched, files written, and real files as they are met."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from encoded import RATE, encode, sine

from genre_lib import audio
from genre_lib.audio import AudioTruncatedWarning, find, load, probe, write_wav
from genre_lib.errors import (
    AudioNotFound,
    EmptyAudio,
    NotAudio,
)


def test_probe() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as output:
        output.metadata["ARTIST"] = "Ivan"
        stream = output.add_stream("flac", rate=44100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 22050), np.int16), "s16", "stereo")
        frame.sample_rate = 44100
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    info = probe(file.getvalue())
    assert (info.duration, info.sample_rate, info.channels) == (0.5, 44100, 2)
    assert (info.codec, info.container, info.tags["artist"]) == ("flac", "flac", "Ivan")


def test_probe_estimates_where_nothing_is_claimed() -> None:
    data = encode(sine(4.0, 500, 44100)[None], 44100, "mp3", "libmp3lame", write_xing="0", b="128k")
    assert probe(data).duration == pytest.approx(4.0, abs=0.1)


def test_find(tmp_path: Path) -> None:
    for name in ["b/2.mp3", "b/1.FLAC", "a.wav", "a.txt", ".hidden.mp3", ".trash/x.mp3", "folder.mp3/c.ogg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in find(tmp_path)] == [
        "a.wav",
        "b/1.FLAC",
        "b/2.mp3",
        "folder.mp3/c.ogg",
    ]
    assert find(tmp_path / "a.txt") == [tmp_path / "a.txt"]
    with pytest.raises(AudioNotFound):
        find(tmp_path / "none")


def test_write_wav_and_read_it_again(tmp_path: Path, tone: Callable) -> None:
    write_wav(tmp_path / "a.wav", np.append(tone(), [2.0, -2.0]), RATE)
    decoded = load(tmp_path / "a.wav", RATE).waveform
    assert decoded == pytest.approx(np.append(tone(), [1.0, -1.0]), abs=1e-4)


def test_write_wav_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tone: Callable) -> None:
    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    write_wav(tmp_path / "a.wav", tone(), RATE)
    before = (tmp_path / "a.wav").read_bytes()
    monkeypatch.setattr(audio.wave.Wave_write, "writeframes", full)
    with pytest.raises(OSError, match="No space"):
        write_wav(tmp_path / "a.wav", np.zeros(3), RATE)
    assert (tmp_path / "a.wav").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "a.wav"]


ODD_FILES = {
    "22k_be.au": 2.0,
    "22k_float.wav": 2.0,
    "22k_mono.ogg": 4.0,
    "44k.aiff": 2.0,
    "44k_mono.flac": 4.0,
    "44k_mono24.wav": 2.0,
    "44k_stereo.m4a": 4.0,
    "44k_stereo.mp3": 4.0,
    "48k_stereo.opus": 4.0,
    "8k_mono16.wav": 4.0,
    "8k_u8.wav": 2.0,
}
"""Seconds of each of two pieces in each format."""

BROKEN_FILES = {
    "corrupt_headeronly.wav": NotAudio,
    "empty.mp3": EmptyAudio,
    "text_renamed.mp3": NotAudio,
}


@pytest.mark.real_data
@pytest.mark.parametrize("piece", ["pd_hungarian", "ccby_vibeace"])
@pytest.mark.parametrize(("ending", "seconds"), ODD_FILES.items())
def test_odd_formats_sound_like_the_flac(real_data: Path, piece: str, ending: str, seconds: float) -> None:
    rate = 8000
    reference = load(real_data / "odd_files" / f"{piece}_44k_mono.flac", rate).waveform
    decoded = load(real_data / "odd_files" / f"{piece}_{ending}", rate)
    assert decoded.duration == pytest.approx(seconds, abs=0.05)
    assert not decoded.truncated
    assert similarity(decoded.waveform, reference) > 0.9


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation at the best of all shifts, for codecs delay."""
    length = min(len(a), len(b))
    a, b = a[:length], b[:length]
    spectrum = np.fft.rfft(a, 2 * length) * np.conj(np.fft.rfft(b, 2 * length))
    return float(np.fft.irfft(spectrum).max() / np.sqrt((a**2).sum() * (b**2).sum()))


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "error"), BROKEN_FILES.items())
def test_broken_files_are_refused(real_data: Path, name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        load(real_data / "odd_files" / name, RATE)


@pytest.mark.real_data
def test_picture_in_an_ogg(real_data: Path) -> None:
    assert load(real_data / "odd_files" / "ccby_vibeace_ogg_with_coverart.ogg", RATE).duration == pytest.approx(
        4, abs=0.05
    )


@pytest.mark.real_data
def test_truncated_mp3_is_told(real_data: Path) -> None:
    with pytest.warns(AudioTruncatedWarning, match=r"claims 4\.00 s"):
        decoded = load(real_data / "odd_files" / "corrupt_truncated.mp3", RATE)
    assert decoded.duration == pytest.approx(1.2, abs=0.05)


@pytest.mark.real_data
def test_flac_with_damage_in_its_padding_is_whole(real_data: Path) -> None:
    """Bytes 1001 to 4000 of it are noise, but they lie in the padding that FLAC keeps for tags: no sample is lost."""
    folder = real_data / "odd_files"
    decoded = load(folder / "corrupt_midstream.flac", 44100)
    assert not decoded.truncated
    assert np.array_equal(decoded.waveform, load(folder / "pd_hungarian_44k_mono.flac", 44100).waveform)
