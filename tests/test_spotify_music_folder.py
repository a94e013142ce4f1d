from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tagged_songs import write_song

from genre_lib.errors import CatalogueNotFound
from genre_lib.spotify.folder_index import MusicFile, place_of
from genre_lib.spotify.library import Track
from genre_lib.spotify.music_folder import MusicFolder
from genre_lib.spotify.titles import parse

ISRC = "GBAYE0601498"


def track(title: str, *artists: str, duration: float = 200.0, **changes: str) -> Track:
    return Track("0" * 22, title, artists or ("Ana",), duration=duration, **changes)  # type: ignore[arg-type]


@pytest.fixture
def music(tmp_path: Path) -> Path:
    root = tmp_path / "music"
    write_song(root / "a.wav", artist="Ana", title="Yellow", album="First", isrc="GB-AYE-06-01498")
    write_song(root / "Luis" / "02 Blue.wav", seconds=2.0)
    (root / "notes.mp3").write_text("no music")
    return root


def test_a_folder_is_found_by_tags_and_by_names(music: Path, tmp_path: Path):
    folder = MusicFolder(music, tmp_path / "cache")
    sound = folder.find(track("Yellow", duration=1.0))
    assert sound is not None
    assert (sound.source, sound.how, sound.path, sound.content) == ("folder", "artist_title", music / "a.wav", None)
    assert folder.has(track("x", isrc=ISRC, duration=1.0)) == 0.9
    by_name = folder.find(track("Blue", "Luis", duration=2.0))
    assert by_name is not None
    assert by_name.path == music / "Luis" / "02 Blue.wav"
    assert folder.find(track("Green")) is None
    assert folder.has(track("Green")) == 0.0


def test_what_is_no_audio_is_kept_as_such_and_never_found(music: Path, tmp_path: Path):
    folder = MusicFolder(music, tmp_path / "cache")
    assert {each.path: each.readable for each in folder.files} == {
        "Luis/02 Blue.wav": True,
        "a.wav": True,
        "notes.mp3": False,
    }
    assert folder.find(track("notes", "music", duration=0.0)) is None


def test_only_what_changed_is_read_again(music: Path, tmp_path: Path):
    cache = tmp_path / "cache"
    first = MusicFolder(music, cache).files
    place = place_of(music, cache)
    place.write_text(place.read_text().replace("Yellow", "Kept"))  # were it read again, this would be gone
    write_song(music / "b.wav", artist="Ana", title="New")
    (music / "notes.mp3").unlink()
    told: list[tuple[int, int]] = []
    again = MusicFolder(music, cache, lambda *numbers: told.append(numbers)).files
    assert [each.title for each in again] == ["", "Kept", "New"]
    assert told == [(1, 3), (2, 3), (3, 3)]
    write_song(music / "a.wav", seconds=3.0, artist="Ana", title="Changed")
    assert [each.title for each in MusicFolder(music, cache).files] == ["", "Changed", "New"]
    assert len(first) == 3


def test_a_change_of_time_or_of_size_alone_is_a_change(music: Path, tmp_path: Path):
    song, titles = music / "a.wav", []
    changed = song.stat().st_mtime_ns
    assert MusicFolder(music, tmp_path / "cache").files[1].title == "Yellow"
    for title, later in (("Orange", 1), ("Longer than that by far", 1)):  # as long as Yellow; longer, at one time
        write_song(song, artist="Ana", title=title, album="First", isrc="GB-AYE-06-01498")
        os.utime(song, ns=(changed + later, changed + later))
        titles.append((MusicFolder(music, tmp_path / "cache").files[1].title, song.stat().st_size))
    (first, size), (second, other_size) = titles
    assert (first, second) == ("Orange", "Longer than that by far")
    assert size != other_size


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"version": 1}', '{"version": 1, "files": [[1]]}', '{"version": 0}']
)
def test_a_damaged_index_is_made_anew(music: Path, tmp_path: Path, damage: str):
    cache = tmp_path / "cache"
    files = MusicFolder(music, cache).files
    place_of(music, cache).write_text(damage)
    assert MusicFolder(music, cache).files == files


def test_a_file_that_is_gone_since_is_no_sound(music: Path, tmp_path: Path):
    folder = MusicFolder(music, tmp_path / "cache")
    assert folder.has(track("Yellow", duration=1.0)) > 0
    (music / "a.wav").unlink()
    assert folder.find(track("Yellow", duration=1.0)) is None


def test_a_missing_folder_is_told(tmp_path: Path):
    with pytest.raises(CatalogueNotFound, match="MUSIC_PATH"):
        MusicFolder(tmp_path / "none", tmp_path).has(track("Yellow"))


@pytest.mark.real_data
def test_real_files_are_found_by_their_tags(real_data: Path, tmp_path: Path):
    """Each as Spotify may write it; six names stand twice in the set, of which the album or the file decides."""
    folder = MusicFolder(real_data / "emotify", tmp_path)
    wanted = [
        (file, Track("x", f"{file.title.upper()} - Remastered 2009", (file.artist, "Ana"), album=file.album,
                     duration=file.duration + 1))
        for file in folder.files
    ]  # fmt: skip
    matches = [(file, folder.match(each)) for file, each in wanted]
    right = [found is not None and named(folder.files[found.file]) == named(file) for file, found in matches]
    assert len(right) == 300
    assert sum(right) == 300
    live = [folder.match(replace(each, title=f"{file.title} - Live")) for file, each in wanted]
    assert live == [None] * 300


def named(file: MusicFile) -> tuple[str, str]:
    return file.artist, parse(file.title).key
