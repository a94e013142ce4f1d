"""The ladder of prediction: every rung gives what the one below it gives."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from genre_lib.audio import AudioTruncatedWarning, Limits, find
from genre_lib.clips import cut, pool, probabilities
from genre_lib.errors import AudioTooLong, ModelNotFound, NotAudio
from genre_lib.inference import DECODE_AHEAD, Predictor
from genre_lib.models.folder import load

RATE = 22050


@pytest.fixture(scope="module")
def predictor(tiny_model: Path) -> Predictor:
    return Predictor.from_folder(tiny_model, device="cpu")


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def decoders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_clips_are_what_the_network_says(predictor: Predictor, tiny_model: Path) -> None:
    clips = cut(noise(9.0), RATE, 3.0)
    model = load(tiny_model)
    inputs = model.extractor(list(clips), sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        expected = model.network(**inputs).logits.numpy()
    assert predictor.clips(clips) == pytest.approx(expected, abs=1e-5)


def test_the_batch_size_changes_nothing(predictor: Predictor, tiny_model: Path) -> None:
    clips = cut(noise(16.0), RATE, 3.0)
    small = Predictor.from_folder(tiny_model, device="cpu", batch_size=4)
    assert small.clips(clips) == pytest.approx(predictor.clips(clips), abs=1e-5)


def test_no_clips_no_logits(predictor: Predictor) -> None:
    assert predictor.clips([]).shape == (0, len(predictor.genres))
    assert predictor.waveforms([]) == []


def test_a_waveform_is_its_clips_pooled(predictor: Predictor) -> None:
    track = predictor.waveform(noise(7.0))
    logits = pool(predictor.clips(cut(noise(7.0), RATE, 3.0)))
    assert track.logits == pytest.approx(logits, abs=1e-5)
    assert track.duration == 7.0
    expected = dict(zip(predictor.genres, probabilities(logits), strict=True))
    assert {p.genre: p.confidence for p in track.predictions} == pytest.approx(expected, abs=1e-5)
    assert sum(p.confidence for p in track.predictions) == pytest.approx(1)
    assert track.predictions == sorted(track.predictions, key=lambda p: -p.confidence)
    assert track.top(2) == track.predictions[:2]


def test_waveforms_of_any_length_keep_their_own(predictor: Predictor) -> None:
    waveforms = [noise(seconds, seed) for seed, seconds in enumerate([7.0, 0.5, 3.0, 31.0])]
    for together, waveform in zip(predictor.waveforms(waveforms, timeline=True), waveforms, strict=True):
        alone = predictor.waveform(waveform, timeline=True)
        assert together.logits == pytest.approx(alone.logits, abs=1e-5)
        assert together.duration == alone.duration
        assert len(together.timeline) == len(alone.timeline)


def test_the_temperature_makes_it_less_sure(tiny_model: Path) -> None:
    model = load(tiny_model)
    cold = Predictor(model, device="cpu").waveform(noise(3.0))
    model.inference = replace(model.inference, temperature=2.0)
    warm = Predictor(model, device="cpu").waveform(noise(3.0))
    assert np.array_equal(warm.logits, cold.logits)
    odds = np.exp(np.sort(cold.logits.astype(float))[::-1] / 2)
    assert [p.confidence for p in warm.predictions] == pytest.approx(list(odds / odds.sum()), rel=1e-5)


@pytest.mark.parametrize(
    ("seconds", "bounds"),
    [
        (2.0, [0, 2]),  # shorter than a clip
        (9.0, [0, 3, 6, 9]),
        (10.0, [0, 3, 6, 8, 10]),  # middles of the clips: 1.5, 4.5, 7.5, 8.5
    ],
)
def test_the_timeline_covers_the_track_once(predictor: Predictor, seconds: float, bounds: list[float]) -> None:
    timeline = predictor.waveform(noise(seconds), timeline=True).timeline
    assert [segment.start for segment in timeline] + [timeline[-1].end] == pytest.approx(bounds)
    assert [segment.end for segment in timeline[:-1]] == [segment.start for segment in timeline[1:]]


def test_a_segment_says_what_its_clip_says(predictor: Predictor) -> None:
    first, second = noise(3.0, 1), np.zeros(3 * RATE, np.float32)
    timeline = predictor.waveform(np.concatenate([first, second]), timeline=True).timeline
    for segment, part in zip(timeline, [first, second], strict=True):
        expected = predictor.waveform(part).predictions
        assert [p.genre for p in segment.predictions] == [p.genre for p in expected]
        assert [p.confidence for p in segment.predictions] == pytest.approx([p.confidence for p in expected], abs=1e-5)


def test_a_file_is_its_waveform(predictor: Predictor, tmp_path: Path, tone: Callable, write_wav: Callable) -> None:
    path = write_wav(tmp_path / "a.wav", tone(4.0))
    track = predictor.file(path)
    assert track.path == str(path)
    assert track.logits == pytest.approx(predictor.waveform(tone(4.0)).logits, abs=1e-3)
    assert predictor.file(path.read_bytes()).path is None
    with path.open("rb") as file:
        assert np.array_equal(predictor.file(file).logits, track.logits)


def test_a_file_that_is_none_raises(predictor: Predictor, tmp_path: Path, tone: Callable, write_wav: Callable) -> None:
    with pytest.raises(NotAudio):
        predictor.file(b"no audio at all")
    with pytest.raises(AudioTooLong):
        predictor.file(write_wav(tmp_path / "a.wav", tone(3.0)), limits=Limits(max_seconds=2))
    with pytest.raises(ModelNotFound):
        Predictor.from_folder(tmp_path / "none")


@pytest.fixture
def folder(tmp_path: Path, tone: Callable, write_wav: Callable) -> Path:
    """Twelve tracks: the fourth is no audio, the seventh is cut off."""
    for index in range(12):
        write_wav(tmp_path / f"{index:02}.wav", tone(1 + index % 3, 200 + 50 * index))
    (tmp_path / "03.wav").write_text("no audio")
    data = (tmp_path / "06.wav").read_bytes()
    (tmp_path / "06.wav").write_bytes(data[: len(data) // 2])
    return tmp_path


@pytest.mark.parametrize("workers", [1, 3, None])
def test_files_in_order_and_a_bad_one_is_a_row(predictor: Predictor, folder: Path, workers: int | None) -> None:
    paths = find(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what is cut off is told in its row, not on the terminal
        rows = list(predictor.files(paths, workers=workers, timeline=True))
    assert [row.path for row in rows] == [str(path) for path in paths]
    assert [row.code for row in rows] == [None, None, None, "not_audio", *[None] * 8]
    assert (rows[3].predictions, rows[3].duration, rows[3].timeline) == ([], None, None)
    assert "is not audio" in rows[3].error
    assert [index for index, row in enumerate(rows) if row.warning] == [6]
    for index in (0, 5, 11):
        assert rows[index].logits == pytest.approx(predictor.file(paths[index]).logits, abs=1e-5)
    assert not decoders()


def test_no_files_no_rows(predictor: Predictor) -> None:
    assert list(predictor.files([])) == []


def test_files_is_lazy_and_decodes_a_bounded_number_ahead(predictor: Predictor, folder: Path) -> None:
    taken = []

    def endless() -> Iterator[Path]:
        while True:
            taken.append(1)
            yield folder / "00.wav"

    rows = predictor.files(endless(), workers=2)
    assert not taken
    for count in range(1, 31):
        next(rows)
        assert len(taken) <= count + 2 * (2 + DECODE_AHEAD) + 1
    rows.close()
    assert not decoders()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_stops_the_threads(predictor: Predictor, folder: Path, error: type, monkeypatch) -> None:
    def interrupt(_: object) -> None:
        raise error

    monkeypatch.setattr(predictor, "_forward", interrupt)
    with pytest.raises(error):
        list(predictor.files(find(folder)))
    assert not decoders()


@pytest.mark.real_data
def test_every_odd_file_is_a_row(predictor: Predictor, real_data: Path) -> None:
    rows = {Path(row.path).name: row for row in predictor.files(find(real_data / "odd_files"))}
    assert {name: row.code for name, row in rows.items() if row.code} == {
        "corrupt_headeronly.wav": "not_audio",
        "empty.mp3": "empty_audio",
        "text_renamed.mp3": "not_audio",
    }
    assert [name for name, row in rows.items() if row.warning] == ["corrupt_truncated.mp3"]
    assert all(len(row.predictions) == len(predictor.genres) for row in rows.values() if not row.code)


@pytest.mark.real_data
def test_a_truncated_file_warns(predictor: Predictor, real_data: Path) -> None:
    with pytest.warns(AudioTruncatedWarning):
        track = predictor.file(real_data / "odd_files" / "corrupt_truncated.mp3")
    assert "claims 4.00 s" in track.warning


def test_what_cannot_be_judged_comes_with_a_warning(tiny_model: Path, tmp_path: Path, tone, write_wav):
    write_wav(tmp_path / "silent.wav", np.zeros(3 * 22050, np.float32))
    write_wav(tmp_path / "short.wav", tone(0.25))
    write_wav(tmp_path / "tone.wav", tone(3.0))
    files = sorted(tmp_path.glob("*.wav"))
    short, silent, whole = Predictor.from_folder(tiny_model).files(files)
    assert "lasts 0.25 s" in short.warning
    assert "is silent" in silent.warning
    assert whole.warning is None
    assert Predictor.from_folder(tiny_model).file(files[1]).warning == silent.warning
