"""What a library's tracks are called, and that what is unclear is called nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from genre_lib.errors import LabelsInvalid
from genre_lib.spotify.labelling import Labels, by_genre, by_playlist, by_table, unique_names
from genre_lib.spotify.library import Library, Playlist, Track

ME = "ann"


def number(count: int) -> str:
    return f"{count:022d}"


def track(count: int, artist: str = "", isrc: str = "") -> Track:
    artist = artist or f"artist {count}"
    return Track(number(count), f"title {count}", (artist,), (f"id of {artist}",), isrc=isrc)


def library(tracks: list[Track], genres: dict[str, tuple[str, ...]] | None = None, *playlists: Playlist) -> Library:
    return Library(ME, {one.id: one for one in tracks}, playlists, genres or {})


def playlist(name: str, counts: range, owner: str = ME, id: str = "") -> Playlist:
    return Playlist(id or f"id of {name}", name, owner, tuple(map(number, counts)))


# --- genres


def test_the_artists_genres_become_the_tracks_coarse_one():
    found = by_genre(
        library(
            [track(1, "A"), track(2, "B"), track(3, "C"), track(4, "D"), track(5, "E")],
            {
                "id of A": ("german techno", "deep house"),
                "id of B": ("trap latino",),  # as much the one as the other
                "id of C": ("christmas", "escape room"),
                "id of D": (),
                "id of E": ("punk blues", "blues rock", "classic rock"),
            },
        )
    )
    assert dict(found.genres) == {number(1): "electronic", number(5): "rock"}
    assert dict(found.rules) == {number(1): "word techno", number(5): "exact punk blues"}
    assert dict(found.weights[number(2)]) == {"hiphop": 0.5, "latin": 0.5}
    assert dict(found.left_out) == {
        number(2): "between two genres",
        number(3): "its genre names stand for none of ours",
        number(4): "no genre is named",
    }
    assert dict(found.unmapped) == {"christmas": 1, "escape room": 1}
    assert found.by_name().to_dict("records") == [
        {"genre": "electronic", "name": "german techno", "tracks": 1},
        {"genre": "rock", "name": "punk blues", "tracks": 1},
    ]


def test_tags_are_asked_only_where_spotify_names_no_genre():
    asked: list[str] = []

    def tags(one: Track) -> list[str]:
        asked.append(one.id)
        return ["bebop"]

    found = by_genre(library([track(1, "A"), track(2, "B")], {"id of A": ("polka",)}), tags)
    assert dict(found.genres) == {number(1): "folk", number(2): "jazz"}
    assert asked == [number(2)]


def test_one_genre_alone_says_what_else_to_label_by():
    with pytest.raises(LabelsInvalid, match=r"all 2 labelled tracks are jazz\. .* playlist or csv:FILE"):
        by_genre(library([track(1, "A"), track(2, "A")], {"id of A": ("bebop",)}))
    with pytest.raises(LabelsInvalid, match=r"no track got a label\. Most others: no genre is named \(2\)"):
        by_genre(library([track(1), track(2)]))


def test_the_summary_counts_rules_reasons_and_names():
    found = Labels({"a": "jazz", "b": "jazz"}, {}, {"a": "word jazz", "b": "word jazz"}, {"c": "why"}, {"polka?": 3})
    assert found.summary().to_dict("records") == [
        {"what": "by word jazz", "tracks": 2},
        {"what": "left out: why", "tracks": 1},
        {"what": "no genre of ours: polka?", "tracks": 3},
    ]


# --- playlists


def test_own_playlists_are_the_classes_and_a_track_on_two_is_left_out():
    tracks = [track(count) for count in range(40)]
    lists = (
        playlist("Running!", range(0, 12)),
        playlist("Sunday Morning", range(10, 25)),
        playlist("somebody's", range(25, 40), owner="bob"),
        playlist("small", range(30, 35)),
        playlist("one voice", range(35, 40)),
    )
    found = by_playlist(library(tracks, None, *lists))
    assert set(found.genres.values()) == {"running!", "sunday morning"}
    assert [id for id, why in found.left_out.items() if why == "on 2 of the playlists"] == [number(10), number(11)]
    assert dict(found.weights[number(10)]) == {"running!": 0.5, "sunday morning": 0.5}
    assert (len(found.genres), len(found.left_out)) == (23, 17)


def test_playlists_are_chosen_by_name_or_id_whoever_made_them():
    lists = (
        playlist("A", range(0, 10)),
        playlist("B", range(10, 20), owner="bob", id="xyz"),
        playlist("C", range(20, 30)),
    )
    whole = library([track(count) for count in range(30)], None, *lists)
    assert set(by_playlist(whole, ["a", "xyz"]).genres.values()) == {"a", "b"}
    with pytest.raises(LabelsInvalid, match="has no playlist D; it has A, B, C"):
        by_playlist(whole, ["A", "D"])


def test_a_playlist_of_few_artists_is_no_class():
    tracks = [track(count, "one voice") for count in range(20)] + [track(count) for count in range(20, 30)]
    with pytest.raises(LabelsInvalid, match="of 2 playlists 1 is"):
        by_playlist(library(tracks, None, playlist("A", range(0, 20)), playlist("B", range(20, 30))))


def test_names_of_playlists_are_told_apart():
    lists = [playlist(name, range(1), id=str(place)) for place, name in enumerate(["Rock", "rock ", "ROCK", "", "Pop"])]
    assert list(unique_names(lists).values()) == ["rock", "rock (2)", "rock (3)", "unnamed", "pop"]


# --- a table


@pytest.mark.parametrize(
    "key", [number(1), f"spotify:track:{number(1)}", f"https://open.spotify.com/track/{number(1)}?si=x"]
)
def test_a_table_may_name_tracks_in_every_way(tmp_path: Path, key: str):
    (tmp_path / "mine.csv").write_text(f"Track ID,note,Genre\n{key},x,Dub\n{number(2)},y,Ska\n", encoding="utf-8-sig")
    found = by_table(library([track(1), track(2), track(3)]), tmp_path / "mine.csv")
    assert dict(found.genres) == {number(1): "Dub", number(2): "Ska"}
    assert dict(found.left_out) == {number(3): "not in the table"}


def test_a_table_may_name_recordings_and_counts_those_that_are_not_there(tmp_path: Path):
    (tmp_path / "mine.csv").write_text("isrc,genre\nUS-ABC-12-00001,dub\nUSABC1200002,ska\nUSABC1299999,ska\n,ska\n")
    whole = library([track(1, isrc="USABC1200001"), track(2, isrc="USABC1200002")])
    found = by_table(whole, tmp_path / "mine.csv")
    assert dict(found.genres) == {number(1): "dub", number(2): "ska"}
    assert dict(found.left_out) == {"USABC1299999": "in the table, and not in the library"}


def test_a_track_that_a_table_gives_two_genres_is_left_out_and_named_with_both_rows(tmp_path: Path):
    link = f"https://open.spotify.com/track/{number(1)}"
    rows = [(number(1), "dub"), (number(2), "ska"), ("", ""), (link, "ska"), (number(3), "Dub"), (number(3), " dub ")]
    (tmp_path / "mine.csv").write_text("id,genre\n" + "".join(f"{key},{genre}\n" for key, genre in rows))
    whole = library([track(1), track(2), track(3)])
    found = by_table(whole, tmp_path / "mine.csv")
    assert {id: genre.lower() for id, genre in found.genres.items()} == {number(2): "ska", number(3): "dub"}
    assert dict(found.left_out) == {number(1): "in the table under several genres"}
    artist = whole.tracks[number(1)].artist
    assert list(found.twice) == [f"title 1 by {artist} is dub in line 2 ({number(1)}) and ska in line 5 ({link})"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"id,genre\n{number(1)},ska\n{number(1)},dub\n",
            r"no track got a label\..* is ska in line 2 .* dub in line 3",
        ),
        ("a,b\n1,2\n", "needs a column id, spotify_id or isrc, and one called genre; came a, b"),
        ("", "came no header"),
        ("id,genre\n", "names no track with a genre"),
        (f"id,genre\n{number(9)},ska\n", "None of the 1 row .* names a track of the library"),
        (f"id,genre\n{number(1)},ska\n{number(2)},ska\n", "all 2 labelled tracks are ska.* genre or playlist"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path: Path, text: str, said: str):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(LabelsInvalid, match=said):
        by_table(library([track(1), track(2)]), tmp_path / "mine.csv")


def test_a_table_that_is_not_there_or_no_text_is_said_to_be_so(tmp_path: Path):
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("absent.csv", "binary.csv"):
        with pytest.raises(LabelsInvalid, match="cannot be read as a CSV"):
            by_table(library([track(1)]), tmp_path / name)
