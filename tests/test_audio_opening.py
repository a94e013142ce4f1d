"""Opening: any source by its content, within limits; what is no audio says so, and nothing else is opened."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from encoded import RATE, encode, loudest_frequency, sine

from genre_lib.audio import Limits, load
from genre_lib.errors import (
    AudioError,
    AudioNotFound,
    AudioTooLarge,
    AudioTooLong,
    EmptyAudio,
    NotAudio,
)


def test_path_text_bytes_and_file_are_the_same(tmp_path: Path, tone: Callable, write_wav: Callable) -> None:
    path = write_wav(tmp_path / "a.wav", tone())
    expected = load(path, RATE).waveform
    with path.open("rb") as file:
        file.read(100)
        assert np.array_equal(load(file, RATE).waveform, expected)
        assert not file.closed
    assert np.array_equal(load(str(path), RATE).waveform, expected)
    assert np.array_equal(load(path.read_bytes(), RATE).waveform, expected)
    assert np.array_equal(load(Pipe(path.read_bytes()), RATE).waveform, expected)


class Pipe(io.BytesIO):
    """A file that can be read once, from its start."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation("seek")


def with_cover(container: str) -> bytes:
    """A tone beside a picture."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        picture = output.add_stream("mjpeg", rate=1)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuvj420p"
        sound = output.add_stream("aac", rate=44100, layout="mono")
        image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
        output.mux(picture.encode(image.reformat(format="yuvj420p")))
        for start in range(0, 44100, 1024):
            part = sine(1.0, 700, 44100)[None, start : start + 1024]
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), "fltp", "mono")
            frame.sample_rate = 44100
            output.mux(sound.encode(frame))
        output.mux(picture.encode(None))
        output.mux(sound.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_audio_beside_a_picture(container: str) -> None:
    decoded = load(with_cover(container), RATE, on_truncated="ignore")
    assert loudest_frequency(decoded.waveform, RATE) == pytest.approx(700, abs=2)


@pytest.mark.parametrize("name", ["http:x", "concat:a.wav", "file:a.wav", "a.m3u8"])
def test_a_path_is_only_ever_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tone: Callable, write_wav: Callable, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AudioNotFound):
        load(name, RATE)
    write_wav(tmp_path / name, tone())
    assert load(name, RATE).duration == 1.0


def test_an_address_is_not_opened() -> None:
    with pytest.raises(AudioNotFound, match="There is no file"):
        load("http://127.0.0.1:9/a.mp3", RATE)


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile '{target}'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    ],
)
@pytest.mark.parametrize("suffix", [".mp3", ".m3u8", ".ffconcat", ".sdp"])
def test_playlists_open_nothing(
    tmp_path: Path, tone: Callable, write_wav: Callable, playlist: str, suffix: str
) -> None:
    target = write_wav(tmp_path / "target.wav", tone())
    path = tmp_path / f"list{suffix}"
    path.write_text(playlist.format(target=target))
    with pytest.raises(NotAudio, match="is not audio"):
        load(path, RATE)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(AudioNotFound, match="Check the path"):
        load(tmp_path / "no.mp3", RATE)
    with pytest.raises(AudioNotFound, match="is a folder"):
        load(tmp_path, RATE)
    with pytest.raises(AudioError):
        load("nul\0byte.mp3", RATE)


@pytest.mark.parametrize(
    "data",
    [b"not audio\n", b"x", b"RIFF", b"\xff\xfb", np.random.default_rng(0).bytes(50_000), b"<html></html>" * 99, b"ID3"],
)
def test_other_bytes_are_no_audio(data: bytes, capfd: pytest.CaptureFixture) -> None:
    with pytest.raises((NotAudio, EmptyAudio)):
        load(data, RATE)
    assert capfd.readouterr() == ("", "")


def test_a_picture_is_no_audio() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as output:
        picture = output.add_stream("png", rate=1)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "rgb24"
        output.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")))
        output.mux(picture.encode(None))
    with pytest.raises(NotAudio, match="none of audio"):
        load(file.getvalue(), RATE)


def test_empty(tmp_path: Path, write_wav: Callable) -> None:
    with pytest.raises(EmptyAudio, match="no bytes"):
        load(b"", RATE)
    with pytest.raises(EmptyAudio, match="no samples"):
        load(write_wav(tmp_path / "a.wav", np.zeros(0)), RATE)


def test_too_large(tmp_path: Path, tone: Callable, write_wav: Callable) -> None:
    path = write_wav(tmp_path / "a.wav", tone())
    data = path.read_bytes()
    for source in (path, data, io.BytesIO(data), Pipe(data)):
        with pytest.raises(AudioTooLarge, match="larger than the limit of 1,000 bytes"):
            load(source, RATE, limits=Limits(max_bytes=1000))
    assert load(Pipe(data), RATE, limits=Limits(max_bytes=len(data))).duration == 1.0


def test_too_long(tone: Callable) -> None:
    data = encode(sine(3.0, 500, 44100)[None], 44100, "flac", "flac")
    with pytest.raises(AudioTooLong, match=r"limit of 2\.5 s"):
        load(data, RATE, limits=Limits(max_seconds=2.5))
    assert load(data, RATE, limits=Limits(max_seconds=3.0)).duration == pytest.approx(3.0)


def test_too_long_is_told_while_reading() -> None:
    class Counting(io.BytesIO):
        most = 0

        def read(self, size: int = -1) -> bytes:
            data = super().read(size)
            self.most = max(self.most, self.tell()) if self.tell() < len(self.getbuffer()) - 200 else self.most
            return data

    file = Counting(encode(sine(120.0, 500, RATE)[None], RATE, "wav", "pcm_s16le"))
    with pytest.raises(AudioTooLong):
        load(file, RATE, limits=Limits(max_seconds=2.0))
    assert file.most < len(file.getbuffer()) / 2
