"""Splits: whole artists, every genre everywhere, the same again by the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_table import read
from genre_lib.data.splits import artist_key, assign
from genre_lib.errors import CatalogueInvalid, ConfigurationError


def catalogue(rows: list[tuple[str, str, str, str]]) -> Catalogue:
    return Catalogue(pd.DataFrame(rows, columns=["path", "genre", "artist", "split"]))


def library(artists: int = 10, tracks: int = 4, genres: tuple[str, ...] = ("jazz", "rock")) -> Catalogue:
    return catalogue(
        [
            (f"/m/{genre}/{artist}/{track}.mp3", genre, f"{genre} {artist}", "")
            for genre in genres
            for artist in range(artists)
            for track in range(tracks)
        ]
    )


def splits_of(result: Catalogue) -> dict[str, str]:
    return dict(zip(result.tracks["path"], result.tracks["split"], strict=True))


def test_shares_are_those_asked_for_in_each_genre():
    result = assign(library(artists=10, tracks=4))
    counts = pd.crosstab(result.tracks["genre"], result.tracks["split"])
    assert counts.loc["jazz"].to_dict() == {"test": 4, "train": 32, "valid": 4}
    assert counts.loc["rock"].to_dict() == {"test": 4, "train": 32, "valid": 4}


def test_no_artist_is_in_two_splits_in_uneven_libraries():
    random = np.random.default_rng(0)
    rows = [
        (f"/m/{artist}-{track}.mp3", str(random.choice(["a", "b", "c"])), f"artist {artist}", "")
        for artist in range(60)
        for track in range(random.integers(1, 15))
    ]
    result = assign(catalogue(rows))
    assert result.tracks.groupby("artist")["split"].nunique().max() == 1
    shares = pd.crosstab(result.tracks["genre"], result.tracks["split"], normalize="index")
    assert shares.to_numpy() == pytest.approx(np.tile([0.1, 0.8, 0.1], (3, 1)), abs=0.05)


def test_three_artists_are_enough_for_three_splits():
    result = assign(library(artists=3, tracks=5, genres=("jazz", "rock", "pop")))
    assert (pd.crosstab(result.tracks["genre"], result.tracks["split"]) == 5).all(axis=None)


def test_an_artist_of_two_genres_does_not_keep_a_genre_out_of_a_split():
    rows = [(f"/{genre}{n}.mp3", genre, artist, "") for genre in ("jazz", "rock") for n, artist in enumerate("abc")]
    rows += [(f"/more{n}.mp3", "rock", "d", "") for n in range(9)]
    result = assign(catalogue(rows))
    assert (pd.crosstab(result.tracks["genre"], result.tracks["split"]) > 0).all(axis=None)
    assert result.tracks.groupby("artist")["split"].nunique().max() == 1


def test_the_seed_decides_and_the_order_of_rows_does_not():
    tracks = library().tracks
    first = splits_of(assign(Catalogue(tracks), seed=1))
    assert splits_of(assign(Catalogue(tracks.sample(frac=1, random_state=5)), seed=1)) == first
    assert splits_of(assign(Catalogue(tracks), seed=2)) != first


def test_a_track_without_an_artist_is_a_group_of_its_own():
    rows = [(f"/{genre}/{n}.mp3", genre, "Various Artists" if n % 2 else "", "") for genre in "ab" for n in range(10)]
    counts = pd.crosstab(*assign(catalogue(rows)).tracks[["genre", "split"]].T.to_numpy())
    assert counts.to_numpy().tolist() == [[1, 8, 1], [1, 8, 1]]


def test_copies_stay_together():
    rows = [(f"/{genre}/{n}.mp3", genre, "", "") for genre in "ab" for n in range(20)]
    groups = [[f"/a/{n}.mp3" for n in (0, 5, 9)], ["/a/9.mp3", "/a/10.mp3"], ["/a/not there.mp3", "/b/1.mp3"]]
    for seed in range(5):
        splits = splits_of(assign(catalogue(rows), seed=seed, groups=groups))
        assert len({splits[f"/a/{n}.mp3"] for n in (0, 5, 9, 10)}) == 1


def test_given_splits_are_kept_and_their_artists_followed():
    rows = [
        ("/1.mp3", "rock", "Ann", "test"),
        ("/2.mp3", "rock", "ann ", ""),
        ("/3.mp3", "rock", "Bob", "train"),
        ("/4.mp3", "rock", "Bob", ""),
        *((f"/{n}.mp3", "rock", f"other {n}", "") for n in range(5, 25)),
    ]
    splits = splits_of(assign(catalogue(rows)))
    assert [splits[f"/{n}.mp3"] for n in (1, 2, 3, 4)] == ["test", "test", "train", "train"]
    assert "valid" not in splits.values()  # train and test were given, so no third is invented


def test_train_and_valid_alone_stay_alone():
    rows = [(f"/{n}.mp3", "rock", f"artist {n}", {0: "train", 1: "valid"}.get(n, "")) for n in range(20)]
    assert set(splits_of(assign(catalogue(rows))).values()) == {"train", "valid"}


def test_complete_splits_come_back_unchanged():
    rows = [("/1.mp3", "rock", "Ann", "train"), ("/2.mp3", "rock", "Ann", "valid")]
    assert splits_of(assign(catalogue(rows))) == {"/1.mp3": "train", "/2.mp3": "valid"}


def test_a_genre_with_too_few_artists_is_named_with_what_it_needs():
    rows = library(artists=3).tracks[["path", "genre", "artist", "split"]].to_numpy().tolist()
    rows += [("/x/1.mp3", "disco", "Ann", ""), ("/x/2.mp3", "disco", "Ann", ""), ("/x/3.mp3", "disco", "Bob", "")]
    with pytest.raises(CatalogueInvalid, match=r"3 artists or more.*disco has 2") as error:
        assign(catalogue(rows))
    assert "jazz" not in str(error.value)
    assert set(splits_of(assign(catalogue(rows), fractions=(0.8, 0.2, 0))).values()) == {"train", "valid"}


@pytest.mark.parametrize("fractions", [(0.8, 0.1), (0.8, 0.1, 0.2), (1.1, -0.1, 0), (0, 0.5, 0.5)])
def test_fractions_that_are_no_shares_are_refused(fractions: tuple[float, ...]):
    with pytest.raises(ConfigurationError, match="add up to 1"):
        assign(library(), fractions=fractions)


def test_artist_key():
    assert artist_key(" Shane  JACKMAN ") == artist_key("Shane Jackman") == "shane jackman"
    assert artist_key("Various Artists") == artist_key("Magnatune Compilation") == artist_key("") == ""


@pytest.mark.real_data
def test_emotify_can_be_split_again_by_artist(real_data: Path):
    tracks = read(real_data / "emotify" / "tracks.csv").tracks.assign(split="")
    result = assign(Catalogue(tracks)).tracks
    artists = result["artist"].map(artist_key)
    assert result[artists != ""].groupby(artists)["split"].nunique().max() == 1
    shares = pd.crosstab(result["genre"], result["split"], normalize="index").to_numpy()
    assert shares == pytest.approx(np.tile([0.1, 0.8, 0.1], (4, 1)), abs=0.03)
