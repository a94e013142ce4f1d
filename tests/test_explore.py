"""Lengths and artists counted, excerpts from the middle, and a tone where its mel band is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genre_lib import explore
from genre_lib.data.catalogue import Catalogue
from genre_lib.networks.logmel import LogMel
from genre_lib.settings import get_settings


@pytest.fixture
def catalogue(tmp_path, tone, write_wav) -> Catalogue:
    (tmp_path / "broken.wav").write_text("no audio")
    rows = [
        (write_wav(tmp_path / "a.wav", tone(3.0, 1000.0)), "rock", "Ann", "train"),
        (write_wav(tmp_path / "b.wav", tone(1.0, 4000.0)), "jazz", "Bob", "train"),
        (write_wav(tmp_path / "c.wav", tone(1.0, 4000.0)), "jazz", "Bea", "valid"),
        (tmp_path / "broken.wav", "polka", "", "train"),
    ]
    table = pd.DataFrame(rows, columns=["path", "genre", "artist", "split"])
    return Catalogue(table.assign(path=table["path"].map(str)))


def test_durations_are_asked_of_the_files(catalogue):
    seconds = explore.with_durations(catalogue)["duration"]
    assert seconds[:3].tolist() == pytest.approx([3.0, 1.0, 1.0], abs=0.01)
    assert np.isnan(seconds[3])


def test_durations_of_the_table_come_first(catalogue):
    told = Catalogue(catalogue.tracks.assign(duration=[99.0, np.nan, 1.0, 5.0]))
    assert explore.with_durations(told)["duration"].tolist() == pytest.approx([99.0, 1.0, 1.0, 5.0], abs=0.01)


def test_artists_per_split(catalogue):
    table = explore.artists_per_split(catalogue)
    assert table.to_dict("index") == {
        "jazz": {"train": 1, "valid": 1, "all": 2},
        "polka": {"train": 0, "valid": 0, "all": 0},
        "rock": {"train": 1, "valid": 0, "all": 1},
    }


def test_excerpts_are_of_the_middle_and_leave_out_what_does_not_decode(catalogue):
    found = explore.excerpts(catalogue, seconds=2.0, sample_rate=22050)
    assert list(found) == ["jazz", "rock"]
    assert len(found["rock"].waveform) == 2 * 22050
    assert len(found["jazz"].waveform) == pytest.approx(22050, abs=50)


def test_a_tone_is_loudest_in_its_band(catalogue):
    extractor = LogMel()
    mels = explore.log_mels(explore.excerpts(catalogue), extractor)
    loudest = extractor.band_hz()[mels["rock"].mean(axis=1).argmax()]
    assert loudest == pytest.approx(1000, rel=0.05)
    assert mels["rock"].max() - np.median(mels["rock"]) > 40


def test_some_tracks_of_each_genre_are_described(catalogue):
    described = explore.described(catalogue, get_settings(), tracks_per_genre=1)
    assert sorted(described["genre"]) == ["jazz", "rock"]  # polka does not decode
    assert dict(zip(described["genre"], described["duration"], strict=True)) == pytest.approx(
        {"jazz": 1.0, "rock": 3.0}
    )
