"""The service without its processes: batches, the exchange of models, the bounds, and the shape of errors."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import queue
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from litserve.utils import LitAPIStatus, PickleableHTTPException

from genre_lib import registry
from genre_lib.audio import Limits
from genre_lib.errors import AudioTooLong, ConfigurationError, EmptyAudio, ModelNotFound, NotAudio
from genre_lib.inference import Predictor
from genre_lib.service import errors, server, status
from genre_lib.service.batch import BatchPredictor
from genre_lib.service.limits import Bound, Deadline, InFlightLimit, UploadLimit
from genre_lib.service.messages import Answer, PredictRequest
from genre_lib.service.model_cache import ModelCache
from genre_lib.service.schemas import ErrorBody, PredictAnswer
from genre_lib.service.status import WorkerStatus
from genre_lib.service.worker import Worker
from genre_lib.settings import Settings, get_settings


@pytest.fixture
def settings(tiny_model: Path, tmp_path: Path) -> Settings:
    return get_settings(model_path=tiny_model, models_path=tmp_path / "models", device="cpu")


@pytest.fixture
def models(settings: Settings) -> ModelCache:
    cache = ModelCache(settings, lambda folder: Predictor.from_folder(folder, device="cpu"))
    cache.start()
    return cache


@pytest.fixture
def batch(models: ModelCache) -> BatchPredictor:
    return BatchPredictor(models, Limits(max_seconds=20), WorkerStatus())


@pytest.fixture
def tracks(tmp_path: Path, tone, write_wav) -> list[Path]:
    return [write_wav(tmp_path / f"{n}.wav", tone(seconds, 220.0 * n)) for n, seconds in ((1, 2.0), (2, 4.0), (3, 7.0))]


def ask(path: Path, **fields) -> PredictRequest:
    return PredictRequest(str(path), f"my {path.name}", **fields)


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_answers_as_each_track_alone(batch: BatchPredictor, tracks: list[Path], tiny_model: Path):
    answers = batch.answers([ask(path, top_k=4) for path in tracks])
    alone = Predictor.from_folder(tiny_model, device="cpu")
    for path, answer in zip(tracks, answers, strict=True):
        expected = alone.file(path).to_json(4)
        assert answer.status == 200
        assert answer.content["duration"] == expected["duration"]
        for got, want in zip(answer.content["predictions"], expected["predictions"], strict=True):
            assert got["confidence"] == pytest.approx(want["confidence"], abs=1e-5)
    assert [answer.headers["X-Batch-Size"] for answer in answers] == ["3", "3", "3"]
    assert (batch.status.passes, batch.status.tracks, batch.status.mean_batch) == (1, 3, 3.0)


def test_one_bad_upload_fails_alone(batch: BatchPredictor, tracks: list[Path], tmp_path: Path):
    text, empty, gone = tmp_path / "text.mp3", tmp_path / "empty.mp3", tmp_path / "gone.mp3"
    text.write_bytes(b"no audio at all " * 50)
    empty.touch()
    answers = batch.answers([ask(path) for path in (tracks[0], text, empty, tracks[1], gone)])
    assert [answer.status for answer in answers] == [200, 415, 422, 200, 422]
    assert [answer.content.get("code") for answer in answers] == [
        None,
        "not_audio",
        "empty_audio",
        None,
        "audio_not_found",
    ]
    assert answers[1].content["detail"].startswith("my text.mp3 is not audio")
    assert str(tmp_path) not in "".join(answer.content.get("detail", "") for answer in answers)


def test_a_track_beyond_the_limit_is_refused(batch: BatchPredictor, tmp_path: Path, tone, write_wav):
    answer = batch.answers([ask(write_wav(tmp_path / "long.wav", tone(21.0)))])[0]
    assert (answer.status, answer.content["code"]) == (422, "audio_too_long")


def test_a_timeline_is_for_those_who_asked(batch: BatchPredictor, tracks: list[Path]):
    with_it, without = batch.answers([ask(tracks[2], timeline=True, top_k=1), ask(tracks[2])])
    assert with_it.content["timeline"][-1]["end"] == pytest.approx(7.0)
    assert all(len(segment["predictions"]) == 1 for segment in with_it.content["timeline"])
    assert "timeline" not in without.content
    PredictAnswer.model_validate(with_it.content)


def test_requests_for_different_models_share_a_batch(batch: BatchPredictor, tracks, settings, tiny_model):
    registry.publish(tiny_model, "other", settings)
    asked = [ask(tracks[0]), ask(tracks[0], model_name="other"), ask(tracks[1], model_name="absent"), ask(tracks[2])]
    answers = batch.answers(asked)
    assert [answer.status for answer in answers] == [200, 200, 404, 200]
    assert [answer.content.get("model_name") for answer in answers] == ["tiny", "other", None, "tiny"]
    assert [answer.headers.get("X-Batch-Size") for answer in answers] == ["2", "1", None, "2"]
    assert "tiny" in answers[2].content["detail"]


def test_a_name_is_never_a_path(batch: BatchPredictor, tracks: list[Path], tiny_model: Path):
    for name in (str(tiny_model), "../tiny", ".", ""):
        answer = batch.answers([ask(tracks[0], model_name=name)])[0]
        assert answer.content["code"] == "model_not_found"


def test_where_a_pass_fails_only_the_culprit_does(batch: BatchPredictor, tracks, models, monkeypatch):
    real = models.active.clip_logits

    def fails_on_seven_seconds(waveforms):
        if any(len(waveform) == 7 * 22050 for waveform in waveforms):
            raise RuntimeError("no")
        return real(waveforms)

    monkeypatch.setattr(models.active, "clip_logits", fails_on_seven_seconds)
    answers = batch.answers([ask(path) for path in tracks])
    assert [answer.status for answer in answers] == [200, 200, 500]
    assert answers[2].content["code"] == "internal_server_error"


def test_a_long_batch_goes_in_parts(batch: BatchPredictor, tracks: list[Path], monkeypatch):
    monkeypatch.setattr("genre_lib.service.batch.SECONDS_A_PASS", 5.0)
    answers = batch.answers([ask(path) for path in tracks])  # 2 s + 4 s, then 7 s
    assert [answer.headers["X-Batch-Size"] for answer in answers] == ["2", "2", "1"]


def test_what_was_cut_off_is_predicted_with_a_warning(batch: BatchPredictor, real_data: Path):
    answer = batch.answers([ask(real_data / "odd_files" / "corrupt_truncated.mp3")])[0]
    assert answer.status == 200
    assert answer.content["warning"].startswith("my corrupt_truncated.mp3 claims 4.00 s")


# --- bounds -----------------------------------------------------------------------------------------------------------


def client_of(app) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def slow_app(seconds: float) -> FastAPI:
    app = FastAPI()

    @app.post("/")
    async def slow() -> dict:
        await asyncio.sleep(seconds)
        return {}

    @app.get("/health")
    async def health() -> dict:
        return {}

    @app.get("/finetune/events/{number}")
    async def events(number: int) -> dict:
        await asyncio.sleep(seconds)
        return {}

    return app


def is_error(response: httpx.Response, status: int, code: str) -> bool:
    return (response.status_code, ErrorBody.model_validate(response.json()).code) == (status, code)


async def of_the_deadline():
    async with client_of(Deadline(slow_app(5), seconds=0.1)) as client:
        assert is_error(await client.post("/"), 504, "request_timeout")
    async with client_of(Deadline(slow_app(0), seconds=5)) as client:
        assert (await client.post("/")).status_code == 200


async def of_requests_in_flight():
    async with client_of(InFlightLimit(slow_app(0.5), most=2)) as client:
        posts = [asyncio.create_task(client.post("/", content=b"x" * 1000)) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert (await client.get("/health")).status_code == 200
        responses = await asyncio.gather(*posts)
        assert sorted(response.status_code for response in responses) == [200, 200, 503]
        refused = next(response for response in responses if response.status_code == 503)
        assert is_error(refused, 503, "too_many_requests")
        assert refused.headers["Retry-After"] == "1"
        assert (await client.post("/")).status_code == 200


async def of_streams():
    """Those who follow jobs take no place from those who want an answer, and have a bound of their own."""
    async with client_of(InFlightLimit(slow_app(0.5), most=2)) as client:
        streams = [asyncio.create_task(client.get(f"/finetune/events/{number}")) for number in range(3)]
        await asyncio.sleep(0.1)
        posts = await asyncio.gather(client.post("/"), client.post("/"))
        assert [response.status_code for response in posts] == [200, 200]
        assert sorted([(await stream).status_code for stream in streams]) == [200, 200, 503]


async def of_uploads():
    app = FastAPI()
    app.add_middleware(UploadLimit, max_bytes=1000, forms={"/form": Bound(3000, "form_too_large")})
    errors.install(app)

    @app.post("/form")
    async def fields(request: errors.Request) -> int:
        return len(await request.form())

    @app.post("/")
    async def length(request: errors.Request) -> int:
        return len(await request.body())

    async def streamed(size: int):
        for _ in range(size // 100):
            yield b"x" * 100

    async with client_of(app) as client:
        assert (await client.post("/", content=b"x" * 1000)).json() == 1000
        assert is_error(await client.post("/", content=b"x" * 1001), 413, "body_too_large")
        assert (await client.post("/", content=streamed(1000))).json() == 1000
        assert is_error(await client.post("/", content=streamed(2000)), 413, "body_too_large")
        assert (await client.post("/form", files={"file": b"x" * 2000})).json() == 1
        assert is_error(await client.post("/form", files={"file": b"x" * 3000}), 413, "form_too_large")
        assert is_error(await client.post("/form", content=b"x" * 2000), 413, "body_too_large")  # no form


@pytest.mark.parametrize("check", [of_the_deadline, of_requests_in_flight, of_streams, of_uploads])
def test_bounds(check: Callable):
    asyncio.run(check())


# --- the worker, seen from the HTTP process ---------------------------------------------------------------------------


class FakeLitServer:
    """LitServe's queues and buffers, in this process."""

    def __init__(self) -> None:
        self.response_buffer: dict = {}
        self.litapi_request_queues = {"/predict": queue.Queue()}
        self.workers_setup_status = {"predict_0": "ready"}
        self.app = SimpleNamespace(response_queue_id=0)

    @property
    def queue(self) -> queue.Queue:
        return self.litapi_request_queues["/predict"]


@contextlib.asynccontextmanager
async def two_asked(lit: FakeLitServer, worker: Worker):
    """Two requests are in the queue; their tasks are cancelled at the end."""
    tasks = [asyncio.create_task(worker.ask(PredictRequest(path, path))) for path in ("a", "b")]
    while lit.queue.qsize() < 2:
        await asyncio.sleep(0.01)
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not lit.response_buffer
    assert not worker.asked


async def of_an_answer(lit: FakeLitServer, worker: Worker):
    async with two_asked(lit, worker) as (first, _):
        _, uid, _, request = lit.queue.get()
        lit.response_buffer[uid].response = (Answer(200, {"of": request.path}), LitAPIStatus.OK)
        lit.response_buffer[uid].event.set()
        assert await first == Answer(200, {"of": "a"})


async def of_an_error_of_litserves(lit: FakeLitServer, worker: Worker):
    async with two_asked(lit, worker) as (first, second):
        for raised in (PickleableHTTPException(504, "late"), pickle.dumps(ValueError("no"))):
            item = lit.response_buffer[lit.queue.get()[1]]
            item.response = (raised, LitAPIStatus.ERROR)
            item.event.set()
        with pytest.raises(HTTPException, match="late"):
            await first
        assert (await second).status == 500


async def of_a_worker_that_died(lit: FakeLitServer, worker: Worker):
    async with two_asked(lit, worker) as (begun, waiting):
        begun_uid, waiting_uid = lit.queue.get()[1], lit.queue.get()[1]  # the second is lost with the worker
        lit.response_buffer[begun_uid].worker_id = 0
        lit.workers_setup_status["predict_0"] = "starting"
        await worker.look()
        assert not worker.was_ready
        assert (await begun).content["code"] == "worker_died"
        assert not waiting.done()
        lit.workers_setup_status["predict_0"] = "ready"
        await worker.look()
        assert lit.queue.get_nowait()[1] == waiting_uid
        await worker.look()
        assert lit.queue.empty()


@pytest.mark.parametrize("check", [of_an_answer, of_an_error_of_litserves, of_a_worker_that_died])
def test_what_becomes_of_requests(check: Callable, tmp_path: Path):
    lit = FakeLitServer()
    asyncio.run(check(lit, Worker(lit, tmp_path)))


# --- small parts ------------------------------------------------------------------------------------------------------


def test_statuses():
    errors_and_statuses = {
        NotAudio: 415,
        EmptyAudio: 422,
        AudioTooLong: 422,
        ModelNotFound: 404,
        ConfigurationError: 500,
    }
    assert {kind: errors.status_of(kind("x")) for kind in errors_and_statuses} == errors_and_statuses


def test_the_workers_status_goes_through_a_file(tmp_path: Path):
    assert status.read(tmp_path) == WorkerStatus()
    said = WorkerStatus(pid=1, model_name="tiny", passes=2, tracks=3)
    said.write(tmp_path)
    assert status.read(tmp_path) == said
    (tmp_path / status.FILE).write_text("{")
    assert status.read(tmp_path) == WorkerStatus()


def test_an_address_that_cannot_be_used_is_refused():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match=r"Port \d+ of localhost cannot be used.*--port"):
            server.require_address("localhost", taken.getsockname()[1])
    with pytest.raises(ConfigurationError, match="HOST must be one of"):
        server.require_address("example.org", 8000)
    with pytest.raises(ConfigurationError, match="from 1024 to 65535"):
        server.require_address("127.0.0.1", 80)
