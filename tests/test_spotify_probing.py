"""What an app may call, as a Spotify on this machine answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from library_server import Bad, LibraryServer, PlainClient, serving

from genre_lib.errors import SpotifyUnreachable
from genre_lib.spotify import invented
from genre_lib.spotify.asking import Asking
from genre_lib.spotify.invented_world import World
from genre_lib.spotify.probing import EMPTY, LISTINGS, NOT_ASKED, NOTHING_THERE, REFUSED, WORKS, Probed, probe
from genre_lib.spotify.store import Store

USERS = 2 + len(LISTINGS)


@pytest.fixture
def world() -> World:
    return invented.world(tracks=20, playlists=8, artists=10)


@pytest.fixture
def server(world: World) -> Iterator[LibraryServer]:
    with serving(world) as running:
        yield running


def probed(server: LibraryServer, tmp_path: Path, user: bool = True) -> dict[str, Probed]:
    asking = Asking(PlainClient(server.url), Store(tmp_path / "kept").budget)
    return {each.what: each for each in probe(asking, user)}


def test_each_call_is_made_once(server: LibraryServer, tmp_path: Path):
    found = probed(server, tmp_path)
    assert len(server.asked) == len(found) == USERS + 6
    assert [path.partition("?")[0] for path in server.asked] == [each.call.lstrip("/") for each in found.values()]
    assert all(each.outcome == WORKS for each in list(found.values())[:USERS])


def test_an_own_playlist_is_looked_into_and_no_other(server: LibraryServer, world: World, tmp_path: Path):
    world.playlists.sort(key=lambda each: (each or {"owner": {"id": ""}})["owner"]["id"] == invented.USER)
    own = [each["id"] for each in world.playlists if each and each["owner"]["id"] == invented.USER]
    assert probed(server, tmp_path)["tracks of your playlist"].call == f"/playlists/{own[0]}/items"


def test_of_an_empty_library_nothing_is_guessed(tmp_path: Path):
    spans = ("short_term", "medium_term", "long_term")
    empty = {each: [] for each in spans}
    nobody = World({"id": "nobody"}, top_tracks=dict(empty), top_artists=dict(empty))
    with serving(nobody) as server:
        found = probed(server, tmp_path)
    assert found["saved tracks"].outcome == EMPTY
    for what, call in {"one track": "/tracks/ID", "tracks of your playlist": "/playlists/ID/items"}.items():
        assert found[what] == Probed(what, call, NOT_ASKED, "no id of one is known")


def test_as_an_app_alone_only_what_is_public_is_asked_for(server: LibraryServer, tmp_path: Path):
    probed(server, tmp_path, user=False)
    assert server.asked == ["search?q=love&type=track&limit=1", "users/spotify/playlists?limit=1"]


def test_what_is_refused_and_what_is_not_there_are_told_apart(server: LibraryServer, tmp_path: Path):
    server.state.options.bad = {"me/tracks": Bad(403, "no"), "artists/": Bad(404, "no")}
    found = probed(server, tmp_path)
    assert (found["saved tracks"].outcome, found["one artist"].outcome) == (REFUSED, NOTHING_THERE)
    assert found["saved tracks"].note == "Spotify answered 403."


def test_after_the_last_call_of_the_day_the_others_are_not_made(server: LibraryServer, tmp_path: Path):
    server.state.options.bad = {"me/playlists": Bad(429, "no", "QUOTA_EXCEEDED", retry_after="86400")}
    found = probed(server, tmp_path)
    assert server.asked[-1].startswith("me/playlists")
    assert all(each.outcome == NOT_ASKED for each in list(found.values())[USERS - 2 :])
    assert found["search"].note == "Spotify answers again in 86400 s."


def test_where_no_answer_comes_it_ends(server: LibraryServer, tmp_path: Path):
    server.state.options.bad = {"me/top": Bad(503, "no")}
    with pytest.raises(SpotifyUnreachable):
        probed(server, tmp_path)
