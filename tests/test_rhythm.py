"""Tempos and bars of drums that were made at them."""

from __future__ import annotations

import numpy as np
import pytest
from played import RATE, drums

from genre_lib.analysis import rhythm
from genre_lib.analysis.spectrum import MEL_RATE, mel
from genre_lib.data.synthetic_tracks import SYNTH_GENRES, compose, render


@pytest.mark.parametrize("tempo", [76, 92.5, 100, 112, 120, 133])
@pytest.mark.parametrize("swing", [0.5, 0.66])
def test_drums_have_the_tempo_they_were_played_at(tempo: float, swing: float):
    heard = rhythm.analyze(mel(drums(tempo, swing=swing)))
    assert heard.tempo == pytest.approx(tempo, rel=0.01)
    assert heard.time_signature == 4
    assert heard.confidence > 0.4


@pytest.mark.parametrize("tempo", [84, 120])
def test_a_waltz_has_three_beats(tempo: float):
    heard = rhythm.analyze(mel(drums(tempo, beats=3)))
    assert heard.tempo == pytest.approx(tempo, rel=0.01)
    assert heard.time_signature == 3


@pytest.mark.parametrize("genre", SYNTH_GENRES)
def test_invented_music_is_right_up_to_an_octave(genre: str):
    """With drums, swung, and without any."""
    for index in range(3):
        score = compose(genre, index, index, 20.0, RATE, seed=0)
        octaves = rhythm.analyze(mel(render(score, genre))).tempo / score.tempo
        assert min(abs(octaves / factor - 1) for factor in (0.5, 1, 2)) < 0.04


def test_candidates_are_octaves_and_share_one():
    candidates = rhythm.analyze(mel(drums(120))).candidates
    assert sum(candidate.strength for candidate in candidates) == pytest.approx(1)
    assert {60, 120} <= {round(candidate.tempo) for candidate in candidates}
    assert all(rhythm.SLOWEST <= c.tempo <= rhythm.FASTEST for c in candidates)
    rest = [candidate.strength for candidate in candidates[1:]]
    assert rest == sorted(rest, reverse=True)


@pytest.mark.parametrize("signal", ["silence", "tone", "click", "short"])
def test_where_nothing_repeats_there_is_no_tempo(signal: str):
    seconds = np.arange(5 * RATE) / RATE
    waveform = {
        "silence": np.zeros(5 * RATE),
        "tone": np.sin(2 * np.pi * 440 * seconds),
        "click": np.eye(1, 5 * RATE, 50000)[0],
        "short": drums(120, seconds=1.5),
    }[signal]
    heard = rhythm.analyze(mel(waveform.astype(np.float32)))
    assert (heard.tempo, heard.confidence, heard.time_signature) == (0, 0, 4)


def test_noise_is_not_sure_of_its_tempo():
    noise = np.random.default_rng(0).normal(0, 0.2, 10 * RATE).astype(np.float32)
    assert rhythm.analyze(mel(noise)).confidence < 0.4


def test_an_octave_is_decided_by_its_odd_beats():
    """A correlation with peaks at every beat of 140 speaks for 140; without the odd ones, for 70."""
    beat = 60 * MEL_RATE / 140
    lags = np.arange(1000)
    comb = np.exp(-0.5 * ((lags + beat / 2) % beat - beat / 2) ** 2 / 4)
    every, even = comb, comb * (np.round(lags / beat) % 2 == 0)
    chosen = [max(found, key=found.get) for found in (rhythm.octaves(every, 140), rhythm.octaves(even, 140))]
    assert chosen == [140, 70]


def test_the_beat_grid_meets_the_onsets():
    onsets = np.zeros(1000)
    onsets[20::43] = 1
    beats = rhythm.beat_grid(onsets, 60 * MEL_RATE / 43)
    assert np.round(beats * MEL_RATE).astype(int).tolist() == list(range(20, 1000, 43))
