"""A model's life over HTTP, in real processes: uploaded, activated, predicting, counted, deleted."""

from __future__ import annotations

import io
import os
import shutil
import signal
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from test_serve import PLAIN, Server, clean, is_error, start, until

from genre_lib import api_keys

KEY = api_keys.generate()


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve")
    (folder / ".env").write_text(f"API_KEYS=tester:{api_keys.digest(KEY)}\nMODEL_CHECK_TIMEOUT=600\n")
    running = start(folder, tiny_model)
    yield running
    clean(running)


@pytest.fixture
def wav(tmp_path: Path, tone, write_wav) -> bytes:
    return write_wav(tmp_path / "tone.wav", tone(5.0)).read_bytes()


@pytest.fixture
def packed(tiny_model: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in tiny_model.iterdir():
            archive.write(path, f"model/{path.name}")
    return content.getvalue()


def ask(server: Server, method: str, path: str, **given) -> httpx.Response:
    return httpx.request(method, f"{server.url}{path}", headers={"X-API-Key": KEY}, timeout=150, **PLAIN, **given)


def samples(server: Server) -> dict[tuple[str, frozenset], float]:
    families = text_string_to_metric_families(ask(server, "GET", "/metrics").text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def count(server: Server, name: str, **labels: str) -> float:
    return samples(server).get((name, frozenset(labels.items())), 0.0)


def test_a_models_life(server: Server, wav: bytes, packed: bytes):
    models = server.folder / "models"
    response = ask(server, "POST", "/models/upload", files={"file": ("new.zip", packed)})
    assert response.status_code == 201, response.text
    assert server.predict("x.wav", wav, model_name="new").json()["model_name"] == "new"
    assert server.predict("x.wav", wav).json()["model_name"] == "tiny"
    response = ask(server, "POST", "/models/new/activate")
    assert (response.status_code, response.json()["serving"]) == (200, True), response.text
    assert server.predict("x.wav", wav).json()["model_name"] == "new"
    assert is_error(ask(server, "DELETE", "/models/new"), 409, "model_in_use")
    assert ask(server, "POST", "/models/tiny/activate").json()["serving"]
    assert server.predict("x.wav", wav).json()["model_name"] == "tiny"
    assert ask(server, "DELETE", "/models/new").status_code == 204
    assert is_error(server.predict("x.wav", wav, model_name="new"), 404, "model_not_found")
    assert [path.name for path in models.iterdir()] == ["active.json"]


def test_no_request_is_lost_while_models_are_exchanged(server: Server, wav: bytes, packed: bytes):
    ask(server, "POST", "/models/upload", files={"file": ("other.zip", packed)})
    with ThreadPoolExecutor(2) as clients:
        exchanged = clients.submit(ask, server, "POST", "/models/other/activate")
        statuses = []
        while not exchanged.done() or len(statuses) < 10:
            statuses.append(server.predict("x.wav", wav).status_code)
    assert exchanged.result().status_code == 200
    assert set(statuses) == {200}


def test_all_processes_are_counted(server: Server, wav: bytes):
    before = samples(server)
    server.predict("new.wav", wav + b"\0\0")
    assert is_error(server.predict("x.mp3", b"no audio " * 100), 415, "not_audio")
    after = samples(server)
    rise = {key: value - before.get(key, 0.0) for key, value in after.items()}
    predicted = {"route": "/predict", "method": "POST"}
    assert rise["genre_request_seconds_count", frozenset((predicted | {"status": "200"}).items())] == 1
    assert rise["genre_request_seconds_count", frozenset((predicted | {"status": "415"}).items())] == 1
    assert rise["genre_errors_total", frozenset({"code": "not_audio"}.items())] == 1
    active = server.health()["model"]["name"]
    assert rise["genre_batch_size_sum", frozenset({"model": active}.items())] == 1  # by the worker
    assert after["genre_requests_in_flight", frozenset()] == 1  # that for the metrics
    assert after["genre_worker_up", frozenset({"worker": "predict"}.items())] == 1


def test_the_http_process_goes_without_torch(server: Server):
    listening = [p for p in server.children() if any(c.laddr.port == server.port for c in p.net_connections("tcp"))]
    assert listening
    for process in listening:
        assert not [mapped.path for mapped in process.memory_maps() if "libtorch" in mapped.path]


def test_a_worker_that_was_started_again_is_counted(server: Server, wav: bytes):
    passes = count(server, "genre_batch_size_count", model=server.health()["model"]["name"])
    assert passes > 0
    psutil.Process(server.health()["worker"]["pid"]).kill()
    until(lambda: count(server, "genre_worker_restarts_total", worker="predict") == 1, "the restart is counted")
    until(lambda: server.health()["status"] == "ok", "the worker is back")
    assert count(server, "genre_batch_size_count", model=server.health()["model"]["name"]) == passes


def killed(server: Server) -> None:
    """End the worker, and wait for the next one."""
    pid = server.health()["worker"]["pid"]
    psutil.Process(pid).kill()

    def is_back() -> bool:
        worker = server.health()["worker"]
        return worker["state"] == "ready" and worker["pid"] != pid

    until(is_back, "a new worker is ready")


def test_a_worker_goes_without_an_active_model_that_is_damaged_or_gone(server: Server, wav: bytes, packed: bytes):
    before = server.health()["model"]["name"]
    ask(server, "POST", "/models/upload", files={"file": ("emo.zip", packed)})
    assert ask(server, "POST", "/models/emo/activate").json()["serving"]
    folder = server.folder / "models" / "emo"
    (folder / "model.safetensors").write_bytes(os.urandom(1000))
    for told, damage in (
        ("emo cannot be served: ", killed),
        ("There is no model 'emo'", lambda _: shutil.rmtree(folder)),
    ):
        damage(server)
        until(lambda told=told: told in (server.health()["error"] or ""), "the cause is told")
        health = httpx.get(f"{server.url}/health", **PLAIN)
        assert (health.status_code, health.json()["status"]) == (503, "error")
        refused = server.predict("x.wav", wav)
        assert is_error(refused, 503, "no_active_model")
        assert refused.json()["detail"] == health.json()["error"] == health.json()["detail"]
        assert "activate" in refused.json()["detail"]
        assert server.predict("x.wav", wav, model_name="tiny").json()["model_name"] == "tiny"
    assert server.log.count("ERROR genre_lib.service.model_cache: The active model cannot be served: There is no") == 1
    killed(server)
    assert is_error(server.predict("x.wav", wav), 503, "no_active_model")
    assert ask(server, "POST", f"/models/{before}/activate").json()["serving"]
    assert server.predict("x.wav", wav).json()["model_name"] == before
    assert server.health()["status"] == "ok"


def test_a_server_that_is_stopped_amid_an_upload_leaves_nothing(server: Server, packed: bytes):
    with ThreadPoolExecutor(1) as client:
        sent = client.submit(ask, server, "POST", "/models/upload", files={"file": ("half.zip", packed)})
        until(lambda: any((server.folder / "models").glob(".half.*")), "the trial begins")
        children = server.children()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=30) == 0
        assert sent.exception() is not None or sent.result().status_code in (201, 503)
    time.sleep(1)  # a trial looks for its parent twice a second
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in children)
    names = {path.name for path in (server.folder / "models").iterdir()}
    assert names - {"half"} == {"active.json", "other"}
