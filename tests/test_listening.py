"""What notebook 05 shows of a library, on the recorded one and on small ones made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tagged_songs import write_song

from genre_lib import listening, plots
from genre_lib.data.catalogue import Catalogue
from genre_lib.errors import CatalogueInvalid, ConfigurationError, LabelsInvalid, LibraryEmpty
from genre_lib.listening import Opened
from genre_lib.predictions import Prediction
from genre_lib.settings import Settings, get_settings
from genre_lib.spotify import invented_music
from genre_lib.spotify.labelling import Labels, by_genre, by_playlist
from genre_lib.spotify.library import Library, Playlist, Refused, Track
from genre_lib.spotify.music_folder import MusicFolder
from genre_lib.spotify.previews import SpotifyPreviews


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return listening.open_library("invented", get_settings(cache_path=tmp_path_factory.mktemp("cache")))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return get_settings(cache_path=tmp_path / "cache", spotify_path=tmp_path / "kept")


def track(number: int, preview: str = "") -> Track:
    return Track(f"{number:022}", f"Song {number}", (f"Artist {number}",), ("a",), duration=1.0, preview_url=preview)


def small(folder: Path, settings: Settings, files: int = 2) -> Opened:
    """Four tracks on two playlists, the first of which have files."""
    preview = "https://p.scdn.co/mp3-preview/x"
    tracks = {one.id: one for one in (track(1, preview), track(2), track(3, preview), track(4))}
    ids = list(tracks)
    playlists = [Playlist("p", "One", "me", tuple(ids[:3])), Playlist("q", "Two", "me", tuple(ids[2:]))]
    for number in range(1, files + 1):
        write_song(folder / f"{number}.wav", artist=f"Artist {number}", title=f"Song {number}")
    folder.mkdir(exist_ok=True)
    music = MusicFolder(folder, settings.cache_path)
    library = Library("me", tracks, playlists, {"a": ("bebop",)}, refused=[Refused("track", "local_file")])
    return Opened(library, [music, SpotifyPreviews(settings)], music)


# --- the recorded library -----------------------------------------------------------------------------------------


def test_the_recorded_library_is_whole_and_the_same_each_time(recorded: Opened, tmp_path: Path):
    heard = 4 * invented_music.SONGS
    assert len(recorded.library.tracks) == heard + 8 * invented_music.UNHEARD_SONGS
    assert len(recorded.folder.files) == heard * 5 // 6
    again = invented_music.make(tmp_path / "again")
    assert again.library == recorded.library
    first = sorted(recorded.folder.root.iterdir())[0]
    assert (again.folder / first.name).read_bytes() == first.read_bytes()


def test_music_that_was_made_is_not_made_again(tmp_path: Path):
    (tmp_path / "made").mkdir()
    assert not list(invented_music.make(tmp_path / "made").folder.iterdir())


def test_the_recorded_playlists_can_be_told_apart(recorded: Opened):
    """Every file of the folder is found for its track, and no other is."""
    catalogue = listening.heard(recorded, by_playlist(recorded.library))
    for row in catalogue.tracks.itertuples():
        assert Path(row.path).stem == f"{row.artist} - {row.title}"
    assert len(by_genre(recorded.library).genres) > 100


# --- what is counted ----------------------------------------------------------------------------------------------


def test_contents_are_counted(tmp_path: Path, settings: Settings):
    told = listening.contents(small(tmp_path / "music", settings).library)["number"]
    assert (told["tracks"], told["playlists that can be read"], told["refused: track local file"]) == (4, 2, 1)


def test_coverage_counts_what_a_source_has_and_what_it_adds(tmp_path: Path, settings: Settings):
    found = listening.covered(small(tmp_path / "music", settings))
    assert found.to_dict("records") == [
        {"source": "folder", "has": 2, "adds": 2},  # tracks 1 and 2
        {"source": "spotify", "has": 2, "adds": 1},  # tracks 1 and 3
    ]


def test_playlists_are_cut_by_genre(tmp_path: Path, settings: Settings):
    library = small(tmp_path / "music", settings).library
    ids = list(library.tracks)
    mix = listening.playlist_mix(library, Labels({ids[0]: "jazz", ids[2]: "rock"}))
    assert mix.set_index(["playlist", "genre"])["tracks"].to_dict() == {
        ("One", "jazz"): 1,
        ("One", "rock"): 1,
        ("One", "no clear genre"): 1,
        ("Two", "rock"): 1,
        ("Two", "no clear genre"): 1,
    }


def test_where_spotify_names_no_genres_the_rest_is_still_shown(tmp_path: Path, settings: Settings):
    opened = small(tmp_path / "music", settings)
    genres = listening.genres_of(opened.library)  # bebop alone is no choice
    assert genres.genres == {}
    assert genres.summary().to_dict("records") == [{"what": "left out: too few genres are named", "tracks": 4}]
    assert plots.genre_map(genres.by_name()).axes[0].get_title(loc="left") == "0 genre names as 0 genres"
    mix = listening.playlist_mix(opened.library, genres)
    assert set(mix["genre"]) == {"no clear genre"}
    (axes,) = plots.playlist_mix(mix).axes
    assert [bar.get_width() for bar in axes.patches] == [3, 2]


def test_a_library_that_was_not_fetched_and_a_folder_that_is_not_named(settings: Settings):
    with pytest.raises(LibraryEmpty, match="genre spotify fetch"):
        listening.open_library("me", settings)
    with pytest.raises(ConfigurationError, match="MUSIC_PATH"):
        listening.open_library("ann", settings)


# --- playlists by their sound -------------------------------------------------------------------------------------


def described(artists: int, apart: float) -> tuple[pd.DataFrame, Catalogue]:
    """Two playlists of two songs by each artist, whose descriptors are so far apart, beside noise of one."""
    random = np.random.default_rng(0)
    rows = [
        {"path": f"/{name}/{artist}/{song}", "genre": name, "artist": f"{name} {artist}"}
        for name in ("calm", "wild")
        for artist in range(artists)
        for song in range(2)
    ]
    table = pd.DataFrame(rows).assign(split="", source="")
    sounds = pd.DataFrame(random.normal(size=(len(rows), len(listening.SOUNDS))), columns=list(listening.SOUNDS))
    sounds += apart * (table["genre"] == "wild").to_numpy(dtype=float)[:, None]
    return table[["path", "genre"]].join(sounds), Catalogue(table)


def test_playlists_that_sound_different_are_told_apart():
    apart = listening.told_apart(*described(artists=6, apart=6.0))
    assert (apart.names, apart.right) == (["calm", "wild"], 24)
    assert apart.sentence() == (
        "By sound alone 24 of 24 tracks are put on the playlist that they are on; naming the largest one always would "
        "be right 12 times."
    )


def test_an_artists_voice_is_not_learned_from():
    """Each artist sounds like no other and like both playlists: only one who had heard them could tell."""
    table, catalogue = described(artists=12, apart=0.0)
    voices = np.random.default_rng(1).normal(scale=20, size=(24, len(listening.SOUNDS)))
    table[list(listening.SOUNDS)] += voices[catalogue.tracks.groupby("artist", sort=False).ngroup().to_numpy()]
    assert listening.told_apart(table, catalogue).right < 36  # of 48; half of them by chance


def test_playlists_of_few_artists_are_left_out():
    with pytest.raises(CatalogueInvalid, match="two with 6 files by 3 artists or more; there are 0"):
        listening.told_apart(*described(artists=2, apart=6.0))


def test_the_playlist_is_the_named_one_or_the_largest():
    table, catalogue = described(artists=3, apart=1.0)
    larger = Catalogue(catalogue.tracks.iloc[2:])
    assert listening.playlist_named(larger, None) == "wild"
    assert listening.playlist_named(larger, " Calm ") == "calm"
    with pytest.raises(LabelsInvalid, match="is 'loud'; there are calm, wild"):
        listening.playlist_named(larger, "loud")
    assert len(table) == 12


def test_a_playlist_on_the_whole_is_the_mean():
    every = [
        [Prediction("jazz", 0.9), Prediction("rock", 0.1)],
        [Prediction("rock", 0.7), Prediction("jazz", 0.3)],
    ]
    told = listening.on_the_whole(every)
    assert [one.genre for one in told] == ["jazz", "rock"]
    assert [one.confidence for one in told] == pytest.approx([0.6, 0.4])
