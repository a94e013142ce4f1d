"""Decoding: the tone that was written comes back at its frequency and level, and what is no audio says so."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from genre_lib import audio
from genre_lib.audio import AudioTruncatedWarning, Limits, find, load, probe, write_wav
from genre_lib.errors import (
    AudioError,
    AudioNotFound,
    AudioTooLarge,
    AudioTooLong,
    AudioTruncated,
    EmptyAudio,
    NotAudio,
)

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


# Sources


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


# What is refused


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


# Shorter than claimed


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


# Probe, find, write


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


# Real files

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
