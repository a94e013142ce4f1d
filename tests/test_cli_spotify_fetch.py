from __future__ import annotations

import csv
from pathlib import Path

import pytest
from library_server import PlainClient, serving

from genre_lib.cli.spotify_fetch import COLUMNS, fetch_by
from genre_lib.errors import QuotaExceeded
from genre_lib.spotify import invented
from genre_lib.spotify.invented_world import World
from genre_lib.spotify.listings import SOURCES
from genre_lib.spotify.store import Store


@pytest.fixture
def world() -> World:
    return invented.world(tracks=40, playlists=8, artists=30)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "spotify")


def numbers(output: str) -> dict[str, str]:
    """The table that was printed, by its first column."""
    rows = [line.rsplit(maxsplit=1) for line in output.splitlines()[1:]]
    return {name.strip(): number for name, number in rows}


def test_the_library_is_told_in_numbers(world: World, store: Store, capsys: pytest.CaptureFixture[str]):
    with serving(world) as server:
        fetch_by(PlainClient(server.url), store, list(SOURCES), None, None)
    told = numbers(capsys.readouterr().out)
    assert (told["tracks"], told["artists"], told["playlists"]) == ("40", "30", "6")
    assert (told["refused: playlist not yours"], told["refused: playlist spotifys own"]) == ("1", "1")
    assert (told["calls to Spotify"], told["complete"]) == (str(len(server.asked)), "yes")


def test_the_tracks_are_written_as_a_table(world: World, store: Store, tmp_path: Path):
    with serving(world) as server:
        fetch_by(PlainClient(server.url), store, list(SOURCES), None, tmp_path / "tracks.csv")
    with (tmp_path / "tracks.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    library = store.library(invented.USER)
    assert set(rows) == set(library.tracks)
    playlist = max(library.playlists, key=lambda playlist: len(playlist.track_ids))
    id = playlist.track_ids[0]
    row, track = rows[id], library.tracks[id]
    assert tuple(row) == COLUMNS
    assert (row["title"], row["artists"], row["isrc"]) == (track.title, "; ".join(track.artists), track.isrc)
    assert float(row["duration"]) == track.duration
    assert playlist.name in row["playlists"].split("; ")
    assert "playlists" in row["sources"].split("; ")
    genres = library.artist_genres[track.artist_ids[0]]
    assert row["artist_genres"].split("; ")[: len(genres)] == list(genres or [""])[: len(genres)]


def test_where_calls_are_used_up_what_is_there_is_told(
    world: World, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with serving(world, artist_quota=0) as server, pytest.raises(QuotaExceeded, match="Kept: 40 tracks"):
        fetch_by(PlainClient(server.url), store, list(SOURCES), None, tmp_path / "tracks.csv")
    told = numbers(capsys.readouterr().out)
    assert (told["tracks"], told["complete"]) == ("40", "no")
    assert not (tmp_path / "tracks.csv").exists()
