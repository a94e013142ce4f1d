"""The HTTP process's side of the worker: hand over a request, wait for its answer, know whether the worker lives."""

import asyncio
import logging
import os
import pickle
import shutil
import signal
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from litserve import LitServer
from litserve.utils import LitAPIStatus, ResponseBufferItem, WorkerSetupStatus

from genre_lib.service import status
from genre_lib.service.errors import INTERNAL, body
from genre_lib.service.messages import Answer, PredictRequest

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
WORKER_DIED = Answer(
    503,
    body("The worker died while it held this request; it is being started again. Try again soon.", "worker_died"),
    {"Retry-After": "10"},
)


class Worker:
    """The worker as the routes see it.

    Args:
        server: holds LitServe's queues and buffers.
        folder: where the worker writes its status, and where uploads are laid down for it.
    """

    def __init__(self, server: LitServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.asked: dict[str, PredictRequest] = {}

    @property
    def status(self) -> status.WorkerStatus:
        """What the worker said last."""
        return status.read(self.folder)

    def ready(self) -> bool:
        """Whether the worker can predict. Asks LitServe's manager: not to be called in the event loop."""
        states = list(self.server.workers_setup_status.values())
        return bool(states) and all(state == WorkerSetupStatus.READY for state in states)

    async def ask(self, request: PredictRequest) -> Answer:
        """The worker's answer. LitServe's own handler leaves a cancelled request in its buffer for ever."""
        uid, item = str(uuid.uuid4()), ResponseBufferItem(asyncio.Event())
        self.server.response_buffer[uid], self.asked[uid] = item, request
        try:
            await self.enqueue(uid)
            await item.event.wait()
            return answer_in(item.response)
        finally:
            del self.server.response_buffer[uid], self.asked[uid]

    async def enqueue(self, uid: str) -> None:
        """Lay the request down for the worker."""
        queue = self.server.litapi_request_queues["/predict"]
        content = (self.server.app.response_queue_id, uid, time.monotonic(), self.asked[uid])
        await asyncio.to_thread(queue.put, content)

    async def watch(self) -> None:
        """Look after what a dead worker held, and end this process with the main one: it would keep the port."""
        parent, was_ready = os.getppid(), True
        while os.getppid() == parent:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(OSError, EOFError):  # the manager ends before us
                was_ready = await self.look(was_ready)
        self.end_orphaned()

    async def look(self, was_ready: bool) -> bool:
        """Whether the worker is ready; requests are released when it died, and laid down again when it is back."""
        ready = await asyncio.to_thread(self.ready)
        if not ready:
            self.release()
        elif not was_ready:
            for uid in self.pending(started=False):
                await self.enqueue(uid)
        return ready

    def release(self) -> None:
        """End the requests that the dead worker had begun: one of them may be what killed it."""
        for uid in self.pending(started=True):
            item = self.server.response_buffer[uid]
            item.response = (WORKER_DIED, LitAPIStatus.OK)
            item.event.set()

    def pending(self, started: bool) -> list[str]:
        """Requests without an answer that the worker has begun, or has not.

        Of the latter, one may have been handed to the worker in the moment that it died, and be in no queue any more. A
        request that is laid down twice is answered once.
        """
        items = self.server.response_buffer.items()
        return [uid for uid, item in items if (item.worker_id is not None) == started and not item.event.is_set()]

    def end_orphaned(self) -> None:
        """End this process and LitServe's manager, which was forked with the port in its hands."""
        with suppress(OSError, AttributeError):
            os.kill(self.server.transport_config.manager._process.pid, signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(1)


def answer_in(response: Any) -> Answer:
    """What LitServe brought: our answer, or an error of its own (it waited too long in the queue, say)."""
    content, state = response
    if state == LitAPIStatus.OK:
        return content
    error = pickle.loads(content) if isinstance(content, bytes) else content
    if isinstance(error, HTTPException):
        raise error
    logger.error("the worker failed: %r", error)
    return Answer(500, body(INTERNAL, "internal_server_error"))
