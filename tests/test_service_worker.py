"""The worker, seen from the HTTP process: what becomes of requests."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import queue
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import HTTPException
from litserve.utils import LitAPIStatus, PickleableHTTPException

from genre_lib.service.messages import Answer, PredictRequest
from genre_lib.service.worker import Worker


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
