"""Fingerprints: the same recording at another level, rate, length or in another format, and no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genre_lib import audio
from genre_lib.data import fingerprint, synthetic
from genre_lib.data.fingerprint import SAMPLE_RATE, Fingerprint, Match, duplicates, groups, matches
from genre_lib.data.synthetic_tracks import compose, render


def music(genre: str, index: int, seconds: float = 12.0) -> np.ndarray:
    """An invented track at the fingerprint's rate: float32 [samples]."""
    score = compose(genre, artist=index, index=index, seconds=seconds, sample_rate=SAMPLE_RATE, seed=7)
    return render(score, genre)


def test_a_word_tells_frequency_and_the_distance_to_the_next_peak():
    words, frames = fingerprint.pair(np.array([10, 14]), np.array([100, 90]))
    assert words.tolist() == [(100 << 13) | ((-10 + 64) << 6) | 4]
    assert frames.tolist() == [10]


def test_a_tone_s_peak_lies_at_its_frequency(tone):
    _, bins = fingerprint.peaks(fingerprint.spectrogram(tone(2.0, 1000.0, SAMPLE_RATE)))
    assert set(bins) == {1000 * fingerprint.WINDOW // SAMPLE_RATE}


@pytest.mark.parametrize("samples", [0, 1, 100, 1024, 5000])
def test_what_is_silent_or_very_short_has_a_fingerprint_without_words(samples: int):
    each = Fingerprint.of(np.zeros(samples, np.float32))
    assert len(each.words) == 0
    assert each.seconds == samples / SAMPLE_RATE
    assert matches([each]) == []


def test_no_tracks_have_no_copies():
    assert matches([]) == []
    assert duplicates([]) == []


def test_equal_samples_are_found_by_their_digest():
    noise = np.random.default_rng(0).uniform(-1, 1, 500).astype(np.float32)  # too short for words
    found = matches([Fingerprint.of(noise), Fingerprint.of(noise[::-1].copy()), Fingerprint.of(noise)])
    assert [(match.first, match.second, match.share) for match in found] == [(0, 2, 1.0)]


@pytest.mark.parametrize("genre", synthetic.SYNTH_GENRES)
def test_copies_are_found_and_other_tracks_are_not(genre: str, tmp_path: Path):
    track = music(genre, 0)
    noise = np.random.default_rng(0).normal(0, 0.01, len(track)).astype(np.float32)
    audio.write_wav(tmp_path / "copy.wav", track, SAMPLE_RATE)
    audio.write_wav(tmp_path / "quiet.wav", 0.2 * track, SAMPLE_RATE)
    eight_bits = (np.round(track * 100) / 100).astype(np.float32)
    others = [music(genre, index) for index in range(1, 6)]
    sources = [track, tmp_path / "copy.wav", tmp_path / "quiet.wav", track + noise, eight_bits, *others]
    assert duplicates(sources) == [[0, 1, 2, 3, 4]]


def test_a_copy_at_another_sample_rate_is_found(tmp_path: Path):
    score = compose("rock", artist=0, index=0, seconds=8.0, sample_rate=44100, seed=7)
    audio.write_wav(tmp_path / "high.wav", render(score, "rock"), 44100)
    low = audio.load(tmp_path / "high.wav", 11025).waveform
    audio.write_wav(tmp_path / "low.wav", low, 11025)
    assert duplicates([tmp_path / "high.wav", music("rock", 1), tmp_path / "low.wav"]) == [[0, 2]]


@pytest.mark.parametrize(("start", "seconds"), [(0.0, 10.0), (7.013, 5.0), (14.5, 5.0)])
def test_an_excerpt_is_found_where_it_sounds(start: float, seconds: float):
    track = music("classical", 0, seconds=20.0)
    begin = round(start * SAMPLE_RATE)
    excerpt = 0.5 * track[begin : begin + round(seconds * SAMPLE_RATE)]
    (match,) = matches([Fingerprint.of(track), Fingerprint.of(music("rock", 0)), Fingerprint.of(excerpt)])
    assert (match.first, match.second) == (0, 2)
    assert match.delay == pytest.approx(start, abs=0.04)
    assert match.seconds == pytest.approx(seconds, abs=2.5)  # from the first to the last peak that has a successor


def test_tracks_that_overlap_are_found():
    track = music("classical", 0, seconds=24.0)
    first, second = track[: 15 * SAMPLE_RATE], track[9 * SAMPLE_RATE :]
    (match,) = matches([Fingerprint.of(first), Fingerprint.of(second)])
    assert match.delay == pytest.approx(9.0, abs=0.04)
    assert match.seconds == pytest.approx(6.0, abs=2.5)


def test_words_in_common_at_scattered_delays_are_no_match():
    random, words = np.random.default_rng(0), np.arange(500, dtype=np.uint32)
    one, two = (np.sort(random.integers(0, 400, 500)).astype(np.int32) for _ in range(2))
    prints = [Fingerprint(words, one, "one", 12.8), Fingerprint(random.permutation(words), two, "two", 12.8)]
    assert matches(prints) == []
    assert len(matches([*prints, Fingerprint(words, one + 7, "three", 12.8)])) == 1


def test_a_library_too_large_to_compare_is_thinned_alike_in_all_tracks(monkeypatch: pytest.MonkeyPatch):
    track = music("rock", 0, seconds=20.0)
    prints = [Fingerprint.of(each) for each in (track, 0.3 * track, music("rock", 1, seconds=20.0))]
    monkeypatch.setattr(fingerprint, "MOST_WORDS", sum(len(each.words) for each in prints) // 3)
    kept = fingerprint.thinned(prints)
    assert sum(len(words) for words, _ in kept) < sum(len(each.words) for each in prints) / 2
    assert [(match.first, match.second) for match in matches(prints)] == [(0, 1)]


def test_a_long_track_is_asked_for_in_parts(monkeypatch: pytest.MonkeyPatch):
    track = music("classical", 0)
    prints = [Fingerprint.of(track), Fingerprint.of(0.5 * track)]
    whole = matches(prints)
    monkeypatch.setattr(fingerprint, "QUERY_WORDS", 50)
    assert matches(prints) == whole


def test_groups_join_what_is_linked():
    links = [Match(0, 2, 0, 1, 1), Match(2, 5, 0, 1, 1), Match(1, 4, 0, 1, 1)]
    assert groups(links, 6) == [[0, 2, 5], [1, 4]]
    assert groups([], 3) == []


@pytest.mark.real_data
def test_every_format_of_one_piece_is_one_recording(real_data: Path):
    hungarian = sorted((real_data / "odd_files").glob("pd_hungarian_*"))
    vibe_ace = sorted((real_data / "odd_files").glob("ccby_vibeace_*"))
    assert len(hungarian) == 11
    assert len(vibe_ace) == 12
    assert duplicates([*hungarian, *vibe_ace]) == [list(range(11)), list(range(11, 23))]


@pytest.mark.real_data
def test_repeats_of_emotify_are_found_and_a_remix_is_none(real_data: Path):
    names = ["classical/54", "classical/80", "pop/59", "pop/66", "rock/63", "rock/66", "rock/70", "rock/76"]
    names += ["rock/72", "rock/75", "electronic/28", "electronic/30"]  # the last two are remixes of one song
    paths = [real_data / "emotify" / "audio" / f"{name}.mp3" for name in names]
    assert duplicates(paths) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
