"""The estimates order what is plainly ordered, and stay between 0 and 1."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from played import RATE, cadence, drums

from genre_lib.analysis import character, loudness, rhythm, tonality
from genre_lib.analysis.character import Character
from genre_lib.analysis.spectrum import mel


def characterise(waveform: np.ndarray) -> Character:
    bands, (level, blocks) = mel(waveform), loudness.measure(waveform, RATE)
    return character.analyze(bands, blocks, level, rhythm.analyze(bands), tonality.analyze(waveform))


@pytest.fixture(scope="module")
def beat() -> Character:
    return characterise(drums(118))


@pytest.fixture(scope="module")
def organ() -> Character:
    return characterise(0.3 * cadence(0, major=True))


def test_drums_are_more_energetic_and_danceable_and_less_acoustic_than_an_organ(beat: Character, organ: Character):
    assert beat.energy > organ.energy + 0.2
    assert beat.danceability > organ.danceability + 0.2
    assert beat.acousticness < organ.acousticness - 0.2


def test_louder_is_more_energetic():
    assert characterise(drums(118)).energy > characterise(0.1 * drums(118)).energy


def test_major_is_more_cheerful_than_minor(organ: Character):
    assert organ.valence > characterise(0.3 * cadence(0, major=False)).valence


def test_bursts_at_the_pace_of_syllables_are_more_like_speech(organ: Character):
    time = np.arange(10 * RATE) / RATE
    noise = np.random.default_rng(0).normal(0, 0.1, len(time))
    bursts = (noise * (np.sin(2 * np.pi * 4 * time) > 0.3)).astype(np.float32)
    assert characterise(bursts).speechiness > organ.speechiness + 0.2
    assert characterise(bursts).instrumentalness < organ.instrumentalness - 0.2


@pytest.mark.parametrize("samples", [1, 2205, 22050])
def test_silence_has_no_character(samples: int):
    assert characterise(np.zeros(samples, np.float32)) == Character()


@pytest.mark.parametrize("samples", [1, 2205, 60000])
def test_the_estimates_stay_in_range(samples: int):
    for level in (1e-3, 0.1, 1.0):
        noise = (level * np.random.default_rng(0).uniform(-1, 1, samples)).astype(np.float32)
        assert all(0 <= value <= 1 for value in asdict(characterise(noise)).values())


@pytest.mark.parametrize(("value", "expected"), [(0, 0.0), (5, 0.0), (7.5, 0.5), (10, 1.0), (99, 1.0)])
def test_a_ramp_goes_up_or_down(value: float, expected: float):
    assert character.ramp(value, 5, 10) == expected
    assert character.ramp(value, 10, 5) == 1 - expected
