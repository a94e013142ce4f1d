"""Keys and tuning of chords that were played in them."""

from __future__ import annotations

import numpy as np
import pytest
from played import RATE, cadence

from genre_lib.analysis import tonality


@pytest.mark.parametrize("major", [True, False])
def test_all_24_keys(major: bool):
    heard = [tonality.analyze(cadence(tonic, major)) for tonic in range(12)]
    assert [(one.key, one.mode) for one in heard] == [(tonic, int(major)) for tonic in range(12)]


@pytest.mark.parametrize("cents", [-40, -15, 30])
def test_a_detuned_piano_keeps_its_key(cents: int):
    heard = tonality.analyze(cadence(9 + cents / 100, major=True))
    assert (heard.key, heard.mode) == (9, 1)
    assert heard.tuning == pytest.approx(cents, abs=5)


@pytest.mark.parametrize("seconds", [0.1, 1, 10])
def test_noise_has_no_key(seconds: float):
    noise = np.random.default_rng(0).normal(0, 0.2, round(seconds * RATE)).astype(np.float32)
    assert tonality.analyze(noise).key == -1


def test_silence_and_a_click_have_no_key():
    for waveform in (np.zeros(RATE), np.eye(1, 5 * RATE, 50000)[0], np.ones(RATE)):
        heard = tonality.analyze(waveform.astype(np.float32))
        assert (heard.key, heard.mode, heard.confidence) == (-1, 1, 0)


def test_one_tone_is_a_tonic_of_which_nothing_is_sure(tone):
    heard = tonality.analyze(tone(5.0, 440.0))
    assert heard.key == 9
    assert heard.confidence < 0.2


def test_a_profile_is_its_own_key():
    for key in range(12):
        assert tonality.find_key(np.roll(tonality.MAJOR, key) + 1)[:2] == (key, 1)
        assert tonality.find_key(np.roll(tonality.MINOR, key) + 1)[:2] == (key, 0)
        assert tonality.key_scores(np.roll(tonality.MINOR, key)).max() == pytest.approx(1)


def test_notes_fold_into_their_class_and_harmonics_into_their_notes():
    notes = np.zeros((1, len(tonality.NOTES)), np.float32)
    notes[0, list(tonality.NOTES).index(57)] = 1  # A4, which is the third harmonic of D3
    classes = tonality.fold(notes)[0]
    assert classes.argmax() == 9
    assert set(np.flatnonzero(classes)) == {9, 2}


def test_drums_do_not_change_the_key():
    noise = np.random.default_rng(0).normal(0, 0.05, 16 * RATE).astype(np.float32)
    heard = tonality.analyze(cadence(4, major=False) + noise)
    assert (heard.key, heard.mode) == (4, 0)
