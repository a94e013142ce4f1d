from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from genre_lib.errors import ConfigurationError
from genre_lib.spotify import invented, replies
from genre_lib.spotify.ids import ID
from genre_lib.spotify.summary import genres_of, summarise


def test_a_library_has_the_sizes_that_were_asked_for():
    library = invented.world(tracks=300, playlists=40, artists=80, seed=3).library()
    found = summarise(library)
    assert (found.tracks, found.artists) == (300, 80)
    assert found.playlists == 30  # three quarters of them can be read
    assert found.refused["playlist not_yours"] + found.refused["playlist spotifys_own"] == 10


def test_the_seed_decides_everything():
    first, second = (invented.world(tracks=60, playlists=8, artists=20, seed=1) for _ in range(2))
    assert first == second
    assert first != invented.world(tracks=60, playlists=8, artists=20, seed=2)


def test_all_that_makes_real_libraries_difficult_is_there():
    made = invented.world(tracks=2000, playlists=60, artists=300)
    found = summarise(made.library())
    assert {"track null", "track episode", "track local_file", "playlist null"} <= set(found.refused)
    assert 0.9 * 2000 < found.with_isrc < 2000
    assert any(not artist["genres"] for artist in made.artists.values())
    assert len({artist["name"] for artist in made.artists.values()}) == 300
    assert max(len(entries) for entries in made.entries.values()) > 50  # more than a page
    assert {head["owner"]["id"] for head in made.playlists if head} == {
        *(invented.USER, "invented-friend", "invented-stranger", "spotify"),
    }


def test_ids_and_codes_have_the_form_of_real_ones():
    made = invented.world(tracks=60, playlists=8, artists=20)
    assert all(ID.fullmatch(id) for id in (*made.tracks, *made.artists, *made.entries))
    codes = [track.isrc for track in made.library().tracks.values() if track.isrc]
    assert all(replies.isrc(code) == code and code.startswith("ZZ") for code in codes)
    assert len(set(codes)) == len(codes)


def test_every_track_is_in_the_library_and_every_listing_holds_known_tracks():
    made = invented.world(tracks=60, playlists=8, artists=20)
    library = made.library()
    assert set(library.tracks) == set(made.tracks)
    assert all(sources & {"saved", "playlists"} for sources in library.sources.values())


@pytest.mark.parametrize("sizes", [{"artists": 0}, {"tracks": 5, "artists": 6}, {"playlists": 3}])
def test_sizes_that_cannot_be_are_refused(sizes: dict):
    with pytest.raises(ConfigurationError, match="An invented library needs"):
        invented.world(**{"tracks": 20, "artists": 5, "playlists": 4} | sizes)


def test_playlists_lean_to_a_genre():
    made = invented.library_of(rows(genres=4, each=100))
    library = made.library()
    tops = []
    for playlist in library.playlists:
        genres = [title_genre(library.tracks[id].title) for id in playlist.track_ids]
        tops.append(Counter(genres).most_common(1)[0][1] / len(genres))
    assert sum(tops) / len(tops) > 0.6  # by chance it would be about 0.3


def rows(genres: int, each: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"path": f"{genre}/{number}.wav", "genre": f"genre{genre}", "artist": f"Artist {genre}-{number % 7}"}
        | {"title": f"genre{genre} song {number}", "duration": 200.0 + number}
        for genre in range(genres)
        for number in range(each)
    )


def title_genre(title: str) -> str:
    return title.split()[0]


def test_a_catalogues_rows_are_the_librarys_tracks(synthetic_catalogue: Path):
    table = pd.read_csv(synthetic_catalogue / "catalogue.csv")
    library = invented.library_of(table, seed=5).library()
    told = {(track.artist, track.title, track.duration) for track in library.tracks.values()}
    assert told == set(zip(table["artist"], table["title"], table["duration"], strict=True))
    genre_of = dict(zip(table["artist"], table["genre"], strict=True))
    fine = {genre: set(names) for genre, names in invented.names.MICRO_GENRES.items()}
    assert all(set(genres_of(t, library)) <= fine[genre_of[t.artist]] for t in library.tracks.values())


def test_what_a_catalogue_lacks_is_made_up():
    table = pd.DataFrame({"path": ["x/One.wav", "x/Two.wav"], "genre": "polka", "artist": "Band"})
    table["isrc"], table["title"] = ["USRC17607839", float("nan")], [float("nan"), "Second"]
    tracks = sorted(invented.library_of(table).library().tracks.values(), key=lambda track: track.title)
    assert [track.title for track in tracks] == ["One", "Second"]
    assert tracks[0].isrc == "USRC17607839"
    assert all(95 <= track.duration <= 420 for track in tracks)
