from __future__ import annotations

import pytest

from genre_lib.spotify.names import artist_key, artist_keys, words
from genre_lib.spotify.titles import parse


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
