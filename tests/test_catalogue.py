"""Catalogues: from tables as people write them, from folders, from tags; and what is said when they cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import mutagen.id3
import mutagen.wave
import pandas as pd
import pytest

from genre_lib.data.catalogue import Catalogue, concatenate
from genre_lib.data.catalogue_folder import CatalogueWarning, from_folder, from_tags
from genre_lib.data.catalogue_source import build
from genre_lib.data.catalogue_table import read
from genre_lib.errors import CatalogueInvalid, CatalogueNotFound


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "music.csv"
    path.write_text(text, encoding=encoding)
    return path


def tag(path: Path, **frames: str) -> Path:
    """Write ID3 text frames, by their names, into a WAV."""
    file = mutagen.wave.WAVE(path)
    file.add_tags()
    for name, text in frames.items():
        file.tags.add(getattr(mutagen.id3, name)(text=[text]))
    file.save()
    return path


@pytest.fixture
def song(tmp_path: Path, tone: Callable, write_wav: Callable) -> Callable[..., Path]:
    """Write a short WAV below ``tmp_path``, with tags where they are given."""

    def write(name: str, **frames: str) -> Path:
        path = write_wav(tmp_path / name, tone(0.05))
        return tag(path, **frames) if frames else path

    return write


# Tables


def test_a_file_s_name_may_be_any_bytes(tmp_path: Path, song: Callable):
    odd = os.fsdecode(b"bad\xe9, take 2.wav")
    paths = [song(f"music/{genre}/{name}") for genre in ("jazz", "rock") for name in (odd, "a.wav")]
    written = from_folder(tmp_path / "music").write(tmp_path / "tracks.csv")
    assert read(written).tracks["path"].tolist() == sorted(map(str, paths), key=lambda path: (Path(path).parent, path))
    assert b"music/jazz/bad\xe9, take 2.wav" in written.read_bytes()


@pytest.mark.parametrize("row", [b"a.mp3,chans\xf3n", b"Bj\xf6rk.mp3,rock", b"bad\xe9.wav,chans\xf3n"])
def test_other_bytes_than_those_of_a_file_s_name_are_refused(tmp_path: Path, song: Callable, row: bytes):
    song(os.fsdecode(b"bad\xe9.wav"))
    (tmp_path / "music.csv").write_bytes(b"path,genre\n" + row + b"\n")
    with pytest.raises(CatalogueInvalid, match=r"text in UTF-8; invalid .* Save it as UTF-8 CSV"):
        read(tmp_path / "music.csv")


def test_a_genre_s_folder_whose_name_is_no_text_is_read_as_latin_1(tmp_path: Path, song: Callable):
    song(os.fsdecode(b"music/choro an\xe7o/1.wav"))
    song("music/rock/1.wav")
    assert from_folder(tmp_path / "music").genres == ["choro anço", "rock"]


def test_paths_may_be_relative_absolute_or_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    csv = table(tmp_path, "path,genre\na/1.mp3,rock\n/music/2.mp3,jazz\n~/3.mp3,jazz\n../4.mp3,rock\n")
    expected = [tmp_path / "a/1.mp3", "/music/2.mp3", tmp_path / "home/3.mp3", tmp_path.parent / "4.mp3"]
    assert list(read(csv).tracks["path"]) == [str(path) for path in expected]


def test_columns_of_ours_are_always_there_and_others_are_kept(tmp_path: Path):
    tracks = read(table(tmp_path, "mood,genre,path,seconds\nsad,rock,1.mp3,12.5\nglad,jazz,2.mp3,\n")).tracks
    assert list(tracks.columns) == ["path", "genre", "artist", "split", "source", "mood", "duration"]
    assert tracks["artist"].tolist() == tracks["split"].tolist() == ["", ""]
    assert tracks["mood"].tolist() == ["sad", "glad"]
    assert tracks["duration"][0] == 12.5
    assert pd.isna(tracks["duration"][1])
    assert set(tracks["source"]) == {tmp_path.name}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_spreadsheets_separators_marks_and_quotes_are_read(tmp_path: Path, separator: str, encoding: str):
    rows = [["Path", " Genre", "artist"], ["1.mp3", "rock", '"Simon, Garfunkel; ""S&G"""'], ["2.mp3", "jazz", "Björk"]]
    csv = table(tmp_path, "\r\n".join(separator.join(row) for row in rows), encoding)
    assert read(csv).tracks["artist"].tolist() == ['Simon, Garfunkel; "S&G"', "Björk"]


def test_words_that_pandas_takes_for_missing_stay_words(tmp_path: Path):
    assert read(table(tmp_path, "path,genre,artist\n1.mp3,rock,None\n2.mp3,jazz,NA\n")).tracks["artist"].tolist() == [
        "None",
        "NA",
    ]


def test_splits_have_one_spelling(tmp_path: Path):
    rows = [
        ("Train", "train"),
        ("val", "valid"),
        ("validation", "valid"),
        ("dev", "valid"),
        (" TEST ", "test"),
        ("", ""),
    ]
    text = "path,genre,split\n" + "".join(f"{n}.mp3,rock,{name}\n" for n, (name, _) in enumerate(rows))
    assert read(table(tmp_path, text)).tracks["split"].tolist() == [ours for _, ours in rows]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Hip-Hop", "hiphop"),
        ("hip hop", "hiphop"),
        ("ROCK", "rock"),
        ("Techno", "techno"),
        ("Bossa_Nova", "bossa nova"),
    ],
)
def test_a_genre_s_spelling_is_ours_but_its_meaning_the_user_s(tmp_path: Path, name: str, expected: str):
    assert read(table(tmp_path, f"path,genre\n1.mp3,{name}\n")).genres == [expected]


def test_what_is_read_otherwise_than_it_stands_is_known(tmp_path: Path, song: Callable):
    text = "path,genre,split\n1.mp3,Hip-Hop,dev\n2.mp3,hip hop,Train\n3.mp3,K-Pop,\n4.mp3,jazz,test\n"
    assert read(table(tmp_path, text)).spellings.told() == (
        "Read otherwise than it stands there: Hip-Hop and hip hop as one genre, hiphop; K-Pop as k pop; "
        "the split dev as valid."
    )
    for name in ("Rock", "ROCK", "jazz", "empty"):
        song(f"music/{name}/1.wav") if name != "empty" else (tmp_path / "music" / name).mkdir()
    assert from_folder(tmp_path / "music").spellings.told() == (
        "Read otherwise than it stands there: ROCK and Rock as one genre, rock."
    )
    tagged = {"1": "Indie Rock", "2": "Rock", "3": "jazz"}
    paths = [song(f"tagged/{name}.wav", TCON=genre) for name, genre in tagged.items()]
    assert "Indie Rock and Rock as one genre, rock" in (from_tags(paths[0].parent).spellings.told() or "")


def test_of_many_names_that_are_read_otherwise_some_are_told(tmp_path: Path):
    rows = "".join(f"{number}.mp3,Genre-{number:02}\n" for number in range(11))
    told = read(table(tmp_path, f"path,genre\n{rows}")).spellings.told() or ""
    assert told.endswith("; Genre-07 as genre 07; and 3 more.")


def test_a_table_as_it_is_read_back_says_nothing_of_spellings(tmp_path: Path):
    written = read(table(tmp_path, "path,genre,split\n1.mp3,Hip-Hop,dev\n2.mp3,K-Pop,train\n")).write(
        tmp_path / "b.csv"
    )
    assert read(written).spellings.told() is None


def test_hidden_folders_of_music_are_named(tmp_path: Path, song: Callable):
    for name in ("jazz", "rock", ".later"):
        song(f"music/{name}/1.wav")
    (tmp_path / "music" / ".trash").mkdir()
    with pytest.warns(CatalogueWarning, match=r"hidden, and left out, though audio is in them: \.later\.$"):
        assert from_folder(tmp_path / "music").genres == ["jazz", "rock"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\n1.mp3,rock\n", r"path and genre are missing, came: file, label"),
        ("path;artist\n1.mp3;Ann\n", r"genre is missing, came: path, artist"),
        ("path,genre\n", "holds no track"),
        ("", "comma-separated values"),
        (
            "path,genre\n1.mp3,rock\n2.mp3,\n",
            r"needs a genre; it is empty for 1 of 2, first on line 3 of the file \(.*2.mp3",
        ),
        ('path,genre\n"a\nb.mp3",rock\n\n  \n2.mp3,\n', r"first on line 6 of the file \(.*2.mp3"),
        ("path,genre\n,rock\n", "needs a path"),
        ("path,genre,split\n1.mp3,rock,holdout\n", r"'holdout', first for .*1.mp3"),
        ("path,genre\n1.mp3,rock\n./1.mp3,jazz\n", r"each file once; 1 came twice.*1.mp3"),
    ],
)
def test_a_table_that_cannot_be_used_says_what_came(tmp_path: Path, text: str, message: str):
    with pytest.raises(CatalogueInvalid, match=message):
        read(table(tmp_path, text))


def test_what_is_no_table_says_so(tmp_path: Path):
    with pytest.raises(CatalogueNotFound, match="There is no table at"):
        read(tmp_path / "nothing.csv")
    with pytest.raises(CatalogueInvalid, match="UTF-8"):
        read(table(tmp_path, "path,genre,artist\n1.mp3,rock,Björk\n", "latin-1"))


def test_writing_and_reading_are_inverse_and_paths_move_with_the_folder(tmp_path: Path):
    catalogue = read(table(tmp_path, "path,genre,artist,mood\na/1.mp3,rock,Ann,sad\n/else/2.mp3,jazz,,glad\n"))
    written = catalogue.write(tmp_path / "new" / "list.csv")
    pd.testing.assert_frame_equal(read(written).tracks, catalogue.tracks)
    below = catalogue.write(tmp_path / "list.csv")
    assert pd.read_csv(below)["path"].tolist() == ["a/1.mp3", "/else/2.mp3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.csv", "music.csv", "new"]


# The class


def test_split_where_and_summary():
    rows = [
        ("/1", "rock", "Ann", "train", 1800),
        ("/2", "rock", "", "valid", 1800),
        ("/3", "jazz", "Bob", "train", 900),
    ]
    catalogue = Catalogue(pd.DataFrame(rows, columns=["path", "genre", "artist", "split", "seconds"]))
    assert catalogue.genres == ["jazz", "rock"]
    assert (len(catalogue), catalogue.splits, catalogue.has_splits) == (3, ["train", "valid"], True)
    assert catalogue.split("train").tracks["path"].tolist() == ["/1", "/3"]
    assert catalogue.where(["jazz"]).tracks["path"].tolist() == ["/3"]
    rock = {"tracks": 2, "artists": 1, "unknown_artist": 1, "hours": 1.0, "train": 1, "valid": 1}
    assert catalogue.summary().loc["rock"].to_dict() == rock
    with pytest.raises(CatalogueInvalid, match="no tracks in the split 'test'; it has train, valid"):
        catalogue.split("test")


def test_catalogues_are_joined_and_a_file_is_kept_once():
    one = Catalogue(pd.DataFrame({"path": ["/1", "/2"], "genre": ["rock", "jazz"], "mood": ["sad", "glad"]}))
    two = Catalogue(pd.DataFrame({"path": ["/2", "/3"], "genre": ["pop", "pop"], "artist": ["Ann", "Ann"]}))
    joined = concatenate([one, two]).tracks
    assert joined[["path", "genre", "artist"]].to_numpy().tolist() == [
        ["/1", "rock", ""],
        ["/2", "jazz", ""],
        ["/3", "pop", "Ann"],
    ]


# Folders and tags


def test_a_folder_per_genre_with_anything_below(tmp_path: Path, song: Callable[..., Path]):
    frames = {
        "TPE1": "Ann",
        "TIT2": "One",
        "TALB": "First",
        "TDRC": "1999",
        "TSRC": "GBX000000001",
        "TCON": "Indie Rock",
    }
    song("m/Rock/Ann/First/1.wav", **frames)
    song("m/Rock/2.wav")
    song("m/Hip-Hop/3.wav", TPE1="Bob")
    song("m/.hidden/4.wav")
    (tmp_path / "m/Rock/cover.jpg").write_bytes(b"picture")
    tracks = from_folder(tmp_path / "m").tracks
    assert [Path(path).name for path in tracks["path"]] == ["3.wav", "2.wav", "1.wav"]
    assert tracks["genre"].tolist() == ["hiphop", "rock", "rock"]
    assert tracks["artist"].tolist() == ["Bob", "", "Ann"]
    last = tracks.iloc[2]
    assert last[["title", "album", "date", "isrc", "tag_genre"]].tolist() == [
        "One",
        "First",
        "1999",
        "GBX000000001",
        "Indie Rock",
    ]
    assert set(tracks["source"]) == {"m"}


def test_files_beside_the_genre_folders_are_left_out_with_a_word(tmp_path: Path, song: Callable[..., Path]):
    for name in ("m/rock/1.wav", "m/jazz/2.wav", "m/stray.wav"):
        song(name)
    with pytest.warns(CatalogueWarning, match=r"1 audio files directly in .* first stray.wav"):
        assert len(from_folder(tmp_path / "m")) == 2


def test_folders_that_hold_no_genres_say_why(tmp_path: Path, song: Callable[..., Path]):
    (tmp_path / "empty").mkdir()
    song("flat/1.wav")
    song("single/rock/1.wav")
    (tmp_path / "single/jazz").mkdir()
    with pytest.raises(CatalogueInvalid, match="no audio file is in it"):
        from_folder(tmp_path / "empty")
    with pytest.raises(CatalogueInvalid, match="1 audio files that lie in none"):
        from_folder(tmp_path / "flat")
    with pytest.raises(CatalogueInvalid, match=r"two genres or more; came only 'rock' \(1 track\)"):
        from_folder(tmp_path / "single")
    with pytest.raises(CatalogueNotFound, match="there is nothing"):
        from_folder(tmp_path / "nowhere")
    with pytest.raises(CatalogueNotFound, match="that is a file"):
        from_folder(tmp_path / "flat/1.wav")


def test_genres_from_tags(tmp_path: Path, song: Callable[..., Path]):
    song("m/1.wav", TCON="Alternative Rock", TPE1="Ann")
    song("m/deep/2.wav", TCON="(8)")  # ID3's number for jazz
    song("m/3.wav")
    with pytest.warns(CatalogueWarning, match="1 of 3 audio files"):
        tracks = from_tags(tmp_path / "m").tracks
    assert tracks["genre"].tolist() == ["rock", "jazz"]
    assert tracks["tag_genre"].tolist() == ["Alternative Rock", "Jazz"]
    song("bare/1.wav")
    with pytest.raises(CatalogueInvalid, match="none of its 1 audio files has a genre tag"):
        from_tags(tmp_path / "bare")


def test_a_broken_file_has_no_tags_but_stays_in_the_catalogue(tmp_path: Path, song: Callable[..., Path]):
    song("m/rock/1.wav")
    (tmp_path / "m/jazz").mkdir()
    (tmp_path / "m/jazz/2.mp3").write_text("this is no music")
    assert from_folder(tmp_path / "m").tracks["artist"].tolist() == ["", ""]


# Anything


def test_build_takes_what_it_finds(tmp_path: Path, song: Callable[..., Path]):
    song("genres/rock/1.wav", TPE1="Ann", TCON="Jazz")
    song("genres/jazz/2.wav", TPE1="Bob", TCON="Jazz")
    song("artists/Ann/1.wav", TPE1="Ann", TCON="Rock")
    song("artists/Bob/2.wav", TPE1="Bob", TCON="Jazz")
    song("listed/audio/1.wav")
    (tmp_path / "listed/tracks.csv").write_text("path,genre\naudio/1.wav,pop\n")
    assert build(tmp_path / "genres").genres == ["jazz", "rock"]
    assert build(tmp_path / "artists").tracks["genre"].tolist() == ["rock", "jazz"]
    assert build(tmp_path / "artists", "folder").genres == ["ann", "bob"]
    assert build(tmp_path / "listed").genres == build(tmp_path / "listed/tracks.csv").genres == ["pop"]
    with pytest.raises(CatalogueInvalid, match="came only 'jazz'"):
        build(tmp_path / "genres", "tags")
    with pytest.raises(CatalogueInvalid, match="came 'guess'"):
        build(tmp_path / "genres", "guess")
    with pytest.raises(CatalogueNotFound, match="There is nothing at"):
        build(tmp_path / "nowhere")


@pytest.mark.real_data
def test_the_real_tables_are_read_with_their_splits(real_data: Path):
    emotify, gtzan = (build(real_data / name) for name in ("emotify", "gtzan"))
    assert (len(emotify), emotify.genres) == (300, ["classical", "electronic", "pop", "rock"])
    assert (len(emotify.split("train")), len(emotify.split("valid"))) == (240, 60)
    assert (len(gtzan), len(gtzan.genres), len(gtzan.split("valid"))) == (373, 10, 106)
    assert emotify.tracks["duration"].sum() > 4 * 3600
    assert all(Path(path).is_file() for path in gtzan.tracks["path"])
