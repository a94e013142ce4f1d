from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from genre_lib.spotify.folder_index import MusicFile, isrc_of
from genre_lib.spotify.library import Track
from genre_lib.spotify.matching import Match, Matcher

ISRC = "GBAYE0601498"


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
