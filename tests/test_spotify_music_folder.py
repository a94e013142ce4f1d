from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tagged_songs import write_song

from genre_lib.errors import CatalogueNotFound
from genre_lib.spotify.folder_index import MusicFile, isrc_of, place_of
from genre_lib.spotify.library import Track
from genre_lib.spotify.matching import Match, Matcher
from genre_lib.spotify.music_folder import MusicFolder
from genre_lib.spotify.names import artist_key, artist_keys, words
from genre_lib.spotify.titles import parse

ISRC = "GBAYE0601498"


# --- names and titles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Beatles", "Beatles, The"),
        ("BEYONCÉ", "Beyonce"),
        ("Simon & Garfunkel", "Simon and Garfunkel"),
        ("Florence + The Machine", "Florence and the Machine"),
        ("R.E.M.", "REM"),
        ("AC/DC", "ACDC"),
        ("Ke$ha", "Kesha"),
        ("P!nk", "Pink"),
        ("Mötley Crüe", "Motley Crue"),
        ("Sigur Rós", "sigur ros"),
        ("Bjørk", "Bjork"),
    ],
)
def test_ways_to_write_an_artist_have_one_key(one: str, other: str):
    assert artist_key(one) == artist_key(other)


@pytest.mark.parametrize("name", ["The The", "!!!", "+44", "植松伸夫", "Кино"])
def test_unusual_artists_keep_a_key(name: str):
    assert artist_key(name)


def test_scripts_whose_marks_tell_words_apart_keep_them():
    assert artist_key("か") != artist_key("が")


def test_a_list_of_artists_names_the_main_one_first():
    assert artist_keys("Queen feat. David Bowie")[1:] == ("queen", "davidbowie")
    assert artist_keys("Queen") == ("queen",)


def test_numbers_are_numbers_however_they_are_written():
    assert words("Symphony No. 5, Pt. II") == words("symphony nr 5 part 2")
    assert words("Part I") == ["part", "1"]
    assert words("I Feel Good") == ["i", "feel", "good"]


@pytest.mark.parametrize(
    "title",
    [
        "Don’t Look Back",
        "DON'T LOOK BACK",
        "Dont Look Back (feat. Ana & Luis)",
        "Don't Look Back [ft. Ana]",
        "Don't Look Back feat. Ana - Remastered 2009",
        "Don't Look Back (with Ana)",
        "Don't Look Back (Remastered 2009)",
        "Don't Look Back - 2011 Remaster",
        "Don't Look Back - Remastered",
        "Don't Look Back - 2015 Digital Remaster",
        "Don't Look Back Remastered 2009",
        "Don't Look Back (Deluxe Edition)",
        "Don't Look Back - 50th Anniversary Edition",
        "Don't Look Back - Album Version",
        "Don't Look Back (Mono) [Remastered]",
        "Don't Look Back (Official Video)",
        "Don't Look Back - Original Mix",
    ],
)
def test_releases_of_a_recording_have_one_title(title: str):
    assert (parse(title).key, parse(title).kinds) == ("dontlookback", frozenset())


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (" - Live", "live"),
        (" (Live at Leeds, 1970 / Remastered 2001)", "live"),
        (" - MTV Unplugged", "live"),
        (" (Nightfall Remix)", "remix"),
        (" - 2018 Mix", "remix"),
        (" - Acoustic", "acoustic"),
        (" [Instrumental]", "instrumental"),
        (" (Karaoke Version)", "karaoke"),
        (" - Demo", "demo"),
        (" - Radio Edit", "edit"),
        (" - Extended Mix", "extended"),
        (" - Sped Up", "speed"),
        (" (Ana's Version)", "own"),
    ],
)
def test_other_recordings_are_of_another_kind(suffix: str, kind: str):
    parsed = parse(f"Yellow{suffix}")
    assert parsed.key == "yellow"
    assert kind in parsed.kinds


@pytest.mark.parametrize("title", ["Live and Let Die", "Remix to Ignition", "Radio Ga Ga", "Demons", "Live"])
def test_words_of_the_title_itself_are_no_version(title: str):
    assert parse(title).kinds == frozenset()


def test_an_album_says_that_its_titles_are_live():
    assert parse("Yellow", "Live at Leeds").kinds == parse("Yellow - Live").kinds
    assert parse("Yellow", "Where We Live").kinds == frozenset()


def test_titles_of_signs_alone_keep_a_key():
    assert parse("???").key != parse("!!!").key != ""


# --- matching ---------------------------------------------------------------------------------------------------------


def file(artist: str, title: str, **changes: object) -> MusicFile:
    return MusicFile(f"{artist}/{title}.mp3", 1, 1, artist, title, duration=200.0, **changes)  # type: ignore[arg-type]


def track(title: str, *artists: str, duration: float = 200.0, **changes: str) -> Track:
    return Track("0" * 22, title, artists or ("Ana",), duration=duration, **changes)  # type: ignore[arg-type]


def match(files: Sequence[MusicFile], wanted: Track) -> Match | None:
    return Matcher(files).match(wanted)


def found(title: str, other: str, **changes: float) -> bool:
    return match([file("Ana", other)], track(title, **changes)) is not None


def test_a_code_counts_more_than_names():
    files = [file("Ana", "Yellow"), file("ana", "yellow", isrc=ISRC)]
    assert match(files, track("Yellow", isrc=ISRC)) == Match(1, 1.0, "isrc")


def test_a_code_alone_is_believed_less_and_not_against_the_version():
    other_script = [file("Ана", "Жёлтый", isrc=ISRC)]
    assert match(other_script, track("Yellow", isrc=ISRC)) == Match(0, 0.9, "isrc")
    assert match([file("Ana", "Blue - Live", isrc=ISRC)], track("Yellow", isrc=ISRC)) is None


def test_a_code_on_a_file_of_another_length_is_a_mistake():
    assert match([file("Ana", "Yellow", isrc=ISRC)], track("Yellow", isrc=ISRC, duration=260.0)) is None


def test_artist_and_title_match_with_their_length():
    sure = match([file("Ana", "Yellow")], track("Yellow"))
    assert sure == Match(0, 0.97, "artist_title")
    assert found("Yellow", "Yellow", duration=204.0)
    assert not found("Yellow", "Yellow", duration=210.0)


def test_an_unknown_length_makes_less_sure():
    less = match([file("Ana", "Yellow")], track("Yellow", duration=0.0))
    assert less is not None
    assert less.sureness == pytest.approx(0.97 * 0.88)


@pytest.mark.parametrize(
    ("spotify", "tag"),
    [
        ("Yellow - Live", "Yellow"),
        ("Yellow", "Yellow (Live)"),
        ("Yellow - Radio Edit", "Yellow"),
        ("Yellow (Nightfall Remix)", "Yellow (Sunrise Remix)"),
        ("Yellow (Live)", "Yellow (Acoustic)"),
        ("Yellow - Karaoke Version", "Yellow"),
        ("Sonata No. 2 in C", "Sonata No. 3 in C"),
        ("Prelude in C major", "Prelude in C minor"),
        ("Prelude in C sharp", "Prelude in G sharp"),
        ("Part I", "Part II"),
        ("Yellow Part 2", "Yellow"),
        ("Love", "Live"),
        ("Yellow", "Yellowstone"),
        ("Lost and Gold", "Lost and Cold"),
        ("Lost and Gold", "Lost and Gone"),
        ("Yellow (Nightfall Remix) (Sunrise Remix)", "Yellow (Nightfall Remix)"),
    ],
)
def test_other_recordings_do_not_match(spotify: str, tag: str):
    assert not found(spotify, tag)


@pytest.mark.parametrize(
    ("spotify", "tag"),
    [
        ("Yellow - Live at Leeds", "Yellow (Live)"),
        ("Yellow - Nightfall Remix", "Yellow (Nightfall Remix)"),
        ("Yellow - Radio Edit", "Yellow (Radio Edit)"),
        ("The Yellow Song", "Yellow Song"),
        ("Rock & Roll", "Rock 'n' Roll"),
        ("Yelolw Submarine", "Yellow Submarine"),
        ("Sunset", "Sun Set"),
    ],
)
def test_what_both_say_matches(spotify: str, tag: str):
    assert found(spotify, tag)


def test_a_slip_of_the_pen_needs_the_length():
    slip = match([file("Ana", "Yellow Submarine")], track("Yelolw Submarine"))
    assert slip is not None
    assert slip.how == "artist_title_close"
    assert slip.sureness < 0.9
    assert not found("Yelolw Submarine", "Yellow Submarine", duration=0.0)


@pytest.mark.parametrize(
    ("artists", "tag"),
    [
        (("Ana", "Luis"), "Ana feat. Luis"),
        (("Ana", "Luis"), "Ana & Luis"),
        (("Ana", "Luis"), "Ana"),
        (("Ana",), "Ana; Luis"),
        (("Luis", "Ana"), "Ana"),
        (("The Ana",), "Ana"),
    ],
)
def test_artists_may_be_listed_in_many_ways(artists: tuple[str, ...], tag: str):
    assert match([file(tag, "Yellow")], track("Yellow", *artists)) is not None


def test_the_same_title_by_another_artist_does_not_match():
    assert match([file("Luis", "Yellow")], track("Yellow", "Ana")) is None


def test_two_recordings_that_fit_as_well_are_none():
    files = [file("Ana", "Yellow"), replace(file("Ana", "Yellow"), path="b.mp3", duration=203.0)]
    between = track("Yellow", duration=201.5)
    assert match(files, between) is None
    assert match([files[0]], between) is not None


def test_a_slip_in_the_title_and_a_guests_name_are_two_doubts():
    files = [file("Luis", "Yellow Submarine")]
    assert match(files, track("Yellow Submarine", "Ana", "Luis")) is not None
    assert match(files, track("Yelolw Submarine", "Ana", "Luis")) is None


def test_a_remix_by_nobody_is_none_of_two_of_one_length():
    files = [file("Ana", "Yellow (Nightfall Remix)"), file("Ana", "Yellow (Sunrise Remix)")]
    assert match(files, track("Yellow - Remix")) is None
    assert match(files[:1], track("Yellow - Remix")) is not None


def test_the_album_tells_two_of_one_name_apart():
    files = [file("Ana", "Yellow", album="First"), file("Ana", "Yellow", album="Second")]
    chosen = match(files, track("Yellow", album="Second (Deluxe Edition)"))
    assert chosen is not None
    assert (chosen.file, chosen.sureness) == (1, 0.97)


def test_copies_of_a_recording_are_as_good_as_each_other():
    files = [file("Ana", "Yellow"), replace(file("Ana", "Yellow"), path="A.mp3", duration=200.4)]
    chosen = match(files, track("Yellow", album="Third"))
    assert chosen is not None
    assert chosen.file == 0  # nearer in length
    assert chosen.sureness == pytest.approx(0.97 * 0.9)


@pytest.mark.parametrize(
    "path",
    [
        "Ana - Yellow.mp3",
        "Ana_-_Yellow.mp3",
        "03 - Ana - Yellow.mp3",
        "Ana/Parachutes/05 Yellow.mp3",
        "Ana/Parachutes/CD 1/1-05. Yellow.mp3",
        "Ana/Yellow.mp3",
        "Ana - Parachutes - Yellow.mp3",
    ],
)
def test_a_file_without_tags_is_known_by_its_name(path: str):
    untagged = MusicFile(path, 1, 1, duration=200.0)
    chosen = match([untagged], track("Yellow"))
    assert chosen is not None
    assert chosen.how == "file_name"
    assert chosen.sureness < 0.97
    assert match([untagged], track("Yellow", "Luis")) is None


def test_a_compilations_title_may_name_the_artist():
    files = [file("Various Artists", "Ana - Yellow")]
    assert match(files, track("Yellow")) is not None


def test_isrcs_are_read_in_the_forms_that_tags_have():
    assert isrc_of("gb-aye-06-01498") == ISRC
    assert isrc_of("ISRC GBAYE0601498") == ISRC
    assert isrc_of("none") == ""


# --- the folder -------------------------------------------------------------------------------------------------------


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
