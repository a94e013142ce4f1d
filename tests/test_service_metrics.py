"""What is counted, by which names, and that every process's counts come together."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from genre_lib import registry
from genre_lib.errors import NotAudio
from genre_lib.job_standing import STATUSES
from genre_lib.service import analysis_api, errors, metrics, scrape
from genre_lib.service.app import create_server
from genre_lib.service.limits import Bound, Deadline, InFlightLimit, UploadLimit
from genre_lib.service.status import WorkerStatus
from genre_lib.settings import Settings, get_settings

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Metrics as in a server, and off again afterwards."""
    monkeypatch.setenv(metrics.FOLDER, "")
    metrics.prepare(tmp_path / "metrics")
    yield
    monkeypatch.undo()
    metrics._instruments.cache_clear()


@pytest.fixture
def settings(tiny_model: Path, tmp_path: Path) -> Settings:
    return get_settings(model_path=tiny_model, models_path=tmp_path / "models", runs_path=tmp_path / "runs")


@pytest.fixture
def worker() -> SimpleNamespace:
    said = WorkerStatus(model_name="tiny", model_version="0123456789ab", engine="openvino-bf16")
    return SimpleNamespace(status=said, ready=lambda: True, pending=lambda started: ["a", "b"])


def samples_in(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def scraped(settings: Settings, worker: SimpleNamespace) -> Samples:
    content, kind = scrape.page(scrape.Present(settings, {"predict": worker, "analyze": worker}), "")
    assert kind.startswith("text/plain")
    return samples_in(content.decode())


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


def app_of_many_answers() -> FastAPI:
    """Routes that end in every way; around them the bounds, as in the service."""
    app = FastAPI()
    errors.install(app)

    @app.get("/things/{name}")
    async def thing(name: str) -> dict:
        if name == "song":
            raise NotAudio("song is no audio.")
        if name == "bug":
            raise ZeroDivisionError
        if name == "slow":
            await asyncio.sleep(5)
        return {"name": name}

    @app.post("/things/{name}")
    async def change(name: str, number: int) -> dict:
        return {}

    @app.post("/things/new")
    async def new() -> dict:
        return {}

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a", b"b"]), media_type="text/event-stream")

    app.add_middleware(UploadLimit, max_bytes=100, forms={"/x": Bound(10)})
    app.add_middleware(InFlightLimit, most=2)
    app.add_middleware(Deadline, seconds=0.3)
    app.add_middleware(metrics.RequestMetrics)
    return app


def test_requests_are_counted_by_route_method_and_status(counting, settings, worker):
    client = TestClient(app_of_many_answers(), raise_server_exceptions=False)
    asked = {
        ("GET", "/things/{name}", "200"): [("GET", "/things/a"), ("GET", "/things/b")],
        ("GET", "/things/{name}", "415"): [("GET", "/things/song")],
        ("GET", "/things/{name}", "500"): [("GET", "/things/bug")],
        ("GET", "/things/{name}", "504"): [("GET", "/things/slow")],
        ("POST", "/things/{name}", "422"): [("POST", "/things/a?number=x")],
        ("GET", "unmatched", "404"): [("GET", "/things/a/b"), ("GET", "/etc/passwd")],
        ("OTHER", "unmatched", "404"): [("BREW", "/coffee")],
        ("DELETE", "/things/{name}", "405"): [("DELETE", "/things/a")],
        ("PUT", "/things/new", "405"): [("PUT", "/things/new")],
        ("GET", "/stream", "200"): [("GET", "/stream")],
    }
    for (_, _, status), requests in asked.items():
        for method, path in requests:
            assert client.request(method, path).status_code == int(status)
    assert client.post("/things/a", content=b"x" * 101).status_code == 413
    found = scraped(settings, worker)
    for (method, route, status), requests in asked.items():
        counted = value(found, "genre_request_seconds_count", method=method, route=route, status=status)
        assert counted == len(requests), (method, route, status)
    assert value(found, "genre_request_seconds_count", method="POST", route="/things/{name}", status="413") == 1
    assert value(found, "genre_requests_in_flight") == 0
    assert "passwd" not in str(found)


def test_errors_are_counted_by_their_code(counting, settings, worker):
    client = TestClient(app_of_many_answers(), raise_server_exceptions=False)
    for path in ("song", "song", "bug", "slow", "a"):
        client.get(f"/things/{path}")
    client.get("/nowhere")
    metrics.count_error("not_audio")
    metrics.count_error("A stranger's words")
    found = scraped(settings, worker)
    counted = {dict(labels)["code"]: number for (name, labels), number in found.items() if name == "genre_errors_total"}
    assert counted == {
        "not_audio": 3,
        "internal_server_error": 1,
        "request_timeout": 1,
        "not_found": 1,
        "unknown": 1,
    }


def test_requests_in_flight_and_those_that_nobody_waits_for(counting, settings, worker):
    async def asked() -> tuple[Samples, Samples]:
        transport = httpx.ASGITransport(app_of_many_answers())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            waiting = [asyncio.create_task(client.get("/things/slow")) for _ in range(2)]
            await asyncio.sleep(0.1)
            assert (await client.get("/things/a")).status_code == 503
            during = await asyncio.to_thread(scraped, settings, worker)
            waiting[0].cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return during, await asyncio.to_thread(scraped, settings, worker)

    during, after = asyncio.run(asked())
    assert value(during, "genre_requests_in_flight") == 2
    assert value(during, "genre_errors_total", code="too_many_requests") == 1
    assert value(after, "genre_requests_in_flight") == 0
    statuses = ("499", "503", "504")
    counted = [
        value(after, "genre_request_seconds_count", method="GET", route="/things/{name}", status=s) for s in statuses
    ]
    assert counted == [1, 1, 1]


OTHER_PROCESS = """
from genre_lib.service import metrics
metrics.observe_pass("tiny", 3, 0.02)
metrics.cache_miss("models")
metrics.set_queue_length(4)
"""


def test_the_counts_of_all_processes_come_together(counting, settings, worker):
    metrics.observe_pass("tiny", 5, 0.2)
    metrics.cache_hit("models")
    process = subprocess.Popen([sys.executable, "-c", OTHER_PROCESS])
    assert process.wait() == 0
    found = scraped(settings, worker)
    assert value(found, "genre_batch_size_sum", model="tiny") == 8
    assert value(found, "genre_batch_size_bucket", model="tiny", le="4.0") == 1
    assert value(found, "genre_inference_seconds_sum", model="tiny") == pytest.approx(0.22)
    assert value(found, "genre_inference_seconds_count", model="tiny") == 2
    assert value(found, "genre_cache_hits_total", cache="models") == 1
    assert value(found, "genre_cache_misses_total", cache="models") == 1
    assert value(found, "genre_queue_length", worker="predict") == 4
    metrics.worker_restarted("predict", process.pid)
    found = scraped(settings, worker)
    assert value(found, "genre_queue_length", worker="predict") == 0  # a dead process holds no queue …
    assert value(found, "genre_batch_size_sum", model="tiny") == 8  # … and what it did stays done
    assert value(found, "genre_worker_restarts_total", worker="predict") == 1


def test_remembered_descriptions_are_counted(counting, settings, worker, tmp_path: Path, tone, write_wav):
    from genre_lib.described_files import cached_file

    remembering = settings.model_copy(update={"cache_path": tmp_path / "cache"})
    for _ in range(3):
        cached_file(write_wav(tmp_path / "tone.wav", tone(3.0)), remembering, on_looked=analysis_api.count)
    found = scraped(settings, worker)
    assert value(found, "genre_cache_misses_total", cache="descriptors") == 1
    assert value(found, "genre_cache_hits_total", cache="descriptors") == 2


def test_preparing_begins_anew(counting, settings, worker, tmp_path: Path):
    metrics.cache_hit("models")
    metrics.prepare(tmp_path / "metrics")
    assert value(scraped(settings, worker), "genre_cache_hits_total", cache="models") == 0
    metrics.cache_hit("models")
    assert value(scraped(settings, worker), "genre_cache_hits_total", cache="models") == 1


def test_what_can_be_looked_up_is_told_too(settings, worker, tiny_model: Path):
    registry.publish(tiny_model, "other", settings)
    found = scraped(settings, worker)  # without prepare(): nothing is counted, and nothing fails
    assert value(found, "genre_model_active", model="tiny") == 1
    assert value(found, "genre_model_active", model="other") == 0
    assert value(found, "genre_model_info", model="tiny", version="0123456789ab", engine="openvino-bf16") == 1
    assert value(found, "genre_worker_up", worker="predict") == 1
    statuses = {dict(labels)["status"] for name, labels in found if name == "genre_jobs"}
    assert statuses == set(STATUSES)
    assert any(name == "genre_build_info" for name, _ in found)


def test_without_preparation_nothing_is_written(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metrics._instruments.cache_clear()
    metrics.observe_pass("tiny", 1, 0.1)
    metrics.cache_hit("x")
    metrics.cache_miss("x")
    metrics.set_queue_length(1)
    metrics.count_error("x")
    metrics.worker_restarted("predict", 1)
    assert not list(tmp_path.iterdir())


def test_the_route(counting, settings, worker, tmp_path: Path):
    app = create_server(settings, tmp_path).app
    app.state.worker = app.state.analysis = worker
    client = TestClient(app)
    assert client.get("/models").status_code == 200
    response = client.get("/metrics")
    found = samples_in(response.text)
    assert value(found, "genre_request_seconds_count", method="GET", route="/models", status="200") == 1
    assert value(found, "genre_queue_length", worker="predict") == 2
    openmetrics = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")
    closed = settings.model_copy(update={"read_requires_key": True})
    app.state.settings = closed
    assert client.get("/metrics").status_code == 403
