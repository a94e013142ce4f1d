"""From a fetched library to the table that stands for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from library_server import PlainClient, serving
from tagged_songs import write_song

from genre_lib.data.catalogue_source import open_one
from genre_lib.errors import ConfigurationError, LibraryEmpty
from genre_lib.settings import Settings, get_settings
from genre_lib.spotify import invented
from genre_lib.spotify.collect import collect
from genre_lib.spotify.invented_world import World
from genre_lib.spotify.personal import label, library_of, make_table, user_of
from genre_lib.spotify.place import SpotifyPlace
from genre_lib.spotify.store import Store
from genre_lib.spotify.tokens import Tokens

CAME = {"access_token": "access-1", "refresh_token": "refresh-1", "expires_at": 5000, "scope": ""}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return get_settings(
        spotify_client_id="app",
        spotify_path=tmp_path / "kept",
        music_path=tmp_path / "music",
        cache_path=tmp_path / "cache",
    )


@pytest.fixture
def world(settings: Settings) -> World:
    """A library that was fetched, with a file of a second for each of its tracks, which say their ISRC."""
    world = invented.world(tracks=40, playlists=8, artists=20)
    for track in world.tracks.values():
        track["duration_ms"] = 1000
    with serving(world) as server:
        collect(PlainClient(server.url), Store.of(settings))
    for number, track in enumerate(world.tracks.values()):
        tags = {"artist": track["artists"][0]["name"], "title": track["name"]}
        write_song(settings.music_path / f"{number}.wav", **tags)  # type: ignore[operator]
    return world


def genres_of(world: World, settings: Settings) -> Path:
    """A table of labels: the first half of the tracks is high, the second low."""
    path = settings.spotify_path / "mine.csv"
    labels = ["high" if number < 20 else "low" for number in range(40)]
    path.write_text("id,genre\n" + "".join(f"{id},{name}\n" for id, name in zip(world.tracks, labels, strict=True)))
    return path


def test_a_library_becomes_the_table_that_its_name_stands_for(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    place = SpotifyPlace.of("me", f"csv:{genres_of(world, settings)}")
    told = []
    made = make_table(place, library_of(place, settings), settings, progress=lambda *step: told.append(step))
    assert made.table == place.table(settings) == place.made(settings)
    table = open_one(made.table).tracks
    monkeypatch.setenv("SPOTIFY_PATH", str(settings.spotify_path))
    assert open_one(str(place)).tracks.equals(table)
    assert len(table) == made.numbers.rows == len(made.catalogue)
    assert made.numbers.labelled == made.numbers.matched == 40
    assert set(table["genre"]) == {"high", "low"}
    assert told[-1] == (40, 40)


def test_a_table_that_was_not_made_says_which_command_makes_it(settings: Settings):
    with pytest.raises(LibraryEmpty, match=r"spotify:me/genre stands for .*`genre spotify catalogue` makes it"):
        SpotifyPlace().made(settings)


def test_me_is_whoever_signed_in(settings: Settings):
    store = Store.of(settings)
    for user in ("ann", "bob"):
        store.begin(user, ["saved"])
    found = Tokens.of(settings).begin(CAME)
    store.remember(f"me {found.account}", "bob")
    assert user_of(SpotifyPlace("me"), settings, store) == "bob"
    assert user_of(SpotifyPlace("ann"), settings, store) == "ann"


def test_of_several_libraries_one_must_be_named_where_nobody_is_signed_in(settings: Settings):
    store = Store.of(settings)
    with pytest.raises(LibraryEmpty, match="run `genre spotify fetch` first"):
        user_of(SpotifyPlace("me"), settings, store)
    store.begin("ann", ["saved"])
    assert user_of(SpotifyPlace("me"), settings, store) == "ann"
    store.begin("bob", ["saved"])
    with pytest.raises(LibraryEmpty, match="or name one of ann, bob with --user-id"):
        user_of(SpotifyPlace("me"), settings, store)


def test_an_empty_library_has_no_labels(settings: Settings):
    with pytest.raises(LibraryEmpty, match="no tracks in the library of ann; run `genre spotify fetch`"):
        label(SpotifyPlace("ann"), library_of(SpotifyPlace("ann"), settings))


def test_without_a_folder_of_music_it_is_asked_for(world: World, settings: Settings):
    place = SpotifyPlace.of("me", f"csv:{genres_of(world, settings)}")
    with pytest.raises(ConfigurationError, match="set MUSIC_PATH"):
        make_table(place, library_of(place, settings), settings.model_copy(update={"music_path": None}))
