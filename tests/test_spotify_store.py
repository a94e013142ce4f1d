from __future__ import annotations

import sqlite3
import stat
import time
from pathlib import Path

import pytest

from genre_lib.errors import ConfigurationError, QuotaExceeded, RateLimited
from genre_lib.settings import get_settings
from genre_lib.spotify.budget import DAY, clock_time
from genre_lib.spotify.database import NAME
from genre_lib.spotify.library import Playlist, Refused, Track
from genre_lib.spotify.store import COMPLETE, Place, Store

HEADS = "me/playlists"


def song(id: str) -> dict:
    return {"id": id, "name": f"Song {id}", "artists": [{"id": f"artist of {id}", "name": "A"}]}


def saved(*ids: str) -> dict:
    return {"items": [{"track": song(id), "added_at": "2026-01-01T00:00:00Z"} for id in ids]}


class Clock:
    def __init__(self) -> None:
        self.time = 1e9

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    return Store(tmp_path / "spotify", now=clock)


def saved_ids(store: Store, user: str = "me") -> list[str]:
    return list(store.library(user).tracks)


def test_the_file_is_for_its_owner_alone(store: Store, tmp_path: Path):
    store.put_page(Place("me", "me/tracks", "1"), 0, saved("a"), COMPLETE)
    files = list((tmp_path / "spotify").iterdir())
    assert NAME in [file.name for file in files]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "spotify").stat().st_mode) == 0o700


def test_pages_are_there_when_it_is_opened_again(store: Store, tmp_path: Path):
    place = Place("me", "me/tracks", "1")
    assert store.progress(place) == (0, None)
    store.put_page(place, 0, saved("a", "b"), "http://127.0.0.1/next")
    again = Store(tmp_path / "spotify")
    assert again.progress(place) == (1, "http://127.0.0.1/next")
    again.put_page(place, 1, saved("c"), COMPLETE)
    assert store.progress(place) == (2, COMPLETE)
    assert saved_ids(store) == ["a", "b", "c"]


def test_an_edition_replaces_the_one_before_once_it_is_whole(store: Store):
    store.put_page(Place("me", "me/tracks", "1"), 0, saved("old"), COMPLETE)
    store.put_page(Place("me", "me/tracks", "2"), 0, saved("new"), "more")
    assert saved_ids(store) == ["old"]
    store.put_page(Place("me", "me/tracks", "2"), 1, saved("newer"), COMPLETE)
    assert saved_ids(store) == ["new", "newer"]
    assert store.progress(Place("me", "me/tracks", "1")) == (0, None)


def test_without_a_whole_edition_the_newest_part_counts(store: Store, clock: Clock):
    store.put_page(Place("me", "me/tracks", "1"), 0, saved("older"), "more")
    clock.time += 1
    store.put_page(Place("me", "me/tracks", "2"), 0, saved("newer"), "more")
    assert saved_ids(store) == ["newer"]


def test_users_lie_side_by_side_and_may_be_forgotten_alone(store: Store):
    for user in ("one", "two"):
        store.begin(user, ["saved"])
        store.put_page(Place(user, "me/tracks", "1"), 0, saved(f"of {user}"), COMPLETE)
    assert store.users() == ["one", "two"]
    store.purge("one")
    assert store.users() == ["two"]
    assert (saved_ids(store, "one"), saved_ids(store, "two")) == ([], ["of two"])


def test_all_can_be_deleted_with_the_file_and_begun_again(store: Store, tmp_path: Path):
    store.put_page(Place("me", "me/tracks", "1"), 0, saved("a"), COMPLETE)
    store.purge()
    assert list((tmp_path / "spotify").iterdir()) == []
    store.purge()
    assert saved_ids(store) == []


def test_an_interrupted_edition_goes_on_for_a_week_and_a_finished_one_is_followed_by_the_next(
    store: Store, clock: Clock
):
    assert store.begin("me", ["saved", "top"]) == {"saved": "1", "top": "1"}
    assert store.begin("me", ["saved", "top"]) == {"saved": "1", "top": "1"}
    store.finish("me", ["saved"])
    assert not store.is_complete("me")
    assert store.begin("me", ["saved", "top"]) == {"saved": "2", "top": "1"}
    clock.time += 7 * DAY + 1
    assert store.begin("me", ["top"]) == {"top": "2"}
    store.finish("me", ["saved", "top"])
    assert store.is_complete("me")
    assert not store.is_complete("nobody")


def test_a_refusal_counts_for_its_edition_and_thirty_days(store: Store, clock: Clock):
    place = Place("me", "playlists/p/items", "snapshot")
    store.put_page(place, 0, saved("a"), "more")
    store.refuse(place, Refused("playlist", "not_yours", "Theirs"))
    assert store.is_refused(place)
    assert not store.is_refused(Place("me", "playlists/p/items", "another"))
    assert not list(store.pages("me", "playlists/p/items"))
    clock.time += 30 * DAY + 1
    assert not store.is_refused(place)


def test_artists_with_genres_are_kept_from_lists_and_are_fresh_for_thirty_days(store: Store, clock: Clock):
    page = {"items": [{"id": "x", "name": "X", "genres": ["dub"]}, {"id": "y", "name": "Y"}, None, song("t")]}
    store.put_page(Place("me", "me/top/artists?time_range=long_term", "1"), 0, page, COMPLETE)
    assert store.genres() == {"x": ("dub",)}
    clock.time += 1
    store.put_artist("y", {"id": "another", "name": "Y", "genres": None})
    assert store.genres() == {"x": ("dub",), "y": ()}
    assert store.fresh_artists() == {"x", "y"}
    clock.time += 30 * DAY - 0.5
    assert store.fresh_artists() == {"y"}


def test_how_long_is_fresh_can_be_chosen(tmp_path: Path, clock: Clock):
    store = Store(tmp_path, fresh_days=1, now=clock)
    store.put_track("t", song("t"))
    assert store.track("t") == Track("t", "Song t", ("A",), ("artist of t",))
    clock.time += DAY + 1
    assert store.track("t") is None


def test_a_library_is_put_together_from_all_of_it(store: Store):
    heads = [{"id": "p", "name": "Mine", "owner": {"id": "me"}}, {"id": "q", "name": "Theirs"}, None]
    store.put_page(Place("me", "me/tracks", "1"), 0, saved("a"), COMPLETE)
    store.put_page(Place("me", HEADS, "1"), 0, {"items": [*heads, heads[0]]}, COMPLETE)
    items = {"items": [{"item": song("b")}, {"item": song("a")}, {"item": song("b")}, {"item": None}]}
    store.put_page(Place("me", "playlists/p/items", "s"), 0, items, COMPLETE)
    store.refuse(Place("me", "playlists/q/items", "s"), Refused("playlist", "not_yours", "Theirs"))
    store.put_page(Place("me", "me/top/tracks?time_range=long_term", "1"), 0, {"items": [song("c")]}, COMPLETE)
    store.put_artist("artist of b", {"genres": ["dub"]})
    store.put_artist("nobody's", {"genres": ["ska"]})
    library = store.library("me")
    assert list(library.tracks) == ["a", "b", "c"]
    assert library.playlists == [Playlist("p", "Mine", "me", ("b", "a"))]
    assert library.sources == {
        "a": frozenset({"saved", "playlists"}),
        "b": frozenset({"playlists"}),
        "c": frozenset({"top"}),
    }
    assert library.artist_genres == {"artist of b": ("dub",)}
    told = {("track", "null", ""), ("playlist", "not_yours", "Theirs"), ("playlist", "null", "")}
    assert {(r.kind, r.reason, r.name) for r in library.refused} == told


def test_the_day_of_adding_is_kept_wherever_it_is_told(store: Store):
    store.put_page(Place("me", "me/top/tracks?time_range=long_term", "1"), 0, {"items": [song("a")]}, COMPLETE)
    assert store.library("me").tracks["a"].added == ""
    store.put_page(Place("me", "me/tracks", "1"), 0, saved("a"), COMPLETE)
    assert store.library("me").tracks["a"].added == "2026-01-01T00:00:00Z"


def test_calls_beyond_the_own_limit_wait_until_the_first_is_a_day_old(tmp_path: Path, clock: Clock):
    budget = Store(tmp_path, calls_per_day=3, now=clock).budget
    for _ in range(3):
        budget.before_call("me")
        clock.time += 100
    with pytest.raises(QuotaExceeded) as caught:
        budget.before_call("me")
    assert caught.value.resume_at == 1e9 + DAY
    assert "3 calls were made to Spotify in 24 hours" in str(caught.value)
    assert clock_time(1e9 + DAY) in str(caught.value)
    clock.time = 1e9 + DAY
    budget.before_call("me")
    with pytest.raises(QuotaExceeded) as caught:
        budget.before_call("me")
    assert caught.value.resume_at == 1e9 + 100 + DAY
    assert budget.calls_in_day() == 3


def test_the_limit_holds_for_processes_together(tmp_path: Path, clock: Clock):
    first, second = (Store(tmp_path, calls_per_day=1, now=clock).budget for _ in range(2))
    first.before_call("me")
    with pytest.raises(QuotaExceeded):
        second.before_call("me")


@pytest.mark.parametrize(("kind", "said"), [(QuotaExceeded, "calls are used up"), (RateLimited, "to wait until")])
def test_nothing_is_asked_before_the_time_that_spotify_said(
    store: Store, clock: Clock, kind: type[RateLimited], said: str
):
    store.budget.refused(kind("later", clock.time + 500))
    with pytest.raises(RateLimited, match=said) as caught:
        store.budget.before_call("me")
    assert type(caught.value) is kind
    assert caught.value.resume_at == 1e9 + 500
    clock.time += 500
    store.budget.before_call("me")
    assert store.budget.calls_in_day() == 1


def test_the_settings_name_folder_and_limit(tmp_path: Path):
    store = Store.of(get_settings(spotify_path=tmp_path / "there", spotify_calls_per_day=1))
    store.budget.before_call("me")
    with pytest.raises(QuotaExceeded):
        store.budget.before_call("me")
    assert (tmp_path / "there" / NAME).is_file()


@pytest.mark.parametrize("damage", ["text", "version"])
def test_a_file_that_cannot_be_read_says_what_to_do(tmp_path: Path, damage: str):
    path = tmp_path / NAME
    if damage == "text":
        path.write_text("this is no database, and long enough to be taken for one" * 20)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigurationError, match="Delete the file, and fetch again"):
        Store(tmp_path).users()


def test_a_wait_is_told_in_local_time():
    assert time.mktime(time.strptime(clock_time(1e9), "%Y-%m-%d %H:%M:%S")) == 1e9
