"""Jobs on a Spotify library: asked for over HTTP, collected by real processes from a Spotify on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from accounts_service import Accounts, settings_for
from fastapi.testclient import TestClient
from job_places import ended, let_go, make_place, until
from library_server import Bad, LibraryServer
from service_fakes import client_of, is_error
from tagged_songs import songs_of, write_song

from genre_lib import api_keys, job_library, job_process
from genre_lib.data.catalogue_source import open_one
from genre_lib.errors import RunStopped
from genre_lib.job_folder import JobFolder
from genre_lib.job_store import JobStore
from genre_lib.settings import Settings
from genre_lib.spotify import invented
from genre_lib.spotify.access import SCOPES
from genre_lib.spotify.invented_world import World
from genre_lib.spotify.store import Store
from genre_lib.spotify.tokens import Tokens

KEY = api_keys.generate()
GENRES, ARTISTS, SONGS = ("jazz", "metal"), 4, 4


@pytest.fixture(scope="module")
def world() -> World:
    world = invented.library_of(pd.DataFrame(songs_of(GENRES, ARTISTS, SONGS)))
    for artist in world.artists.values():
        artist["genres"] = [artist["name"].split()[0]]
    return world


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    for number, row in enumerate(songs_of(GENRES, ARTISTS, SONGS)):
        write_song(folder / f"{number:03}.wav", artist=row["artist"], title=row["title"])
    return folder


@pytest.fixture
def settings(server: LibraryServer, accounts: Accounts, music: Path, tmp_path: Path, tiny_model: Path) -> Settings:
    """Of somebody who signed in, with the small notebook in the place of the one that trains."""
    place = make_place(tmp_path, tiny_model)
    (tmp_path / "tables").mkdir()
    settings = settings_for(
        server,
        tmp_path,
        music_path=music,
        runs_path=place / "runs",
        models_path=place / "models",
        notebooks_path=place / "notebooks",
        cache_path=place / "cache",
        model_path=tiny_model,
        finetune_data_roots=str(tmp_path / "tables"),
        api_keys=f"ann:{api_keys.digest(KEY)}",
    )
    _, token = accounts._tokens(" ".join(SCOPES))
    Tokens.of(settings).begin({**token, "expires_at": time.time() + token["expires_in"]})
    return settings


@pytest.fixture
def store(settings: Settings) -> Iterator[JobStore]:
    store = JobStore(settings)
    yield store
    for job in store.list():
        job_process.end_rest(job.folder)


def start(settings: Settings, folder: Path, **asked: Any) -> httpx.Response:
    (folder / "shared").mkdir(exist_ok=True)
    client: TestClient = client_of(settings, folder / "shared")
    return client.post(
        "/finetune/start", json={"spotify_user_id": "me", "base_model": "tiny", **asked}, headers={"X-API-Key": KEY}
    )


# --- a whole job --------------------------------------------------------------------------------------------------


def test_a_job_collects_a_library_and_trains_on_what_it_found(settings: Settings, store: JobStore, tmp_path: Path):
    answer = start(settings, tmp_path, labels="genre")
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert told["model_name"] == "tiny-spotify-genre"
    assert told["request"]["labels"] == "genre"
    job = store.get(told["job_id"])
    let_go(job)
    job = ended(store, job)
    assert (job.status, job.state.error) == ("completed", None)
    kinds = [event["kind"] for event in job.folder.events()]
    assert kinds[0] == "library_opened"
    assert kinds.index("library_collected") < kinds.index("run_started")
    (numbers,) = (event for event in job.folder.events() if event["kind"] == "library_collected")
    assert (numbers["tracks"], numbers["rows"], numbers["artists"]) == (32, 32, 8)
    table = open_one(job.folder.catalogue).tracks
    assert dict(table["genre"].value_counts()) == dict.fromkeys(GENRES, 16)
    environment = json.loads((job.folder.path / "environment.json").read_text())
    assert not [name for name in environment if "SECRET" in name or "API_KEYS" in name]
    assert "access-" not in (job.folder.path / "job.log").read_text()


def test_a_job_that_spotify_refuses_says_when_to_go_on_and_goes_on(
    settings: Settings, store: JobStore, server: LibraryServer, tmp_path: Path
):
    server.state.options.bad = {"me/playlists": Bad(429, "no", "QUOTA_EXCEEDED", retry_after="86400")}
    job = ended(store, store.get(start(settings, tmp_path).json()["job_id"]))
    assert (job.status, job.state.error_code) == ("failed", "quota_exceeded")
    assert "Kept: " in str(job.state.error) and "Fetch again at" in str(job.state.error)
    assert is_error(start(settings, tmp_path, model_name="another"), 429, "quota_exceeded")
    before = list(server.asked)

    server.state.options.bad = {}
    with Store.of(settings)._database.transaction() as database:  # a day goes by
        database.execute("DELETE FROM facts WHERE name = 'wait'")
    let_go(job)
    job = ended(store, store.resume(job.id))
    assert job.status == "completed", job.state
    again = [path for path in server.asked[len(before) :] if path in before]
    assert [path.partition("?")[0] for path in again] == ["me/playlists"]


def test_a_job_is_stopped_while_it_collects(settings: Settings, store: JobStore, server: LibraryServer, tmp_path: Path):
    server.state.options.bad = {"me/playlists": Bad(429, "slow down", retry_after="50")}
    job = store.get(start(settings, tmp_path).json()["job_id"])
    until(lambda: any(path.startswith("me/playlists") for path in server.asked))
    store.stop(job.id)
    job = ended(store, job)
    assert (job.status, job.state.kept) == ("stopped", None)
    assert not job.folder.catalogue.exists()


def test_a_second_attempt_trains_on_the_same_catalogue(settings: Settings, tmp_path: Path, server: LibraryServer):
    folder = JobFolder(tmp_path / "job")
    folder.path.mkdir()
    parameters = {"data_path": "spotify:me/genre", "num_epochs": 1}
    job_library.collect(folder, parameters, settings)
    asked = len(server.asked)
    job_library.collect(folder, parameters, settings)
    assert len(server.asked) == asked
    assert job_library.with_music(folder, parameters) == {"data_path": str(folder.catalogue), "num_epochs": 1}
    assert job_library.with_music(folder, {"data_path": "/music"}) == {"data_path": "/music"}


def test_whoever_asks_to_stop_is_heeded_at_the_next_step(settings: Settings, tmp_path: Path):
    folder = JobFolder(tmp_path / "job")
    folder.path.mkdir()
    folder.ask_to_stop()
    with pytest.raises(RunStopped, match="what was fetched is kept"):
        job_library.collect(folder, {"data_path": "spotify:me/genre"}, settings)


# --- what is refused at once ---------------------------------------------------------------------------------------


def test_what_cannot_be_collected_is_refused_at_once(settings: Settings, tmp_path: Path):
    def refused(changes: dict[str, Any], status: int, code: str, **asked: Any) -> str:
        answer = start(settings.model_copy(update=changes), tmp_path, **asked)
        assert is_error(answer, status, code), answer.text
        assert str(tmp_path) not in answer.text
        return answer.json()["detail"]

    assert "SPOTIFY_CLIENT_ID" in refused({"spotify_client_id": ""}, 501, "spotify_not_configured")
    assert "MUSIC_PATH" in refused({"music_path": None}, 501, "spotify_not_configured")
    assert "MUSIC_PATH" in refused({"music_path": tmp_path / "none"}, 501, "spotify_not_configured")
    assert "genre spotify login" in refused({"spotify_path": tmp_path / "nobody"}, 409, "spotify_not_connected")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "authorisation.json").write_text("{")
    assert "in SPOTIFY_PATH/auth" in refused({"spotify_path": tmp_path / "broken"}, 409, "reauth_needed")
    assert "labels" in refused({}, 422, "training_settings_invalid", labels="mood")
    assert "id of a Spotify user" in refused({}, 422, "training_settings_invalid", spotify_user_id="../x")
    assert "labels" in refused({}, 404, "catalogue_not_found", labels="csv:absent")
    assert "labels" in refused({}, 403, "path_not_allowed", labels="csv:/etc/passwd")
    assert "came a list" in refused({}, 422, "invalid_request", labels=["jazz", "metal"])
    assert refused({}, 404, "model_not_found", base_model="absent")
    assert "came a text" in refused({}, 422, "invalid_request", spotify_user_id=None, catalogue="x", labels="genre")


def test_calls_that_are_used_up_are_told_with_when(settings: Settings, tmp_path: Path):
    Store.of(settings).budget.wait_until(time.time() + 1000, quota=True)
    answer = start(settings, tmp_path)
    assert is_error(answer, 429, "quota_exceeded")
    assert 990 <= int(answer.headers["Retry-After"]) <= 1001
    assert Store.of(settings).budget.calls_in_day() == 0
    limited = settings.model_copy(update={"spotify_path": settings.spotify_path, "spotify_calls_per_day": 1})
    Store.of(settings).budget.wait_until(0.0, quota=True)
    Store.of(settings).budget.before_call("me")
    assert is_error(start(limited, tmp_path), 429, "quota_exceeded")


def test_a_library_without_enough_music_fails_with_its_sentence(
    settings: Settings, store: JobStore, tmp_path: Path, server: LibraryServer
):
    (tmp_path / "empty").mkdir()
    poor = settings.model_copy(update={"music_path": tmp_path / "empty"})
    job = ended(store, store.get(start(poor, tmp_path).json()["job_id"]))
    assert (job.status, job.state.error_code) == ("failed", "no_audio")
    assert "There is no audio file in" in str(job.state.error)
    server.state.options.bad = {"me": Bad(401, "Invalid access token")}
    job = ended(store, store.get(start(settings, tmp_path, model_name="other").json()["job_id"]))
    assert (job.status, job.state.error_code) == ("failed", "reauth_needed")
