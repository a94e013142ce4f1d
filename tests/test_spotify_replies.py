from __future__ import annotations

from typing import Any

import pytest

from genre_lib.spotify import replies
from genre_lib.spotify.library import Refused, Track
from genre_lib.spotify.replies import Artist, Head

FULL: dict[str, Any] = {
    "id": "7ouMYWpwJ422jRcDASZB7P",
    "name": "Paper Comets",
    "type": "track",
    "uri": "spotify:track:7ouMYWpwJ422jRcDASZB7P",
    "artists": [{"id": "a1", "name": "The Idle Foxes"}, {"id": "a2", "name": "Noor Eklund"}],
    "album": {"id": "b1", "name": "Daylight"},
    "duration_ms": 213_500,
    "external_ids": {"isrc": "zz-abc-26-00001"},
    "preview_url": None,
    "is_local": False,
}
TRACK = Track(
    id="7ouMYWpwJ422jRcDASZB7P",
    title="Paper Comets",
    artists=("The Idle Foxes", "Noor Eklund"),
    artist_ids=("a1", "a2"),
    album="Daylight",
    duration=213.5,
    isrc="ZZABC2600001",
)
SAVED_AT = "2026-01-02T03:04:05Z"
LOCAL = FULL | {"id": None, "is_local": True, "uri": "spotify:local:::Paper+Comets:213"}


@pytest.mark.parametrize("wrapper", ["item", "track"])
def test_an_entry_holds_its_track_in_either_shape(wrapper: str):
    found = replies.entry({"added_at": SAVED_AT, "is_local": False, wrapper: FULL})
    assert found == Track(**{**vars(TRACK), "added": SAVED_AT})


def test_of_both_shapes_at_once_the_one_with_a_track_is_read():
    assert replies.entry({"item": None, "track": FULL}) == TRACK
    assert replies.entry({"item": FULL | {"track": True, "episode": False}, "track": True}) == TRACK


def test_a_track_by_itself_is_an_entry_too():
    assert replies.entry(FULL) == TRACK
    assert replies.entry(FULL | {"track": True, "episode": False}) == TRACK


@pytest.mark.parametrize(
    "empty",
    [
        None,
        {},
        {"item": None},
        {"track": None, "added_at": SAVED_AT},
        {"added_at": SAVED_AT},
        [],
        "text",
        7,
        {"item": {}},
    ],
)
def test_null_is_refused_as_null(empty: object):
    assert replies.entry(empty) == Refused("track", "null")


@pytest.mark.parametrize("kind", ["episode", "chapter"])
def test_episodes_are_refused(kind: str):
    assert replies.entry({"item": FULL | {"type": kind}}) == Refused("track", "episode", "Paper Comets")


@pytest.mark.parametrize(
    "entry",
    [{"item": LOCAL}, {"is_local": True, "track": FULL | {"id": None}}, {"item": {**LOCAL, "is_local": None}}],
)
def test_local_files_are_refused(entry: dict):
    assert replies.entry(entry) == Refused("track", "local_file", "Paper Comets")


@pytest.mark.parametrize("wrong", [{"id": None}, {"id": 7}, {"id": ""}, {"type": "advertisement"}])
def test_what_is_no_track_with_an_id_is_refused(wrong: dict):
    assert replies.entry({"item": FULL | wrong}) == Refused("track", "unreadable", "Paper Comets")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("artists", None),
        ("artists", [None, {"id": None}, "text"]),
        ("album", None),
        ("album", []),
        ("duration_ms", "long"),
        ("duration_ms", -5),
        ("duration_ms", True),
        ("duration_ms", float("nan")),
        ("external_ids", None),
        ("external_ids", {"isrc": 5}),
        ("external_ids", {"isrc": "unknown"}),
        ("name", None),
    ],
)
def test_fields_that_are_missing_or_wrong_are_empty(field: str, wrong: object):
    names = {"duration_ms": "duration", "external_ids": "isrc", "name": "title"}
    empty = {"artists": ((), ()), "album": "", "duration": 0.0, "isrc": "", "title": ""}
    name = names.get(field, field)
    for reply in (FULL | {field: wrong}, {key: value for key, value in FULL.items() if key != field}):
        found = replies.track(reply)
        assert isinstance(found, Track)
        assert ((found.artists, found.artist_ids) if name == "artists" else getattr(found, name)) == empty[name]


def test_names_and_ids_of_artists_stay_beside_each_other():
    found = replies.track(FULL | {"artists": [{"id": None, "name": "A"}, {"name": ""}, {"id": "b", "name": "B"}]})
    assert isinstance(found, Track)
    assert (found.artists, found.artist_ids) == (("A", "B"), ("", "b"))


@pytest.mark.parametrize(
    ("told", "code"),
    [("USRC17607839", "USRC17607839"), ("us-rc1-76-07839", "USRC17607839"), ("USRC1760783", ""), (None, ""), (12, "")],
)
def test_a_code_is_kept_where_it_is_one(told: object, code: str):
    assert replies.isrc(told) == code


@pytest.mark.parametrize("length", ["items", "tracks"])
def test_a_playlists_head_is_read_in_either_shape(length: str):
    reply = {"id": "p", "name": "Slow Jazz", "owner": {"id": "me"}, "snapshot_id": "s1", length: {"total": 12}}
    assert replies.head(reply) == Head("p", "Slow Jazz", "me", "s1", 12)


def test_a_playlists_head_may_say_little():
    assert replies.head({"id": "p"}) == Head("p", "", "", "", None)
    assert replies.head(None) == Refused("playlist", "null")
    assert replies.head({"name": "Slow Jazz"}) == Refused("playlist", "unreadable", "Slow Jazz")


def test_an_artist_tells_its_genres_or_has_no_word_on_them():
    assert replies.artist({"id": "a", "name": "A", "genres": ["dub", "dub", 5, ""]}) == Artist("a", "A", ("dub",))
    assert replies.artist({"id": "a", "name": "A", "genres": []}) == Artist("a", "A", ())
    assert replies.artist({"id": "a", "name": "A"}) == Artist("a", "A", None)
    assert replies.artist({"name": "A"}) is None


def test_a_page_is_read_however_little_is_in_it():
    page = {"items": [FULL, None], "total": 70, "next": "https://api.spotify.com/v1/me/tracks?offset=50"}
    assert (replies.entries(page), replies.total(page)) == ([FULL, None], 70)
    assert replies.next_link(page).endswith("offset=50")
    for empty in (None, {}, {"items": None, "total": None, "next": None}, [], "text"):
        assert (replies.entries(empty), replies.total(empty), replies.next_link(empty)) == ([], 0, "")
