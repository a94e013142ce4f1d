"""The HTTP process's side of the worker: hand over a request, wait for its answer, know whether the worker lives."""

import asyncio
import logging
import os
import pickle
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
        self.server.response_buffer[uid] = item
        queue = self.server.litapi_request_queues["/predict"]
        try:
            await asyncio.to_thread(queue.put, (self.server.app.response_queue_id, uid, time.monotonic(), request))
            await item.event.wait()
            return answer_in(item.response)
        finally:
            self.server.response_buffer.pop(uid, None)

    async def watch(self) -> None:
        """Answer what a dead worker held, and end this process when the main one is gone: it would keep the port."""
        parent = os.getppid()
        while os.getppid() == parent:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(OSError, EOFError):  # the manager ends before us
                if not await asyncio.to_thread(self.ready):
                    self.release()
        os._exit(1)

    def release(self) -> None:
        """End the requests that the dead worker had taken; the ones in the queue wait for the next worker."""
        for item in self.server.response_buffer.values():
            if item.worker_id is not None and not item.event.is_set():
                item.response = (WORKER_DIED, LitAPIStatus.OK)
                item.event.set()


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
