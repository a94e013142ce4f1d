"""Names of Spotify libraries, where a folder of music may be named."""

from __future__ import annotations

from pathlib import Path

import pytest

from genre_lib.errors import ConfigurationError
from genre_lib.settings import get_settings
from genre_lib.spotify.place import SpotifyPlace


@pytest.mark.parametrize(
    ("text", "user", "kind"),
    [
        ("spotify:me/playlist", "me", "playlist"),
        ("spotify:me", "me", "genre"),
        ("spotify:ann.b-1~2_3/genre", "ann.b-1~2_3", "genre"),
    ],
)
def test_a_name_says_whose_library_and_which_labels(text, user, kind):
    place = SpotifyPlace.parse(text)

    assert place == SpotifyPlace(user, kind)
    assert SpotifyPlace.parse(str(place)) == place


def test_a_file_of_labels_is_named_whole(tmp_path):
    place = SpotifyPlace.parse(f"spotify:me/csv:{tmp_path}/my genres.csv")

    assert place is not None
    assert place.file == tmp_path / "my genres.csv"
    assert SpotifyPlace.parse(str(place)) == place


@pytest.mark.parametrize("text", ["music/jazz", "synthetic", Path("spotify"), "/spotify:me"])
def test_other_places_are_none_of_these(text):
    assert SpotifyPlace.parse(text) is None


@pytest.mark.parametrize(
    "text", ["spotify:", "spotify:a b/genre", "spotify:../genre", "spotify:me/../x", "spotify:a\0"]
)
def test_a_user_that_cannot_be_one_is_refused(text):
    with pytest.raises(ConfigurationError, match=r"Spotify user|Expected as labels"):
        SpotifyPlace.parse(text)


@pytest.mark.parametrize("labels", ["genres", "csv", "csv:", "genre:x", "playlist:", ""])
def test_labels_that_are_none_are_refused_by_the_ones_there_are(labels):
    with pytest.raises(ConfigurationError, match="csv:FILE"):
        SpotifyPlace.of("me", labels)


def test_every_library_and_kind_of_labels_has_a_table_of_its_own(tmp_path):
    settings = get_settings(spotify_path=tmp_path)
    names = [
        "spotify:me/genre",
        "spotify:me/playlist",
        "spotify:ann/genre",
        "spotify:me/csv:a.csv",
        "spotify:me/csv:b.csv",
    ]
    tables = {SpotifyPlace.parse(name).table(settings) for name in names}  # type: ignore[union-attr]

    assert len(tables) == len(names)
    assert all(table.parent == tmp_path / "catalogues" for table in tables)
