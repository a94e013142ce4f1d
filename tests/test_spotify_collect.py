from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from library_server import PlainClient, serving

from genre_lib.errors import (
    ConfigurationError,
    QuotaExceeded,
    RateLimited,
    SpotifyForbidden,
    SpotifyNotFound,
    SpotifyUnreachable,
)
from genre_lib.spotify import invented
from genre_lib.spotify.asking import Asking
from genre_lib.spotify.collect import collect, main_artists
from genre_lib.spotify.invented_world import World
from genre_lib.spotify.library import Library
from genre_lib.spotify.single_track import single_track
from genre_lib.spotify.store import Store

SMALL = {"tracks": 130, "playlists": 12, "artists": 110}
"""More artists than the lists of the most heard hold, so that some are asked for alone."""


@pytest.fixture
def world() -> World:
    return invented.world(**SMALL)


class Troubled:
    """A client whose calls fail, as often as there are errors."""

    account = "test"

    def __init__(self, client: PlainClient, *errors: Exception) -> None:
        self.client, self.errors, self.asked = client, list(errors), []

    def get(self, path: str, **params: object) -> dict[str, object]:
        self.asked.append(path)
        if self.errors:
            raise self.errors.pop(0)
        return self.client.get(path, **params)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "spotify")


def collected(world: World) -> Library:
    """The library of the world as it should be collected: of the artists those heard most and each track's first."""
    whole = world.library()
    told = {artist["id"] for top in world.top_artists.values() for artist in top} | set(main_artists(whole))
    genres = {id: genres for id, genres in whole.artist_genres.items() if id in told}
    return Library(whole.user_id, whole.tracks, whole.playlists, genres, whole.sources, whole.refused)


def without_names(library: Library) -> Library:
    refused = sorted((r.kind, r.reason) for r in library.refused)
    return Library(library.user_id, library.tracks, library.playlists, library.artist_genres, library.sources, refused)


@pytest.mark.parametrize("old", [False, True])
def test_a_library_is_collected_whole_in_both_shapes(world: World, store: Store, old: bool):
    with serving(world, old=old) as server:
        summary = collect(PlainClient(server.url), store)
    assert without_names(store.library(invented.USER)) == without_names(collected(world))
    assert (summary.tracks, summary.artists, summary.playlists) == (130, 110, 9)
    assert summary.complete
    assert summary.calls == len(server.asked) == len(set(server.asked))
    assert summary.refused["playlist not_yours"] == 2
    assert summary.refused["playlist spotifys_own"] == 1


def test_a_run_after_the_end_refreshes_lists_and_leaves_unchanged_playlists(world: World, store: Store):
    with serving(world) as server:
        collect(PlainClient(server.url), store)
        first = len(server.asked)
        changed = next(head for head in world.playlists if head and head["id"] not in world.refused)
        changed["snapshot_id"] = "another"
        world.entries[changed["id"]] = world.entries[changed["id"]][:1]
        changed["items"]["total"] = 1
        collect(PlainClient(server.url), store)
    again = server.asked[first:]
    assert [path for path in again if path.startswith("playlists/")] == [f"playlists/{changed['id']}/items?limit=50"]
    assert not [path for path in again if path.startswith(("artists/", "me?"))]
    assert any(path.startswith("me/tracks") for path in again)
    assert next(p for p in store.library(invented.USER).playlists if p.id == changed["id"]).track_ids != ()
    assert without_names(store.library(invented.USER)).playlists == collected(world).playlists


def test_a_playlist_that_was_emptied_or_deleted_is_so_in_the_library(world: World, store: Store):
    with serving(world) as server:
        collect(PlainClient(server.url), store)
        emptied, deleted = [head for head in world.playlists if head and head["id"] not in world.refused][:2]
        world.playlists.remove(deleted)
        world.entries[emptied["id"]].clear()
        emptied |= {"snapshot_id": "another", "items": {"total": 0}}
        collect(PlainClient(server.url), store)
    playlists = {p.id: p.track_ids for p in store.library(invented.USER).playlists}
    assert playlists[emptied["id"]] == ()
    assert deleted["id"] not in playlists
    assert not list(store.pages(invented.USER, f"playlists/{deleted['id']}/items"))


def troubles(count: int, passing: bool = True) -> list[Exception]:
    return [SpotifyUnreachable("Spotify answered 503.", passing) for _ in range(count)]


def test_trouble_that_passes_is_waited_out(world: World, store: Store):
    waits: list[float] = []
    with serving(world) as server:
        client = Troubled(PlainClient(server.url), *troubles(3))
        assert collect(client, store, sleep=waits.append).complete
    assert waits == [1, 2, 4]
    assert client.asked[:4] == ["me"] * 4 and "me" not in client.asked[4:]
    assert without_names(store.library(invented.USER)) == without_names(collected(world))


def test_trouble_that_stays_ends_it_after_some_tries_with_all_kept(world: World, store: Store):
    waits: list[float] = []
    with serving(world) as server:
        collect(PlainClient(server.url), store)
        client = Troubled(PlainClient(server.url), *troubles(4))
        with pytest.raises(SpotifyUnreachable, match=r"answered 503\. Kept: 130 tracks\. Fetch again then, and it"):
            collect(client, store, user_id=invented.USER, sleep=waits.append)
    assert (len(client.asked), waits) == (4, [1, 2, 4])


def test_what_will_not_pass_is_not_asked_again(world: World, store: Store):
    with serving(world) as server:
        client = Troubled(PlainClient(server.url), *troubles(1, passing=False))
        with pytest.raises(SpotifyUnreachable):
            collect(client, store, sleep=lambda _: pytest.fail("waited"))
    assert client.asked == ["me"]


@pytest.mark.parametrize("last", [1, 2, 5, 9, 20, 45])
def test_what_broke_off_goes_on_without_asking_twice(world: World, store: Store, last: int):
    with serving(world, fail_at=frozenset({last})) as server:
        with pytest.raises(SpotifyUnreachable):
            collect(PlainClient(server.url), store)
        assert len(server.asked) == last
        collect(PlainClient(server.url), store)
    times = Counter(server.asked)
    assert [path for path in times if times[path] > 1] == [server.asked[last - 1]]
    assert without_names(store.library(invented.USER)) == without_names(collected(world))


COLLECT = """
import sys
from pathlib import Path
from library_server import PlainClient
from genre_lib.spotify.collect import collect
from genre_lib.spotify.store import Store
collect(PlainClient(sys.argv[1]), Store(Path(sys.argv[2])))
"""


def test_a_process_that_is_killed_goes_on_without_asking_twice(world: World, store: Store, tmp_path: Path):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    with serving(world, delay=0.01) as server:
        command = [sys.executable, "-c", COLLECT, server.url, str(tmp_path / "spotify")]
        with subprocess.Popen(command, env=environment) as process:
            while len(server.asked) < 15:
                time.sleep(0.005)
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        collect(PlainClient(server.url), store)
    assert sum(times - 1 for times in Counter(server.asked).values()) <= 1
    assert without_names(store.library(invented.USER)) == without_names(collected(world))


def test_another_choice_of_sources_does_not_begin_an_interrupted_one_anew(world: World, store: Store):
    with serving(world, fail_at=frozenset({20})) as server:
        with pytest.raises(SpotifyUnreachable):
            collect(PlainClient(server.url), store)
        collect(PlainClient(server.url), store, sources=("recent",))
        assert not store.is_complete(invented.USER)
        collect(PlainClient(server.url), store, sources=("playlists", "top", "saved"))
    times = Counter(server.asked)
    assert [path for path in times if times[path] > 1 and not path.startswith("me/top/artists")] == [server.asked[19]]
    assert store.is_complete(invented.USER)


def test_only_the_sources_that_were_asked_for_are_met(world: World, store: Store):
    with serving(world) as server:
        collect(PlainClient(server.url), store, sources=("recent",))
    library = store.library(invented.USER)
    assert set(library.tracks) == {entry["track"]["id"] for entry in world.recent}
    assert set(library.sources.values()) == {frozenset({"recent"})}
    assert library.playlists == []


def test_a_quota_ends_it_with_all_kept_and_it_goes_on_after_that(world: World, store: Store, tmp_path: Path):
    with serving(world, artist_quota=2, retry_after=3600) as server:
        with pytest.raises(QuotaExceeded, match=r"Kept: 130 tracks\. Fetch again at 20") as caught:
            collect(PlainClient(server.url), store)
        assert caught.value.resume_at == pytest.approx(time.time() + 3600, abs=60)
        asked = len(server.asked)
        with pytest.raises(QuotaExceeded, match="answers again at"):
            collect(PlainClient(server.url), store)
        assert len(server.asked) == asked  # nothing is asked before that time
        server.state.options.artist_quota = None
        later = Store(tmp_path / "spotify", now=lambda: time.time() + 3601)
        collect(PlainClient(server.url), later, now=lambda: time.time() + 3601)
    assert sum(times - 1 for times in Counter(server.asked).values()) == 1
    assert without_names(store.library(invented.USER)) == without_names(collected(world))


def test_the_own_limit_ends_it_before_spotify_is_asked(world: World, tmp_path: Path):
    clock = [1e9]
    limited = Store(tmp_path / "spotify", calls_per_day=10, now=lambda: clock[0])
    with serving(world) as server:
        with pytest.raises(QuotaExceeded, match="SPOTIFY_CALLS_PER_DAY") as caught:
            collect(PlainClient(server.url), limited, now=lambda: clock[0])
        assert len(server.asked) == 10
        assert caught.value.resume_at == 1e9 + 86400
        clock[0] = caught.value.resume_at
        with pytest.raises(QuotaExceeded):
            collect(PlainClient(server.url), limited, now=lambda: clock[0])
        assert len(server.asked) == 20


class Impatient:
    """Answers the first calls with a short wait, and then as the other."""

    account = ""

    def __init__(self, client: PlainClient, clock: list[float], times: int, wait: float) -> None:
        self.client, self.clock, self.times, self.wait = client, clock, times, wait

    def get(self, path: str, **params):
        self.times -= 1
        if self.times >= 0:
            raise RateLimited("Spotify said to wait.", self.clock[0] + self.wait)
        return self.client.get(path, **params)


def test_a_short_wait_is_waited_out(world: World, tmp_path: Path):
    clock, slept = [1e9], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    with serving(world) as server:
        client = Impatient(PlainClient(server.url), clock, times=2, wait=7)
        store = Store(tmp_path / "spotify", now=lambda: clock[0])
        assert collect(client, store, ("recent",), sleep=sleep, now=lambda: clock[0]).complete
    assert slept == [7, 7]


@pytest.mark.parametrize(("times", "wait", "waits"), [(1, 61, 0), (100, 1, 5)])
def test_a_long_wait_and_one_without_end_are_not(world: World, tmp_path: Path, times: int, wait: float, waits: int):
    clock, slept = [1e9], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    with serving(world) as server, pytest.raises(RateLimited):
        client = Impatient(PlainClient(server.url), clock, times, wait)
        collect(client, Store(tmp_path / "s", now=lambda: clock[0]), sleep=sleep, now=lambda: clock[0])
    assert len(slept) == waits


def test_another_users_library_is_tried_and_explained(world: World, store: Store):
    with serving(world) as server:
        with pytest.raises(SpotifyForbidden, match=r"playlists of somebody .*only apps with extended quota"):
            collect(PlainClient(server.url), store, user_id="somebody")
        assert server.asked == ["me", "users/somebody/playlists?limit=50"]
        with pytest.raises(ConfigurationError, match="public playlists"):
            collect(PlainClient(server.url), store, ("saved",), user_id="somebody")


def test_the_own_id_is_the_own_library(world: World, store: Store):
    with serving(world) as server:
        assert collect(PlainClient(server.url), store, ("saved",), user_id=invented.USER).tracks == len(world.saved)


def test_a_listing_that_is_refused_does_not_end_it_and_keeps_what_was_there(world: World, store: Store):
    with serving(world, forbidden=("me/tracks", "me/playlists")) as server:
        summary = collect(PlainClient(server.url), store)
    assert summary.not_told == dict.fromkeys(["saved tracks", "list of playlists"], "Spotify answered 403.")
    found = store.library(invented.USER)
    assert set().union(*found.sources.values()) == {"top", "recent"}
    assert summary.complete and store.is_complete(invented.USER)
    with serving(world) as server:
        whole = collect(PlainClient(server.url), store)
    assert (whole.tracks, whole.playlists, whole.not_told) == (130, 9, {})
    with serving(world, forbidden=("me/tracks", "me/playlists")) as server:
        again = collect(PlainClient(server.url), store)
    assert (again.tracks, again.playlists, set(again.not_told)) == (130, 9, {"saved tracks", "list of playlists"})


def test_where_every_listing_is_refused_there_is_nothing_to_go_on_with(world: World, store: Store):
    with serving(world, forbidden=("me/player", "me/top")) as server:
        with pytest.raises(SpotifyForbidden, match="403"):
            collect(PlainClient(server.url), store, ("recent", "top"))
        assert not [path for path in server.asked if path.startswith("artists/")]


def test_without_the_right_to_the_most_heard_artists_they_come_one_by_one(world: World, store: Store):
    with serving(world, forbidden=("me/top/artists",)) as server:
        summary = collect(PlainClient(server.url), store, ("saved",))
    singles = {path for path in server.asked if path.startswith("artists/")}
    assert len(singles) == len(main_artists(store.library(invented.USER)))
    assert summary.complete


def test_artists_that_are_gone_do_not_end_it(world: World, store: Store):
    with serving(world, forbidden=("me/top/artists", "artists/")) as server:
        summary = collect(PlainClient(server.url), store, ("recent",))
        asked = len(server.asked)
        collect(PlainClient(server.url), store, ("recent",))
    assert summary.with_genres == 0
    assert not [path for path in server.asked[asked:] if path.startswith("artists/")]


def test_sources_that_there_are_not_are_named(store: Store):
    with pytest.raises(ConfigurationError, match="came: liked"):
        collect(PlainClient("http://127.0.0.1:9/"), store, ("liked",))


def test_single_track_is_asked_for_once(world: World, store: Store):
    id = next(iter(world.tracks))
    with serving(world) as server:
        asking = Asking(PlainClient(server.url), store.budget)
        assert single_track(asking, store, id) == single_track(asking, store, id)
    assert server.asked == [f"tracks/{id}"]


def test_a_track_of_a_library_is_known_while_spotify_may_not_be_asked(world: World, store: Store):
    with serving(world) as server:
        collect(PlainClient(server.url), store)
    track = next(iter(store.library(invented.USER).tracks.values()))
    store.budget.refused(RateLimited("not now", resume_at=time.time() + 1000))
    asking = Asking(PlainClient("http://127.0.0.1:9/"), store.budget, patience=0)
    assert single_track(asking, store, track.id) == track
    with pytest.raises(RateLimited):
        single_track(asking, store, "another")


def test_a_track_that_is_none_says_so(store: Store):
    store.put_track("x", {"id": "x", "name": "Liner Notes", "type": "episode"})
    with pytest.raises(SpotifyNotFound, match="no track that can be read"):
        single_track(Asking(PlainClient("http://127.0.0.1:9/"), store.budget), store, "x")


def test_progress_tells_how_far_it_is(world: World, store: Store):
    told = []
    with serving(world) as server:
        collect(PlainClient(server.url), store, progress=lambda *step: told.append(step))
    assert {what for _, _, what in told} >= {"saved tracks", "playlists", "artists", "top artists"}
    assert all(0 <= done <= total for done, total, _ in told)
