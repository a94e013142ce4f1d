"""From a Spotify on this machine to a served personal model, by the commands of the README."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from accounts_service import CLIENT_ID, Accounts
from library_server import LibraryServer, serving
from test_serve import PLAIN, Server, answers, clean, free_port, until

from genre_lib import api_keys, job_process
from genre_lib.job_store import JobStore
from genre_lib.settings import REPOSITORY, get_settings
from genre_lib.spotify import invented_music

KEY = api_keys.generate()
TESTS = Path(__file__).resolve().parents[1]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def spotify(accounts: Accounts) -> Iterator[LibraryServer]:
    with serving(invented_music.world(), accounts) as running:
        yield running


@pytest.fixture
def home(spotify: LibraryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose ``.env`` names the app and the music, as the README says; a browser; and few threads."""
    lines = {
        "SPOTIFY_CLIENT_ID": CLIENT_ID,
        "SPOTIFY_API_URL": spotify.url,
        "SPOTIFY_ACCOUNTS_URL": spotify.accounts_url,
        "SPOTIFY_PATH": tmp_path / "kept",
        "SPOTIFY_REDIRECT_PORT": free_port(),
        "MUSIC_PATH": invented_music.make(tmp_path / "music").folder,
    }
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    for name, folder in {"MODELS_PATH": "models", "RUNS_PATH": "runs", "CACHE_PATH": "cache"}.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("BROWSER", f"{sys.executable} {TESTS / 'accounts_service.py'} %s")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def genre(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("genre")), *arguments]
    done = subprocess.run(command, cwd=home, input="", capture_output=True, text=True, timeout=300, check=False)
    print(f"$ genre {' '.join(arguments)}\n{done.stdout}{done.stderr}", flush=True)  # seen with pytest -s
    assert done.returncode == 0, done.stderr
    return done


def serve(home: Path) -> Server:
    port = free_port()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("genre"), "serve", "--port", str(port)],
            cwd=home,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = Server(process, port, home, dict(os.environ))
    until(lambda: answers(server) or process.poll() is not None, "the server starts")
    assert process.poll() is None, server.log
    return server


def test_from_a_library_to_a_served_model_of_its_playlists(home: Path, spotify: LibraryServer, accounts: Accounts):
    said = [
        genre(home, "spotify", "login"),
        genre(home, "spotify", "fetch"),
        genre(home, "spotify", "catalogue", "--labels", "playlist", "--output", "mine.csv"),
        genre(
            home,
            *("finetune", "--spotify-user", "me", "--labels", "playlist"),
            *("--output-path", "models/mine", "--epochs", "4", "--set", "learning_rate=0.003"),
        ),
        genre(home, "models", "promote", "mine"),
    ]
    assert not [secret for secret in accounts.issued for each in said if secret in each.stdout + each.stderr]

    playlist, heard, silent = songs(spotify, home)
    server = serve(home)
    try:
        answer = httpx.post(f"{server.url}/predict/spotify", json={"track_id": heard["uri"]}, timeout=120)
        print(f"POST /predict/spotify {heard['uri']}\n{answer.status_code} {answer.text}", flush=True)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["model_name"], told["track"]["title"]) == ("mine", heard["name"])
        assert (told["audio"]["source"], told["audio"]["how"]) == ("folder", "file_name")
        names = {head["name"].lower() for head in spotify.state.world.playlists if head}
        assert {each["genre"] for each in told["predictions"]} <= names
        assert told["predictions"][0]["genre"] == playlist

        answer = httpx.post(f"{server.url}/predict/spotify", json={"track_id": silent["id"]}, timeout=120)
        print(f"POST /predict/spotify {silent['id']}\n{answer.status_code} {answer.text}", flush=True)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_audio")
        assert not [secret for secret in accounts.issued if secret in server.log]
    finally:
        clean(server)
    assert (REPOSITORY / "README.md").read_text().count("genre finetune --spotify-user me --labels playlist") == 1


def test_the_same_by_http_alone(home: Path, spotify: LibraryServer):
    """Signed in once; then a job collects, trains by the real notebook and publishes, and its model is asked."""
    with (home / ".env").open("a") as file:
        file.write(f"API_KEYS=ann:{api_keys.digest(KEY)}\n")
    genre(home, "spotify", "login")
    playlist, heard, _ = songs(spotify, home)
    server = serve(home)
    try:
        asked: dict[str, Any] = {"spotify_user_id": "me", "labels": "playlist", "model_name": "mine"}
        config = {"epochs": 4, "learning_rate": 0.003}
        headers = {"X-API-Key": KEY}
        answer = httpx.post(
            f"{server.url}/finetune/start", json=asked | {"config": config}, headers=headers, timeout=60
        )
        assert answer.status_code == 202, answer.text
        status = f"{server.url}{answer.headers['Location']}"
        phases = set()

        def has_ended() -> bool:
            told = httpx.get(status, timeout=60, **PLAIN).json()
            phases.add(told["phase"])
            return told["status"] not in ("queued", "running")

        until(has_ended, "the job ends", 300)
        told = httpx.get(status, timeout=60).json()
        print(f"{told['status']} {told['metrics']} after {sorted(filter(None, phases))}", flush=True)
        assert (told["status"], told["error"]) == ("completed", None)
        assert "training" in phases
        asked = {"track_id": heard["uri"], "model_name": "mine"}
        told = httpx.post(f"{server.url}/predict/spotify", json=asked, timeout=120).json()
        print(told, flush=True)
        assert (told["model_name"], told["predictions"][0]["genre"]) == ("mine", playlist)
    finally:
        clean(server)
        for job in JobStore(get_settings()).list():
            job_process.end_rest(job.folder)


def songs(spotify: LibraryServer, home: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The playlist of classical music, a track on it that has a file, and a track of the library that has none."""
    world = spotify.state.world
    head = next(head for head in world.playlists if head and "Classical" in head["name"])
    tracks = [entry["item"] for entry in world.entries[head["id"]] if entry and entry.get("item")]
    heard = next(track for track in tracks if has_file(track, home))
    return head["name"].lower(), heard, next(track for track in world.tracks.values() if not has_file(track, home))


def has_file(track: dict[str, Any], home: Path) -> bool:
    artists = track.get("artists") or [{"name": ""}]
    return (home / "music" / f"{artists[0]['name']} - {track['name']}.wav").exists()
