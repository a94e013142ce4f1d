"""``POST /predict/spotify`` against a Spotify, a folder of music and a Deezer on this machine, with a fake worker."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from accounts_service import SECRET, Accounts, settings_for
from fastapi.testclient import TestClient
from library_server import Bad, LibraryServer
from preview_services import PreviewServices, beep, preview_services
from service_fakes import FakeWorker, client_of, is_error
from tagged_songs import write_song

from genre_lib.service import spotify_lookup
from genre_lib.service.messages import Answer
from genre_lib.service.schemas import SpotifyAnswer
from genre_lib.settings import Settings
from genre_lib.spotify import invented
from genre_lib.spotify.access import SCOPES
from genre_lib.spotify.invented_world import World
from genre_lib.spotify.tokens import Tokens

PREDICTED = {"model_name": "tiny", "model_version": "0123456789ab", "duration": 1.0, "predictions": []}


@pytest.fixture(scope="module")
def world() -> World:
    world = invented.world(tracks=12, playlists=4, artists=6)
    for track in world.tracks.values():
        track["duration_ms"] = 1000
        track["external_ids"] = {"isrc": f"ZZAAA26{int(track['id'].encode().hex(), 16) % 100000:05}"}
    return world


@pytest.fixture
def own(world: World) -> dict[str, Any]:
    """A track whose file is in the folder of music."""
    return next(iter(world.tracks.values()))


@pytest.fixture
def other(world: World) -> dict[str, Any]:
    """A track that is in no folder."""
    return list(world.tracks.values())[1]


@pytest.fixture
def settings(server: LibraryServer, own: dict[str, Any], tmp_path: Path) -> Settings:
    tags = {"artist": own["artists"][0]["name"], "title": own["name"]}
    write_song(tmp_path / "music" / "one.wav", **tags)
    return settings_for(
        server,
        tmp_path,
        music_path=tmp_path / "music",
        models_path=tmp_path / "models",
        spotify_client_secret=SECRET,
        spotify_timeout=2,
    )


def client_for(settings: Settings, tmp_path: Path) -> TestClient:
    (tmp_path / "shared").mkdir(exist_ok=True)
    client = client_of(settings, tmp_path / "shared")
    client.app.state.worker = FakeWorker(tmp_path / "shared", lambda asked: Answer(200, PREDICTED, {"X-Cache": "miss"}))
    return client


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> TestClient:
    return client_for(settings, tmp_path)


def ask(client: TestClient, id: str, **asked: Any) -> httpx.Response:
    return client.post("/predict/spotify", json={"track_id": id, **asked})


def sign_in(settings: Settings, accounts: Accounts) -> None:
    _, token = accounts._tokens(" ".join(SCOPES))
    Tokens.of(settings).begin({**token, "expires_at": time.time() + token["expires_in"]})


# --- found --------------------------------------------------------------------------------------------------------


def test_a_track_is_predicted_from_ones_own_file(client: TestClient, own: dict[str, Any], settings: Settings):
    answer = ask(client, f"spotify:track:{own['id']}", top_k=2, timeline=True, model_name="tiny")
    assert answer.status_code == 200, answer.text
    told = SpotifyAnswer.model_validate(answer.json())
    assert (told.track.id, told.track.title) == (own["id"], own["name"])
    assert told.track.artists == [artist["name"] for artist in own["artists"]]
    assert (told.audio.source, told.audio.how) == ("folder", "artist_title")
    assert 0.8 < told.audio.sureness <= 1
    assert answer.headers["X-Cache"] == "miss"
    worker = client.app.state.worker
    (asked,) = worker.requests
    assert (asked.model_name, asked.top_k, asked.timeline) == ("tiny", 2, True)
    assert asked.filename == f"{own['artists'][0]['name']} – {own['name']}"
    song = settings.music_path / "one.wav"  # type: ignore[operator]
    assert worker.contents == [song.read_bytes()] and song.is_file()


def test_music_that_comes_later_is_found(
    client: TestClient, other: dict[str, Any], settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    assert is_error(ask(client, other["id"]), 404, "no_audio")
    tags = {"artist": other["artists"][0]["name"], "title": other["name"]}
    write_song(settings.music_path / "two.wav", **tags)  # type: ignore[operator]
    monkeypatch.setattr(spotify_lookup, "LISTED_SECONDS", 0.0)
    assert ask(client, other["id"]).status_code == 200


def test_a_track_is_asked_of_spotify_once(client: TestClient, own: dict[str, Any], server: LibraryServer):
    for _ in range(2):
        assert ask(client, own["id"]).status_code == 200
    assert server.asked == ["api/token client_credentials", f"tracks/{own['id']}"]


def test_whoever_signed_in_will_do_where_there_is_no_secret(
    settings: Settings, accounts: Accounts, own: dict[str, Any], tmp_path: Path
):
    settings = settings.model_copy(update={"spotify_client_secret": type(settings.spotify_client_secret)("")})
    client = client_for(settings, tmp_path)
    assert is_error(ask(client, own["id"]), 409, "spotify_not_connected")
    sign_in(settings, accounts)
    assert ask(client, own["id"]).status_code == 200


@pytest.fixture
def services() -> Iterator[PreviewServices]:
    with preview_services() as running:
        yield running


@pytest.fixture
def with_deezer(settings: Settings, services: PreviewServices) -> Settings:
    return settings.model_copy(update={"deezer_previews": True, "deezer_url": f"{services.url}/"})


def test_a_preview_is_heard_from_memory_and_leaves_no_file(
    with_deezer: Settings, services: PreviewServices, other: dict[str, Any], tmp_path: Path
):
    isrc = other["external_ids"]["isrc"]
    preview = services.put("/preview.mp3", beep())
    services.put(f"/track/isrc:{isrc}", {"isrc": isrc, "preview": preview, "duration": 1})
    client = client_for(with_deezer, tmp_path)
    answer = ask(client, other["id"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["audio"] == {"source": "deezer", "how": "isrc", "sureness": 0.98}
    worker = client.app.state.worker
    assert worker.contents == [beep()]
    assert not Path(worker.requests[0].path).exists()
    assert not list((tmp_path / "shared").glob("upload-*"))
    assert ask(client, other["id"]).status_code == 200  # the same number of a file, under another name
    assert len({request.path for request in worker.requests}) == 2


def test_another_process_decodes_what_is_in_memory(tmp_path: Path):
    script = "import sys; from genre_lib import audio; print(audio.load(sys.argv[1], 8000).duration)"
    with spotify_lookup.in_memory(beep(), tmp_path / "preview") as path:
        assert path.readlink().parts[1] == "proc"
        command = [sys.executable, "-c", script, str(path)]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "0.5\n"
    assert not list(tmp_path.iterdir())


# --- not found ----------------------------------------------------------------------------------------------------


def test_without_an_app_it_says_how_to_make_one(settings: Settings, own: dict[str, Any], tmp_path: Path):
    client = client_for(settings.model_copy(update={"spotify_client_id": ""}), tmp_path)
    answer = ask(client, own["id"])
    assert is_error(answer, 501, "spotify_not_configured")
    assert "SPOTIFY_CLIENT_ID" in answer.json()["detail"]


def test_without_audio_it_says_what_was_tried(client: TestClient, other: dict[str, Any]):
    answer = ask(client, other["id"])
    assert is_error(answer, 404, "no_audio")
    assert "Tried: folder: no file in it is surely this recording." in answer.json()["detail"]
    assert "Switched off: spotify (SPOTIFY_PREVIEWS), deezer" in answer.json()["detail"]
    assert not client.app.state.worker.requests


def test_an_id_that_spotify_does_not_know_and_one_that_is_none(client: TestClient):
    answer = ask(client, "0" * 22)
    assert is_error(answer, 404, "spotify_not_found")
    assert f"nothing at /tracks/{'0' * 22}" in answer.json()["detail"]
    assert is_error(ask(client, "spotify:album:" + "0" * 22), 422, "invalid_track_id")
    assert is_error(client.post("/predict/spotify", json={"track": "x"}), 422, "invalid_request")


def test_what_the_worker_refuses_is_refused_by_the_tracks_name(client: TestClient, own: dict[str, Any]):
    client.app.state.worker.answer = lambda asked: Answer(415, {"detail": f"{asked.filename}.", "code": "not_audio"})
    answer = ask(client, own["id"])
    assert is_error(answer, 415, "not_audio")
    assert own["name"] in answer.json()["detail"]


REFUSALS = [
    (Bad(429, "slow down", retry_after="7"), 429, "rate_limited", 7),
    (Bad(429, "no", "QUOTA_EXCEEDED", retry_after="86400"), 429, "quota_exceeded", 86400),
    (Bad(401, "Invalid access token"), 409, "reauth_needed", None),
    (Bad(403, "Active premium subscription required", plain=True), 503, "premium_required", None),
    (Bad(403, "User not registered in the Developer Dashboard", plain=True), 503, "not_allowlisted", None),
    (Bad(403, "Forbidden."), 403, "spotify_forbidden", None),
    (Bad(503, "Service unavailable"), 502, "spotify_unreachable", None),
    (Bad(how="garbage"), 502, "spotify_unreachable", None),
    (Bad(how="cut"), 502, "spotify_unreachable", None),
    (Bad(how="hang"), 504, "spotify_timeout", None),
    (Bad(how="drip"), 504, "spotify_timeout", None),
]


@pytest.mark.parametrize(("bad", "status", "code", "wait"), REFUSALS, ids=lambda given: str(given)[:30])
def test_what_spotify_does_instead(
    client: TestClient, server: LibraryServer, own: dict[str, Any], bad: Bad, status: int, code: str, wait: int | None
):
    server.state.options.bad = {"tracks/": replace(bad)}
    answer = ask(client, own["id"])
    assert is_error(answer, status, code), answer.text
    assert ("Retry-After" in answer.headers) == (wait is not None)
    if wait:
        assert wait - 5 <= int(answer.headers["Retry-After"]) <= wait + 1


def test_wrong_credentials_of_the_app(client: TestClient, server: LibraryServer, own: dict[str, Any], tmp_path: Path):
    wrong = client.app.state.settings.model_copy(
        update={"spotify_client_secret": type(client.app.state.settings.spotify_client_secret)("wrong-secret")}
    )
    answer = ask(client_for(wrong, tmp_path), own["id"])
    assert is_error(answer, 503, "spotify_credentials_invalid")
    assert "wrong-secret" not in answer.text


def test_the_whole_look_up_has_a_deadline_and_others_go_on(
    settings: Settings, server: LibraryServer, own: dict[str, Any], tmp_path: Path
):
    server.state.options.bad = {"tracks/": Bad(how="hang")}
    client = client_for(settings.model_copy(update={"fetch_timeout": 0.3}), tmp_path)
    answer = ask(client, own["id"])
    assert is_error(answer, 504, "spotify_timeout")
    assert "not found within 0.3 s" in answer.json()["detail"]
    assert client.get("/models").status_code == 200


def test_no_secret_is_in_any_answer_or_log(
    client: TestClient, server: LibraryServer, accounts: Accounts, own: dict[str, Any], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(0)
    said = [ask(client, own["id"]).text]
    for bad, *_ in REFUSALS[:9]:
        server.state.options.bad = {"tracks/": replace(bad)}
        said.append(ask(client, "1" * 22).text)
    assert accounts.issued
    for secret in (*accounts.issued, SECRET):
        assert secret not in " ".join(said) + caplog.text


def test_a_place_of_this_machine_is_told_to_nobody(settings: Settings, own: dict[str, Any], tmp_path: Path):
    client = client_for(settings.model_copy(update={"music_path": tmp_path / "away" / "music"}), tmp_path)
    answer = ask(client, own["id"])
    assert is_error(answer, 500, "configuration_error")
    assert "there is none at MUSIC_PATH." in answer.json()["detail"] and str(tmp_path) not in answer.text
    kept = settings.spotify_path / "authorisation.json"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("{")
    signed = settings.model_copy(update={"spotify_client_secret": type(settings.spotify_client_secret)("")})
    answer = ask(client_for(signed, tmp_path), own["id"])
    assert is_error(answer, 409, "reauth_needed")
    assert "in SPOTIFY_PATH/authorisation.json cannot be read" in answer.json()["detail"]


def test_the_document_knows_every_refusal(client: TestClient):
    described = client.get("/openapi.json").json()["paths"]["/predict/spotify"]["post"]["responses"]
    assert {"200", "404", "409", "429", "501", "502", "503", "504"} <= set(described)
    assert "what was tried" in described["404"]["description"]
