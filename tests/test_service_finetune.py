"""The routes of fine-tuning over real HTTP, with jobs that are real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from job_places import let_go, make_place, until

from genre_lib import api_keys, job_process
from genre_lib.job_folder import JobFolder, Request, State
from genre_lib.job_store import JobStore
from genre_lib.service import errors, events, finetune
from genre_lib.settings import REPOSITORY, Settings, get_settings

KEY = api_keys.generate()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with finetune.starting_queued_jobs(app):
        yield


class Service:
    """The routes of fine-tuning on a free port, in a thread."""

    def __init__(self, settings: Settings) -> None:
        app = FastAPI(lifespan=lifespan)
        app.state.settings, self.settings = settings, settings
        for router in (finetune.router, events.router):
            app.include_router(router)
        errors.install(app)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=60))
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],), daemon=True)
        self.thread.start()
        until(lambda: self.server.started)
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}/finetune"
        self.client = httpx.Client(base_url=self.address, headers={"X-API-Key": KEY}, timeout=60)

    def start(self, **asked: Any) -> httpx.Response:
        return self.client.post("/start", json=asked)

    def status(self, job_id: str) -> dict[str, Any]:
        return self.client.get(f"/status/{job_id}").json()

    def follow(self, job_id: str, last: str | None = None) -> Iterator[dict[str, Any]]:
        """The stream's events as they come: ``id``, ``event`` and ``data``."""
        headers = {"Last-Event-ID": last} if last is not None else {}
        with self.client.stream("GET", f"/events/{job_id}", headers=headers) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            entry: dict[str, Any] = {}
            for line in response.iter_lines():
                name, _, value = line.partition(": ")
                if not line and entry:
                    yield entry | {"data": json.loads(entry["data"])}
                    entry = {}
                elif name:
                    entry[name] = value

    def end(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join(20)
        store = JobStore(self.settings)
        for job in store.list():
            job_process.end_rest(job.folder)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, synthetic_catalogue: Path) -> Settings:
    place = make_place(tmp_path_factory.mktemp("finetune"), tiny_model)
    return get_settings(
        runs_path=place / "runs",
        models_path=place / "models",
        notebooks_path=place / "notebooks",
        cache_path=place / "cache",
        model_path=tiny_model,
        finetune_data_roots=str(synthetic_catalogue.parent),
        max_queued_jobs=1,
        api_keys=f"ann:{api_keys.digest(KEY)}",
    )


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[Service]:
    running = Service(settings)
    yield running
    running.end()


def is_error(response: httpx.Response, status: int, code: str, said: str = "") -> bool:
    content = response.json()
    found = (response.status_code, content["code"], set(content)) == (status, code, {"detail", "code"})
    return found and said in content["detail"] and "/tmp" not in content["detail"]


def test_what_cannot_be_trained_is_refused(service: Service):
    start, music = service.start, {"data_path": "music"}
    one_of = "the request: it needs exactly one of catalogue, data_path and spotify_user_id"
    assert is_error(start(), 422, "invalid_request", one_of)
    assert is_error(start(**music, catalogue="x"), 422, "invalid_request", "came catalogue and data_path")
    assert is_error(start(**music, epochs=3), 422, "invalid_request", "epochs")
    assert is_error(start(spotify_user_id="ann"), 501, "spotify_not_configured")
    assert is_error(start(data_path="../etc"), 403, "path_not_allowed")
    assert is_error(start(catalogue="/etc/passwd"), 403, "path_not_allowed")
    assert is_error(start(data_path="absent"), 404, "catalogue_not_found")
    assert is_error(start(**music, base_model="absent"), 404, "model_not_found")
    assert is_error(start(**music, labels=["polka", "rock"]), 422, "genres_unknown", "no tracks of polka")
    assert is_error(start(**music, model_name="../x"), 422, "model_name_invalid")
    assert is_error(start(**music, model_name="tiny"), 409, "model_exists")
    assert is_error(start(**music, config={"epoch": 3}), 422, "training_settings_invalid", "did you mean epochs?")
    assert is_error(start(**music, config={"epochs": 0}), 422, "training_settings_invalid", "epochs")
    assert is_error(start(**music, config=[1]), 422, "invalid_request", "config")
    assert is_error(
        service.client.post(
            "/start",
            content='{"data_path": "music", "config": {"gradient_clip": 1e999}}',
            headers={"Content-Type": "application/json"},
        ),
        *(422, "training_settings_invalid", "finite"),
    )
    for what in ("stop", "resume"):
        assert is_error(service.client.post(f"/{what}/absent"), 404, "job_not_found")
    for what in ("status", "events"):
        assert is_error(service.client.get(f"/{what}/.hidden"), 404, "job_not_found")
    assert is_error(service.client.get(service.address, params={"limit": 0}), 422, "invalid_request")
    assert is_error(service.client.get(service.address, params={"status": "lost"}), 422, "invalid_request")
    assert service.client.get(service.address).json() == {"jobs": [], "total": 0, "limit": 50, "offset": 0}


def test_changes_need_a_key(service: Service):
    for path in ("start", "stop/x", "resume/x"):
        assert is_error(httpx.post(f"{service.address}/{path}", json={"data_path": "music"}), 401, "missing_key")
    assert httpx.get(service.address).status_code == 200


def test_a_job_is_started_followed_stopped_and_resumed(service: Service):
    answer = service.start(data_path="music", config={"epochs": 4})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["Location"] == f"/finetune/status/{job['job_id']}"
    assert (job["model_name"], job["base_model"], job["status"]) == ("tiny-music", "tiny", "running")
    assert (job["epochs"], job["request"]) == (4, {"data_path": "music", "config": {"epochs": 4}})
    waits = service.start(data_path="music").json()
    assert (waits["model_name"], waits["status"], waits["queue_position"]) == ("tiny-music-2", "queued", 1)
    full = service.start(data_path="music")
    assert is_error(full, 503, "queue_full") and full.headers["Retry-After"] == "60"
    assert is_error(service.start(data_path="music", model_name="tiny-music"), 409, "model_exists")

    stream = service.follow(job["job_id"])
    first = next(stream)
    assert (first["event"], first["data"]["status"]) == ("status", "running")
    told = [next(stream) for _ in range(3)]
    assert [(e["id"], e["data"]["kind"]) for e in told] == [
        ("1", "run_started"),
        ("2", "epoch_started"),
        ("3", "epoch_ended"),
    ]
    assert "pid" not in told[0]["data"] and told[2]["data"]["valid_loss"] is None
    seen = service.status(job["job_id"])
    assert (seen["status"], seen["phase"], seen["progress"], seen["epoch"]) == ("running", "training", 0.25, 1)
    assert seen["metrics"] == {"train_loss": 0.5, "valid_loss": None} and seen["seconds_left"] == 3 * 2.0
    assert seen["history"] == [{"epoch": 1, "train_loss": 0.5, "valid_loss": None, "seconds": 2.0}]

    # a client that lost its connection goes on where it was
    again = service.follow(job["job_id"], last="2")
    assert [next(again).get("id"), next(again).get("id")] == [None, "3"]
    again.close()

    assert service.client.post(f"/stop/{waits['job_id']}").json()["status"] == "stopped"
    stopping = service.client.post(f"/stop/{job['job_id']}")
    assert (stopping.status_code, stopping.json()["status"]) == (202, "stopping")
    assert is_error(service.client.post(f"/resume/{job['job_id']}"), 409, "job_conflict", "stopping")
    rest = list(stream)
    told = [e["data"]["status"] for e in rest]
    assert told[-2:] == ["stopped", "stopped"]
    assert told[:-2] in ([], ["stopping"])  # which a stream that looks now and then may be too late for
    assert (rest[-1]["event"], rest[-1]["id"], rest[-1]["data"]["kept"]) == ("end", "3-end", None)
    assert service.client.get(f"/events/{job['job_id']}", headers={"Last-Event-ID": "3-end"}).status_code == 204

    store = JobStore(service.settings)
    let_go(store.get(job["job_id"]))
    resumed = service.client.post(f"/resume/{job['job_id']}").json()
    assert (resumed["status"], resumed["attempt"], resumed["error"]) == ("running", 2, None)
    rest = list(service.follow(job["job_id"], last="3-end"))
    assert rest[-1]["event"] == "end" and rest[-1]["data"]["status"] == "completed"
    assert rest[-1]["data"]["progress"] == 1
    assert (service.settings.models_path / "tiny-music" / "config.json").is_file()

    listed = service.client.get(service.address).json()
    assert [entry["job_id"] for entry in listed["jobs"]] == [waits["job_id"], job["job_id"]]
    assert "history" not in listed["jobs"][0]
    page = service.client.get(service.address, params={"status": ["completed", "failed"], "limit": 1}).json()
    assert (page["total"], [entry["status"] for entry in page["jobs"]]) == (1, ["completed"])
    assert service.client.get(service.address, params={"offset": 2}).json()["jobs"] == []


def test_the_server_starts_what_others_put_into_the_queue(service: Service, settings: Settings):
    """A job is left in the queue, as by a server that ended; without a notebook it fails soon."""
    away = settings.notebooks_path.rename(settings.notebooks_path.with_name("away"))
    folder = JobFolder(settings.runs_path / "20260101-000000-other-0123456789")
    folder.path.mkdir(parents=True)
    folder.write_request(Request({}, "other", "tiny", {}, "2026-01-01"))
    folder.write_state(State("queued", queued="2026-01-01"))
    until(lambda: service.status(folder.id)["status"] == "failed")
    assert service.status(folder.id)["error"].startswith("Expected a notebook at 02_finetune.ipynb")
    away.rename(settings.notebooks_path)


def test_a_server_that_ends_does_not_wait_for_those_who_listen(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """uvicorn's handler of SIGTERM is not there in a thread: here stands one that is like it."""
    service = Service(settings)

    class Ending:
        should_exit = False

        def handle(self, *_: object) -> None: ...

    ending = Ending()
    before = signal.signal(signal.SIGTERM, ending.handle)
    folder = JobFolder(settings.runs_path / "20260101-000000-listened-0123456789")
    folder.path.mkdir(parents=True)
    folder.write_request(Request({}, "listened", "tiny", {}, "2026-01-01"))
    folder.write_state(State("running", queued="2026-01-01", started="2026-01-01"))
    lock = folder.lock()
    try:
        stream = service.follow(folder.id)
        assert next(stream)["data"]["status"] == "running"
        ending.should_exit = True
        assert list(stream) == []
    finally:
        signal.signal(signal.SIGTERM, before)
        os.close(lock or 0)
        service.end()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_real_notebook(tmp_path: Path, settings: Settings):
    """Started, stopped after an epoch with its best kept as a model, resumed, finished, published and compared."""
    places = {"runs_path": tmp_path / "runs", "models_path": tmp_path / "models", "cache_path": tmp_path / "cache"}
    service = Service(settings.model_copy(update=places | {"notebooks_path": REPOSITORY / "notebooks"}))
    try:
        config = {"epochs": 60, "learning_rate": 0.003, "batch_size": 8, "max_clips_per_track": 2}
        music = {"catalogue": "music/catalogue", "labels": None, "model_name": "mine"}
        job = service.start(**music, config=config).json()
        for event in service.follow(job["job_id"]):
            if event["data"].get("kind") == "checkpoint_saved" and event["data"]["file"] == "last.ckpt":
                service.client.post(f"/stop/{job['job_id']}")
        stopped = service.status(job["job_id"])
        assert stopped["status"] == "stopped", stopped
        assert stopped["kept"]["epoch"] >= 1 and 0 <= stopped["kept"]["metrics"]["valid_accuracy"] <= 1
        folder = tmp_path / "runs" / job["job_id"]
        assert (folder / "model" / "model.safetensors").is_file()
        assert not (tmp_path / "models").exists()

        done_before = stopped["epoch"]
        request = json.loads((folder / "job.json").read_text())
        request["parameters"]["num_epochs"] = done_before + 1  # so that the test ends
        (folder / "job.json").write_text(json.dumps(request))
        assert service.client.post(f"/resume/{job['job_id']}").status_code == 202
        *_, end = service.follow(job["job_id"], last="1")
        assert end["data"]["status"] == "completed", end
        done = service.status(job["job_id"])
        assert [entry["epoch"] for entry in done["history"]] == list(range(1, done_before + 2))
        metrics = json.loads((tmp_path / "models" / "mine" / "metrics.json").read_text())
        assert metrics["comparison"]["model"] == "tiny" and metrics["calibration"]["temperature"] > 0
        assert not list(folder.glob("checkpoints/*.new"))
    finally:
        service.end()
        shutil.rmtree(tmp_path, ignore_errors=True)
