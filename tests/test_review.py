"""Labels of a catalogue, judged by heads that never heard the track's artist."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_source import open_one
from genre_lib.errors import CatalogueInvalid, ConfigurationError
from genre_lib.review import COLUMNS, review
from genre_lib.settings import REPOSITORY

STARTER = REPOSITORY / "pretrained" / "genre_classifier"


@pytest.fixture(scope="module")
def invented(synthetic_catalogue: Path) -> Catalogue:
    return open_one(str(synthetic_catalogue))


def relabelled(catalogue: Catalogue, changes: dict[int, str]) -> Catalogue:
    """The catalogue with other labels for some rows."""
    tracks = catalogue.tracks.copy()
    for row, genre in changes.items():
        assert tracks.loc[row, "genre"] != genre
        tracks.loc[row, "genre"] = genre
    return replace(catalogue, tracks=tracks)


def test_planted_labels_are_the_most_doubtful(invented: Catalogue):
    genres = invented.genres
    rows = [invented.tracks.index[invented.tracks["genre"] == genre][0] for genre in genres[:2]]
    planted = relabelled(invented, {rows[0]: genres[1], rows[1]: genres[0]})
    found = review(planted, str(STARTER))
    first = found.tracks.head(2)
    assert set(first["path"]) == set(invented.tracks["path"][rows])
    assert first["doubtful"].all()
    truth = dict(zip(invented.tracks["path"], invented.tracks["genre"], strict=True))
    assert [truth[path] for path in first["path"]] == first["predicted"].tolist()


def test_every_track_is_judged_once_and_scored(invented: Catalogue, tiny_model: Path):
    found = review(invented, str(tiny_model), folds=3)
    assert list(found.tracks.columns) == COLUMNS
    assert sorted(found.tracks["path"]) == sorted(invented.tracks["path"])
    assert (found.folds, len(found.penalties), found.failed, found.unjudged) == (3, 3, {}, [])
    matrix = np.array(found.scores["confusion"])
    assert matrix.sum(axis=1).tolist() == [6, 6, 6, 6]
    assert found.scores["accuracy"]["value"] == pytest.approx(np.trace(matrix) / 24)
    assert found.tracks[["genre_confidence", "confidence"]].to_numpy().min() >= 0


def test_more_parts_than_a_genre_has_tracks_are_as_many_as_it_has(invented: Catalogue, tiny_model: Path):
    few = invented.tracks.groupby("genre").head(3)
    assert review(Catalogue(few), str(tiny_model), folds=50).folds == 3


def test_what_an_artist_plays_says_nothing_of_the_same_artists_labels(invented: Catalogue, tiny_model: Path):
    """All of a genre's tracks but one are by one artist: when they are judged, only that one tells of their genre."""
    tracks = invented.tracks.copy()
    genre = invented.genres[0]
    own = tracks.index[tracks["genre"] == genre]
    tracks["artist"] = [f"artist {row}" for row in range(len(tracks))]
    tracks.loc[own, "artist"] = "the same"
    alone = review(replace(invented, tracks=tracks), str(tiny_model), folds=3)
    assert sorted(alone.unjudged) == sorted(tracks["path"][own])
    assert alone.unnamed == 0
    assert genre not in set(alone.tracks["genre"])


def test_generated_and_broken_tracks_are_left_out(invented: Catalogue, tiny_model: Path, tmp_path: Path):
    tracks = invented.tracks.copy()
    tracks.loc[0, "source"] = "generated:musicgen"
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no audio")
    tracks.loc[1, "path"] = str(broken)
    found = review(replace(invented, tracks=tracks), str(tiny_model), folds=2)
    assert len(found.tracks) == len(tracks) - 2
    assert list(found.failed) == [str(broken)]
    assert invented.tracks["path"][0] not in set(found.tracks["path"])


def test_what_cannot_be_reviewed_is_refused(invented: Catalogue, tiny_model: Path):
    one = invented.tracks[invented.tracks["genre"] == invented.genres[0]]
    with pytest.raises(CatalogueInvalid, match="two genres or more; got"):
        review(Catalogue(one), str(tiny_model))
    tracks = invented.tracks.assign(artist=invented.tracks["genre"])
    with pytest.raises(CatalogueInvalid, match="two artists or more"):
        review(Catalogue(tracks), str(tiny_model))
    missing = invented.tracks.assign(path=pd.Series([f"absent/{row}.wav" for row in range(len(tracks))]))
    with pytest.raises(CatalogueInvalid, match="No track can be decoded"):
        review(Catalogue(missing), str(tiny_model))


def test_a_base_model_that_is_not_linear_is_refused(invented: Catalogue, tmp_path: Path):
    from genre_lib.models.untrained import make

    weighing = make("hubert", "tiny", tmp_path / "hubert", genres=invented.genres)
    with pytest.raises(ConfigurationError, match="weighs its layers"):
        review(invented, str(weighing))


def test_a_transformer_listens_too(invented: Catalogue, tmp_path: Path):
    from genre_lib.models.untrained import make

    listener = make("ast", "tiny", tmp_path / "ast", genres=invented.genres)
    assert len(review(invented, str(listener), folds=2).tracks) == len(invented)
