"""The routes that take tracks, with fake workers: what is handed on, what is refused, what is left."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from service_fakes import FakeWorker, client_of, is_error

from genre_lib.service.messages import Answer, TrackRequest
from genre_lib.service.schemas import BatchAnswer, Health, NotReady
from genre_lib.service.status import WorkerStatus
from genre_lib.service.tracks import shown
from genre_lib.settings import Settings, get_settings

FILE = {"file": ("a/b/song.mp3", b"some bytes")}
GOOD = {"model_name": "tiny", "model_version": "0", "duration": 1.0, "predictions": []}


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a folder on the web, of this machine."""
    folder = tmp_path_factory.mktemp("web")
    for name in ("one.mp3", "two.mp3"):
        (folder / name).write_bytes(f"bytes of {name}".encode())
    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing into the tests' output."""


@pytest.fixture
def settings(tmp_path: Path, music: str) -> Settings:
    allowed = (music.removeprefix("http://"),)
    return get_settings(models_path=tmp_path / "models", max_batch_items=3, fetch_allowed_hosts=allowed)


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> TestClient:
    return client_of(settings, tmp_path)


def worker_of(client: TestClient) -> FakeWorker:
    return client.app.state.worker


def left_in(folder: Path) -> list[Path]:
    return list(folder.glob("upload-*"))


# --- one track --------------------------------------------------------------------------------------------------------


def test_an_upload_is_handed_on_and_nothing_is_left(client: TestClient, tmp_path: Path):
    response = client.post("/predict", files=FILE, data={"top_k": "5", "model_name": "x", "timeline": "true"})
    assert is_error(response, 415, "not_audio")
    assert response.headers["X-Batch-Size"] == "1"
    asked = worker_of(client).requests[0]
    assert (asked.filename, asked.top_k, asked.model_name, asked.timeline) == ("song.mp3", 5, "x", True)
    assert asked.digest == hashlib.sha256(b"some bytes").hexdigest()
    assert worker_of(client).contents == [b"some bytes"]
    assert not left_in(tmp_path)


def test_an_address_is_handed_on_as_a_file(client: TestClient, music: str, tmp_path: Path):
    client.post("/predict", json={"audio_url": f"{music}/one.mp3?token=secret", "top_k": 5, "timeline": True})
    asked = worker_of(client).requests[0]
    assert (asked.filename, asked.top_k, asked.model_name, asked.timeline) == ("one.mp3", 5, None, True)
    assert worker_of(client).contents == [b"bytes of one.mp3"]
    assert asked.digest == hashlib.sha256(b"bytes of one.mp3").hexdigest()
    assert not left_in(tmp_path)


def test_features_are_handed_on_from_json_and_from_a_form(client: TestClient, music: str):
    client.post("/predict", json={"audio_url": f"{music}/one.mp3", "features": {"tempo": 120, "energy": None}})
    client.post("/predict", files=FILE, data={"features": '{"key": 9}'})
    client.post("/predict", files=FILE)
    assert [asked.features for asked in worker_of(client).requests] == [
        {"tempo": 120, "energy": None},
        {"key": 9},
        None,
    ]


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ('{"tmepo": 120}', "no feature 'tmepo'; there are danceability"),
        ("fast", "should be a JSON object such as"),
        ("[1]", "valid dictionary"),
        ('{"tempo": "fast"}', "valid number"),
    ],
)
def test_features_that_are_none_are_refused(client: TestClient, features: str, says: str):
    response = client.post("/predict", files=FILE, data={"features": features})
    assert is_error(response, 422, "invalid_request")
    assert says in response.json()["detail"]
    assert not worker_of(client).requests


def test_an_address_that_cannot_be_fetched_is_told(client: TestClient, music: str, tmp_path: Path):
    assert is_error(client.post("/predict", json={"audio_url": "http://127.0.0.1:1/x.mp3"}), 422, "url_refused")
    assert is_error(client.post("/predict", json={"audio_url": f"{music}/none.mp3"}), 502, "url_unreachable")
    assert not worker_of(client).requests
    assert not left_in(tmp_path)


WRONG = [
    ({"files": FILE, "data": {"top_k": "0"}}, "top_k: "),
    ({"files": FILE, "data": {"top_k": "1001"}}, "top_k: "),
    ({"files": FILE, "data": {"top_k": "many"}}, "is 'many'"),
    ({"files": FILE, "data": {"timeline": "perhaps"}}, "timeline"),
    ({"files": FILE, "data": {"topk": "3"}}, "topk is not known here"),
    ({"files": FILE, "data": {"top_k": ["3", "4"]}}, "top_k: came 2 times"),
    ({"files": FILE, "data": {"audio_url": "http://x"}}, "audio_url is not known here"),
    ({"files": {"audio": b"x"}}, "audio: is a file, and files are taken as file alone; file is missing"),
    ({"files": {"file": (None, "text")}}, "file: must be an uploaded file, and is a text"),
    ({"files": [("file", ("a", b"a")), ("file", ("b", b"b"))]}, "file: at most 1 may be sent at once"),
    ({"files": {"top_k": (None, "3")}}, "file is missing"),
    ({"json": {}}, "audio_url is missing"),
    ({"json": {"audio_url": ""}}, "audio_url: "),
    ({"json": {"audio_url": None}}, "audio_url: "),
    ({"json": {"audio_url": "http://x", "file": "x"}}, "file is not known here"),
    ({"json": {"audio_url": "http://x", "top_k": "3"}}, "top_k: "),
    ({"json": {"audio_url": "http://x", "top_k": True}}, "top_k: "),
    ({"json": {"audio_url": "http://x", "timeline": 1}}, "timeline: "),
    ({"json": ["http://x"]}, "the request: "),
    ({"json": None}, "the request: "),
]


@pytest.mark.parametrize(("sent", "says"), WRONG)
def test_a_wrong_request_is_told_what_is_wrong(client: TestClient, sent: dict, says: str):
    if "json" in sent and sent["json"] is None:
        sent = {"content": b"null", "headers": {"Content-Type": "application/json"}}
    response = client.post("/predict", **sent)
    assert is_error(response, 422, "invalid_request")
    assert says in response.json()["detail"]
    assert not worker_of(client).requests


def test_a_field_that_is_left_empty_counts_as_left_out(client: TestClient):
    client.post("/predict", files=FILE, data={"model_name": "", "top_k": ""})
    assert (worker_of(client).requests[0].model_name, worker_of(client).requests[0].top_k) == (None, 3)


# --- many tracks ------------------------------------------------------------------------------------------------------


def by_content(asked: TrackRequest) -> Answer:
    bad = b"bad" in Path(asked.path).read_bytes()
    return Answer(415, {"detail": f"{asked.filename} is bad.", "code": "not_audio"}) if bad else Answer(200, GOOD)


def test_each_file_has_a_result_or_an_error_of_its_own_in_order(client: TestClient, tmp_path: Path):
    worker_of(client).answer = by_content
    files = [("files", ("a.mp3", b"fine")), ("files", ("b.mp3", b"bad")), ("files", ("c.mp3", b"fine, too"))]
    response = client.post("/predict/batch", files=files, data={"top_k": "2"})
    assert response.status_code == 200
    items = BatchAnswer.model_validate(response.json()).results
    assert [(item.name, item.status) for item in items] == [("a.mp3", 200), ("b.mp3", 415), ("c.mp3", 200)]
    assert response.json()["results"][0] == {"name": "a.mp3", "status": 200, "result": GOOD, "error": None}
    error = {"detail": "b.mp3 is bad.", "code": "not_audio"}
    assert response.json()["results"][1] == {"name": "b.mp3", "status": 415, "result": None, "error": error}
    assert {asked.top_k for asked in worker_of(client).requests} == {2}
    assert not left_in(tmp_path)


def test_each_track_of_a_batch_counts_as_a_request(settings: Settings, tmp_path: Path):
    limited = settings.model_copy(update={"rate_limit_predictions": "5/hour"})
    client = client_of(limited, tmp_path)
    worker_of(client).answer = by_content
    three = [("files", (f"{number}.mp3", b"fine")) for number in range(3)]
    answers = [client.post("/predict/batch", files=three) for _ in range(2)]
    assert answers[0].status_code == 200 and answers[0].headers["X-RateLimit-Remaining"] == "2"
    assert is_error(answers[1], 429, "rate_limited") and len(worker_of(client).requests) == 3
    assert client.post("/predict", files=FILE).status_code == 200  # what was refused counted once
    assert is_error(client.post("/predict", files=FILE), 429, "rate_limited")
    assert not left_in(tmp_path)


def test_each_address_has_a_result_or_an_error_of_its_own_in_order(client: TestClient, music: str, tmp_path: Path):
    worker_of(client).answer = by_content
    urls = [f"{music}/two.mp3", "file:///etc/passwd", f"{music}/one.mp3"]
    items = client.post("/predict/batch", json={"audio_urls": urls}).json()["results"]
    assert [(item["url"], item["status"]) for item in items] == list(zip(urls, [200, 422, 200], strict=True))
    assert items[1]["error"]["code"] == "url_refused"
    assert "name" not in items[0]
    assert not left_in(tmp_path)


def test_what_nobody_foresaw_spoils_no_other_item(client: TestClient):
    def fails_on_b(asked: TrackRequest) -> Answer:
        return Answer(200, GOOD) if asked.filename == "a.mp3" else 1 / 0

    worker_of(client).answer = fails_on_b
    files = [("files", ("a.mp3", b"a")), ("files", ("b.mp3", b"b"))]
    items = client.post("/predict/batch", files=files).json()["results"]
    assert [item["status"] for item in items] == [200, 500]
    assert items[1]["error"]["code"] == "internal_server_error"


@pytest.mark.parametrize(
    ("sent", "code", "says"),
    [
        ({"json": {"audio_urls": []}}, "invalid_request", "audio_urls"),
        ({"json": {"audio_urls": "http://x"}}, "invalid_request", "audio_urls"),
        ({"json": {"audio_urls": ["http://x", 3]}}, "invalid_request", "audio_urls.1"),
        ({"json": {"audio_urls": ["http://x"] * 4}}, "too_many_items", "at most 3 tracks, and 4 came"),
        ({"json": {"audio_url": "http://x"}}, "invalid_request", "audio_url is not known here"),
        ({"files": [("files", ("a", b"a"))] * 4}, "invalid_request", "files: at most 3 may be sent at once"),
        ({"files": [("files", ("a", b"a"))] * 40}, "invalid_request", "files: at most 3 may be sent at once"),
        ({"files": FILE}, "invalid_request", "file: is a file, and files are taken as files alone"),
    ],
)
def test_a_wrong_batch_is_refused_as_a_whole(client: TestClient, sent: dict, code: str, says: str):
    response = client.post("/predict/batch", **sent)
    assert is_error(response, 422, code)
    assert says in response.json()["detail"]
    assert not worker_of(client).requests


def test_what_is_late_is_told_and_the_rest_is_there(settings: Settings, tmp_path: Path):
    client = client_of(settings.model_copy(update={"request_timeout": 1.0}), tmp_path)

    class Slow(FakeWorker):
        async def ask(self, request: TrackRequest) -> Answer:
            await asyncio.sleep(60 if request.filename == "b.mp3" else 0)
            return Answer(200, GOOD)

    client.app.state.worker = Slow(tmp_path)
    files = [("files", ("a.mp3", b"a")), ("files", ("b.mp3", b"b"))]
    response = client.post("/predict/batch", files=files)
    assert response.status_code == 200
    assert [item["status"] for item in response.json()["results"]] == [200, 504]
    assert response.json()["results"][1]["error"]["code"] == "item_timeout"
    assert is_error(client.post("/predict", files={"file": ("b.mp3", b"b")}), 504, "request_timeout")
    assert not left_in(tmp_path)


# --- analysis ---------------------------------------------------------------------------------------------------------


def test_an_analysis_goes_to_its_own_process(client: TestClient, music: str, tmp_path: Path):
    analysis = client.app.state.analysis
    assert is_error(client.post("/analyze/features", files=FILE), 415, "not_audio")
    client.post("/analyze/features", json={"audio_url": f"{music}/two.mp3"})
    assert [asked.filename for asked in analysis.requests] == ["song.mp3", "two.mp3"]
    assert analysis.contents == [b"some bytes", b"bytes of two.mp3"]
    assert not worker_of(client).requests
    assert not left_in(tmp_path)


def test_an_analysis_takes_no_further_fields(client: TestClient):
    response = client.post("/analyze/features", files=FILE, data={"top_k": "3"})
    assert is_error(response, 422, "invalid_request")
    assert "top_k is not known here" in response.json()["detail"]


def test_analyses_leave_room_for_predictions(settings: Settings, tmp_path: Path):
    client = client_of(settings.model_copy(update={"max_requests_in_flight": 8}), tmp_path)
    client.app.state.analysis.asked = {"a": None, "b": None}
    response = client.post("/analyze/features", files=FILE)
    assert is_error(response, 503, "analysis_busy")
    assert response.headers["Retry-After"] == "5"
    assert is_error(client.post("/predict", files=FILE), 415, "not_audio")


# --- the service itself -----------------------------------------------------------------------------------------------


def test_health_tells_of_the_processes(client: TestClient):
    worker = worker_of(client)
    worker.status.pid = os.getpid()
    health = Health.model_validate(client.get("/health").json())
    assert (health.status, health.model.name, health.batches.mean) == ("ok", "tiny", 3.5)
    assert (health.worker.state, health.worker.pid, health.worker.restarts) == ("ready", os.getpid(), 2)
    assert (health.analysis.state, health.analysis.pid, health.analysis.alive) == ("ended", None, False)
    worker.is_ready = False
    response = client.get("/health")
    assert response.status_code == 503
    assert NotReady.model_validate(response.json()).code == "not_ready"
    assert response.headers["Retry-After"] == "5"


def test_health_tells_that_the_active_model_cannot_be_loaded(client: TestClient):
    worker = worker_of(client)
    worker.status = WorkerStatus(pid=os.getpid(), starts=2, error="emo cannot be served: No.")
    response = client.get("/health")
    assert response.status_code == 503
    health = NotReady.model_validate(response.json())
    assert (health.status, health.code, health.model) == ("error", "no_active_model", None)
    assert health.detail == health.error == "emo cannot be served: No."
    assert health.worker.state == "ready"
    worker.is_ready = False  # the error may be that of a start before
    assert NotReady.model_validate(client.get("/health").json()).status == "starting"
    worker.is_ready = True
    worker.status.model_name, worker.status.model_version = "tiny", "0123456789ab"  # the model before goes on
    assert client.get("/health").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("name", "said"),
    [("../../etc/x.mp3", "x.mp3"), ("a\nb\0c.mp3", "abc.mp3"), (None, "The upload"), ("x" * 200, "x" * 100)],
)
def test_a_clients_file_name_is_made_fit_for_a_sentence(name: str | None, said: str):
    assert shown(name) == said
