from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest
from tagged_songs import write_song

from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_table import read
from genre_lib.errors import CatalogueInvalid, LabelsInvalid, LibraryEmpty, NoAudio
from genre_lib.spotify.catalogue import Built, Numbers, build, with_enough_artists
from genre_lib.spotify.library import Library, Track
from genre_lib.spotify.music_folder import MusicFolder

ISRC = "GBAYE0601498"


def track(key: str, title: str, *artists: str, duration: float = 1.0, **changes: str) -> Track:
    return Track(key, title, artists or ("Ana",), duration=duration, **changes)


def library(*tracks: Track) -> Library:
    return Library("me", {each.id: each for each in tracks})


@pytest.fixture
def folder(tmp_path: Path) -> MusicFolder:
    root = tmp_path / "music"
    write_song(root / "yellow.wav", artist="Ana", title="Yellow", album="First")
    write_song(root / "blue.wav", artist="Luis", title="Blue", isrc=ISRC)
    write_song(root / "Maya" / "03 Green.wav")
    return MusicFolder(root, tmp_path / "cache")


TRACKS = (
    track("t1", "Yellow - Remastered 2009", "Ana", "Luis", album="First"),
    track("t2", "Blue", "Luis", isrc=ISRC),
    track("t3", "Green", "Maya"),
    track("t4", "Red"),
    track("t5", "White"),
)
LABELS = {"t1": "Hip-Hop", "t2": "rock", "t3": "rock", "t4": "rock", "elsewhere": "jazz"}


def test_labelled_tracks_with_a_file_become_rows(folder: MusicFolder):
    built = build(library(*TRACKS), LABELS, folder, rules={"t1": "artist genre", "t2": "tag"})
    table = built.catalogue.tracks
    assert list(table["path"]) == [str(folder.root / name) for name in ("yellow.wav", "blue.wav", "Maya/03 Green.wav")]
    assert list(table["genre"]) == ["hiphop", "rock", "rock"]
    assert list(table["artist"]) == ["Ana", "Luis", "Maya"]  # the main one, for splits
    assert list(table["title"]) == ["Yellow - Remastered 2009", "Blue", "Green"]
    assert list(table["spotify_id"]) == ["t1", "t2", "t3"]
    assert list(table["match"]) == ["artist_title", "isrc", "file_name"]
    assert list(table["sureness"]) == [0.97, 1.0, round(0.97 * 0.95, 3)]
    assert list(table["label_rule"]) == ["artist genre", "tag", ""]
    assert set(table["source"]) == {"spotify"}
    assert set(table["duration"]) == {1.0}
    assert built.numbers == Numbers(
        tracks=5,
        labelled=4,
        unlabelled=1,
        matched=3,
        by_code=1,
        by_name=1,
        by_file_name=1,
        no_file=1,
        rows=3,
        artists=3,
    )


def test_the_catalogue_is_read_as_it_was_written(folder: MusicFolder, tmp_path: Path):
    built = build(library(*TRACKS), LABELS, folder)
    assert "label_rule" not in built.catalogue.tracks
    again = read(built.catalogue.write(tmp_path / "library.csv"))
    assert list(again.tracks["path"]) == list(built.catalogue.tracks["path"])
    assert list(again.tracks["genre"]) == list(built.catalogue.tracks["genre"])
    assert list(again.tracks["spotify_id"]) == ["t1", "t2", "t3"]


def test_numbers_add_up(folder: MusicFolder):
    numbers = build(library(*TRACKS), LABELS, folder).numbers.to_dict()
    assert numbers["labelled"] + numbers["unlabelled"] == numbers["tracks"]
    assert numbers["matched"] + numbers["no_file"] == numbers["labelled"]
    assert numbers["by_code"] + numbers["by_name"] + numbers["by_file_name"] == numbers["matched"]


AGAIN = track("t6", "Yellow", "Ana", album="Greatest Hits")


def test_two_releases_of_a_recording_are_one_row(folder: MusicFolder):
    built = build(library(*TRACKS, AGAIN), LABELS | {"t6": "hiphop"}, folder)
    assert len(built.catalogue) == 3
    assert (built.numbers.matched, built.numbers.repeats, built.numbers.conflicts) == (4, 1, 0)


def test_a_file_under_two_labels_is_left_out_and_counted(folder: MusicFolder):
    labels: Mapping[str, str] = LABELS | {"t2": "jazz", "t6": "rock"}
    built = build(library(*TRACKS, AGAIN), labels, folder)
    assert list(built.catalogue.tracks["spotify_id"]) == ["t2", "t3"]
    assert (built.numbers.conflicts, built.numbers.rows) == (1, 2)


def test_a_track_that_is_less_surely_the_file_does_not_spoil_it(folder: MusicFolder):
    slip = track("t7", "Yelluw", "Ana")
    built = build(library(*TRACKS, slip), LABELS | {"t7": "rock"}, folder)
    assert "t7" not in set(built.catalogue.tracks["spotify_id"])
    assert (built.numbers.less_sure, built.numbers.conflicts, built.numbers.rows) == (1, 0, 3)


def test_progress_counts_the_labelled_tracks(folder: MusicFolder):
    told: list[tuple[int, int]] = []
    build(library(*TRACKS), LABELS, folder, progress=lambda *numbers: told.append(numbers))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_empty_library_is_told(folder: MusicFolder):
    with pytest.raises(LibraryEmpty, match="genre spotify fetch"):
        build(library(), LABELS, folder)


@pytest.mark.parametrize("labels", [{}, {"t1": " "}, {"unknown": "rock"}])
def test_a_library_without_labels_is_told(folder: MusicFolder, labels: dict[str, str]):
    with pytest.raises(LabelsInvalid, match="None of the 5 tracks"):
        build(library(*TRACKS), labels, folder)


def test_music_that_is_not_in_the_library_is_no_audio(folder: MusicFolder):
    with pytest.raises(NoAudio, match="None of the 1 labelled track is among the 3 files"):
        build(library(track("t4", "Red")), {"t4": "rock"}, folder)


def test_a_folder_without_audio_is_told(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoAudio, match="There is no audio file in"):
        build(library(*TRACKS), LABELS, MusicFolder(tmp_path / "empty", tmp_path / "cache"))


def test_one_label_alone_cannot_be_trained_on(folder: MusicFolder):
    with pytest.raises(CatalogueInvalid, match=r"only 'rock' \(2 files\), of 3 labelled tracks, 1 without a file"):
        build(library(*TRACKS[1:4]), LABELS, folder)


def test_labels_that_all_contradict_each_other_leave_none(folder: MusicFolder):
    with pytest.raises(CatalogueInvalid, match="1 file stood under several labels"):
        build(library(TRACKS[0], AGAIN), {"t1": "rock", "t6": "jazz"}, folder)


# --- labels of few artists ----------------------------------------------------------------------------------------


def built_of(**artists: int) -> Built:
    """A table with a file by each of so many artists, by label."""
    rows = [
        {"path": f"/{label}/{number}.wav", "genre": label, "artist": f"{label} {number}", "split": "", "source": ""}
        for label, count in artists.items()
        for number in range(count)
    ]
    return Built(Catalogue(pd.DataFrame(rows)), Numbers(rows=len(rows), artists=len(rows)))


def test_labels_of_too_few_artists_are_left_out_and_counted():
    left = with_enough_artists(built_of(rock=4, jazz=3, polka=2, dub=1))
    assert left.catalogue.genres == ["jazz", "rock"]
    assert (left.numbers.small, left.numbers.rows, left.numbers.artists) == (3, 7, 7)
    whole = built_of(rock=3, jazz=3)
    assert with_enough_artists(whole) is whole


def test_one_label_of_enough_artists_is_too_few():
    with pytest.raises(CatalogueInvalid, match=r"files by 3 artists each; of 3 labels 1 has\. Add music"):
        with_enough_artists(built_of(rock=4, jazz=2, polka=2))
