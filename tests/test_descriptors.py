"""A description is whole whatever is described, follows what is done to the music, and is remembered by content."""

from __future__ import annotations

import json
import math
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from played import RATE, cadence, drums

from genre_lib import described_files, descriptors
from genre_lib.audio import Limits, find
from genre_lib.described_files import analyze_files, cached_file
from genre_lib.descriptors import Descriptors, analyze, analyze_file, curves
from genre_lib.errors import AudioNotFound, AudioTooLarge, AudioTooLong, EmptyAudio, NotAudio
from genre_lib.settings import Settings, get_settings

ESTIMATES = ("energy", "danceability", "valence", "acousticness", "instrumentalness", "speechiness", "liveness")


def band() -> np.ndarray:
    """Sixteen seconds at 120 beats a minute in A minor."""
    return drums(120, seconds=16) + cadence(9, major=False)


@pytest.fixture(scope="module")
def described() -> Descriptors:
    return analyze(band(), RATE)


@pytest.fixture
def settings() -> Settings:
    return get_settings()


@pytest.fixture
def song(tmp_path: Path, write_wav: Callable) -> Path:
    return write_wav(tmp_path / "song.wav", band()[: 6 * RATE])


def test_a_song_is_described(described: Descriptors):
    assert described.tempo == pytest.approx(120, rel=0.01)
    assert (described.key, described.mode, described.key_name) == (9, 0, "A minor")
    assert (described.duration, described.duration_ms, described.time_signature) == (16.0, 16000, 4)
    assert described.tempo_candidates[0].tempo == described.tempo


def test_faster_playing_moves_tempo_and_key(described: Descriptors):
    """The same samples at three semitones more a second: every tempo and pitch rises by 2 ** (3 / 12)."""
    faster = analyze(band(), round(RATE * 2 ** (3 / 12)))
    assert faster.tempo == pytest.approx(120 * 2 ** (3 / 12), rel=0.01)
    assert (faster.key, faster.mode) == (0, 0)
    assert faster.duration == pytest.approx(16 / 2 ** (3 / 12), rel=1e-4)


def test_quieter_is_less_loud_and_nothing_else_that_is_measured(described: Descriptors):
    quiet = analyze(0.5 * band(), RATE)
    assert described.loudness - quiet.loudness == pytest.approx(6.02, abs=0.01)
    assert quiet.tempo == pytest.approx(described.tempo, rel=0.005)
    assert quiet.key_name == described.key_name


def odd_signals() -> dict[str, np.ndarray]:
    random, seconds = np.random.default_rng(0), np.arange(5 * RATE) / RATE
    return {
        "silence": np.zeros(5 * RATE),
        "a sample": np.ones(1),
        "a tenth of a second": random.normal(0, 0.1, RATE // 10),
        "a click": np.eye(1, 5 * RATE, 50000)[0],
        "noise": random.normal(0, 0.2, 5 * RATE),
        "the loudest noise": random.choice([-1.0, 1.0], 5 * RATE),
        "a tone": np.sin(2 * np.pi * 440 * seconds),
        "a square": np.sign(np.sin(2 * np.pi * 100 * seconds)),
        "a constant": np.ones(RATE),
        "next to silence": random.normal(0, 1e-7, 5 * RATE),
        "no numbers": np.full(RATE, np.nan),
        "infinite": np.full(RATE, np.inf),
    }


@pytest.mark.parametrize("signal", odd_signals())
@pytest.mark.parametrize("rate", [RATE, 8000])
def test_whatever_it_is_every_value_is_in_range(signal: str, rate: int):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = analyze(odd_signals()[signal], rate)
    numbers = [getattr(found, name) for name in descriptors.NUMBERS]
    assert all(math.isfinite(number) for number in numbers)
    assert all(0 <= getattr(found, name) <= 1 for name in (*ESTIMATES, "tempo_confidence", "key_confidence"))
    assert found.tempo == 0 or 40 <= found.tempo <= 220
    assert found.key in range(-1, 12) and found.mode in (0, 1) and found.time_signature in (3, 4)
    assert found.loudness >= -70
    json.dumps(found.to_json(), allow_nan=False)


def test_no_samples_are_no_track():
    with pytest.raises(EmptyAudio):
        analyze(np.zeros(0), RATE)


def test_json_and_back(described: Descriptors):
    values = json.loads(json.dumps(described.to_json()))
    assert values["tempo_candidates"][0].keys() == {"tempo", "strength"}
    assert Descriptors.from_json(values) == described
    with pytest.raises(TypeError):
        Descriptors.from_json(values | {"bpm": 120})


def test_curves_are_what_the_description_was_read_from(described: Descriptors):
    heard = curves(band(), RATE)
    assert heard.described == described
    assert np.diff(heard.beats) == pytest.approx(0.5, rel=0.01)
    assert heard.chroma.shape[1] == 12 and heard.chroma.max() == 1
    assert len(heard.onsets) / heard.onset_rate == pytest.approx(16, abs=0.1)
    assert len(curves(np.zeros(RATE), RATE).beats) == 0


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_its_waveform(song: Path):
    found = analyze_file(song)
    assert found.duration == 6.0
    assert found.tempo == pytest.approx(120, rel=0.01)
    assert analyze_file(song.read_bytes()) == found


def test_a_damaged_file_keeps_what_it_claims_and_is_remembered_so(song: Path, settings: Settings):
    whole = song.read_bytes()
    assert analyze_file(song).warning() is None and "claimed_duration" not in analyze_file(song).to_json()
    song.write_bytes(whole[: len(whole) // 2])
    said = "it claims 6.00 s, but only 3.00 s could be decoded: it is damaged or was cut off. Fetch or export it again."
    for _ in range(2):
        found = cached_file(song, settings)
        assert (found.claimed_duration, found.warning("it")) == (pytest.approx(6, abs=0.01), said)
        assert Descriptors.from_json(json.loads(json.dumps(found.to_json()))) == found
    (row,) = analyze_files([song], settings=settings)
    assert row.warning == row.to_json()["warning"] == found.warning(str(song))


def test_a_file_that_is_none_raises(song: Path, tmp_path: Path):
    with pytest.raises(NotAudio):
        analyze_file(b"no audio at all")
    with pytest.raises(AudioTooLong):
        analyze_file(song, Limits(max_seconds=2))
    with pytest.raises(AudioNotFound):
        analyze_file(tmp_path / "none.wav")


def test_the_same_content_is_described_once(song: Path, tmp_path: Path, settings: Settings, monkeypatch):
    first = cached_file(song, settings)
    monkeypatch.setattr(descriptors, "analyze", lambda *_: pytest.fail("analysed again"))
    copy = tmp_path / "under another name.wav"
    copy.write_bytes(song.read_bytes())
    assert cached_file(copy, settings) == first
    assert len(entries(settings)) == 1


def entries(settings: Settings) -> list[Path]:
    return list((settings.cache_path / "descriptors").rglob("*.json"))


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"tempo_candidates": 1}', "null", "\x00"])
def test_a_damaged_entry_is_computed_anew(song: Path, settings: Settings, damage: str):
    first = cached_file(song, settings)
    (entry,) = entries(settings)
    whole = entry.read_text()
    entry.write_text(damage)
    assert cached_file(song, settings) == first
    assert entry.read_text() == whole


def test_another_version_is_another_entry(song: Path, settings: Settings, monkeypatch):
    cached_file(song, settings)
    monkeypatch.setattr(described_files, "ANALYSIS_VERSION", "next")
    cached_file(song, settings)
    assert len(entries(settings)) == 2


def test_what_is_remembered_keeps_to_the_limits(song: Path, settings: Settings):
    cached_file(song, settings)
    with pytest.raises(AudioTooLong):
        cached_file(song, settings, Limits(max_seconds=2))
    with pytest.raises(AudioTooLarge):
        cached_file(song, settings, Limits(max_bytes=100))


def test_errors_are_not_remembered(tmp_path: Path, settings: Settings):
    (tmp_path / "broken.mp3").write_bytes(b"no audio")
    for path, error in ((tmp_path / "broken.mp3", NotAudio), (tmp_path / "none.mp3", AudioNotFound)):
        with pytest.raises(error):
            cached_file(path, settings)
    assert not entries(settings)


def test_a_cache_that_cannot_be_written_warns_and_answers(song: Path, settings: Settings, tmp_path: Path):
    (tmp_path / "occupied").write_text("a file, where the cache wants a folder")
    elsewhere = settings.model_copy(update={"cache_path": tmp_path / "occupied"})
    with pytest.warns(UserWarning, match="cannot keep"):
        assert cached_file(song, elsewhere).duration == 6.0


# --- many files -------------------------------------------------------------------------------------------------------


def describers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("describe")]


@pytest.fixture
def folder(tmp_path: Path, tone: Callable, write_wav: Callable) -> Path:
    for index in range(6):
        write_wav(tmp_path / "music" / f"{index}.wav", tone(0.5 + index % 3, 200 + 50 * index))
    (tmp_path / "music" / "3.wav").write_text("no audio")
    return tmp_path / "music"


@pytest.mark.parametrize("workers", [1, 3])
def test_files_in_order_and_a_bad_one_is_a_row(folder: Path, settings: Settings, workers: int):
    rows = list(analyze_files(find(folder), workers=workers, settings=settings))
    assert [Path(row.path).name for row in rows] == [f"{index}.wav" for index in range(6)]
    assert [row.code for row in rows] == [None, None, None, "not_audio", None, None]
    assert [row.features and row.features.duration for row in rows] == [0.5, 1.5, 2.5, None, 1.5, 2.5]
    assert rows[3].to_json() == {"path": rows[3].path, "features": None, "error": rows[3].error}
    assert rows[0].to_json()["features"] == rows[0].features.to_json()
    assert not describers()


def test_files_are_described_lazily_and_a_bounded_number_ahead(folder: Path):
    taken = []

    def endless() -> Iterator[Path]:
        while True:
            taken.append(1)
            yield folder / "0.wav"

    rows = analyze_files(endless(), workers=2)
    assert not taken
    for count in range(1, 8):
        next(rows)
        assert len(taken) <= count + 2 + described_files.AHEAD
    rows.close()
    assert not describers()


@pytest.mark.real_data
def test_every_format_of_a_piece_has_its_key(real_data: Path):
    """Brahms's fifth Hungarian dance is in G minor in its orchestral version."""
    files = find(real_data / "odd_files")
    rows = [row for row in analyze_files(files, workers=1) if "pd_hungarian" in row.path and row.features.duration > 3]
    assert len(rows) >= 5
    assert {row.features.key_name for row in rows} == {"G minor"}
    tempos = [row.features.tempo for row in rows]
    assert max(tempos) == pytest.approx(min(tempos), rel=0.01)


def test_a_description_may_be_changed_only_by_replacing_it(described: Descriptors):
    with pytest.raises(AttributeError):
        described.tempo = 1.0
    assert replace(described, key=-1).key_name is None
