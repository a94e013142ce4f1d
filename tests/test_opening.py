from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genre_lib import audio
from genre_lib.data import synthetic
from genre_lib.data.catalogue_source import build
from genre_lib.data.catalogue_table import read
from genre_lib.data.opening import open_catalogue, split
from genre_lib.data.synthetic_tracks import silence


@pytest.fixture
def folder_with_copies(tmp_path: Path, synthetic_catalogue: Path) -> Path:
    """Two genres without a table of splits; each genre's first track stands there twice, the second time quieter."""
    tracks = read(synthetic_catalogue / "catalogue.csv").tracks
    for genre in ("classical", "rock"):
        (tmp_path / "music" / genre).mkdir(parents=True)
        for number, path in enumerate(tracks[tracks["genre"] == genre]["path"]):
            waveform = audio.load(path, 22050).waveform
            audio.write_wav(tmp_path / "music" / genre / f"{number}.wav", waveform, 22050)
            if number == 0:
                audio.write_wav(tmp_path / "music" / genre / "again.wav", waveform * np.float32(0.3), 22050)
    return tmp_path / "music"


def test_given_splits_are_kept(synthetic_catalogue: Path):
    given = read(synthetic_catalogue / "catalogue.csv").tracks
    pd.testing.assert_frame_equal(open_catalogue(synthetic_catalogue).tracks, given)


def test_missing_splits_are_drawn_beside_given_ones(tmp_path: Path, synthetic_catalogue: Path):
    rows = [f"{genre}{n}.mp3,{genre}" for genre in ("rock", "jazz") for n in range(10)]
    (tmp_path / "music.csv").write_text("\n".join(["path,genre", *rows]))
    assert open_catalogue(tmp_path / "music.csv").splits == ["train", "valid", "test"]
    given = read(synthetic_catalogue / "catalogue.csv").tracks
    assert len(open_catalogue([synthetic_catalogue, tmp_path / "music.csv"])) == len(given) + 20


@pytest.mark.parametrize("seed", range(6))
def test_copies_of_a_recording_share_a_split(folder_with_copies: Path, seed: int):
    tracks = open_catalogue(folder_with_copies, seed=seed).tracks.set_index("path")["split"]
    for genre in ("classical", "rock"):
        folder = folder_with_copies / genre
        assert tracks[str(folder / "0.wav")] == tracks[str(folder / "again.wav")]


def test_what_was_heard_is_remembered(folder_with_copies: Path, monkeypatch: pytest.MonkeyPatch):
    catalogue = build(folder_with_copies)
    first = split(catalogue)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(audio, "load", fail)
    pd.testing.assert_frame_equal(split(catalogue).tracks, first.tracks)


def test_synthetic_is_a_word(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(synthetic, "render", lambda score, genre: silence(score) + 0.1)
    opened = open_catalogue("synthetic")
    assert opened.genres == list(synthetic.SYNTH_GENRES)
    assert opened.has_splits
