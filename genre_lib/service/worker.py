"""The HTTP process's side of a worker: hand over a request, wait for its answer, know whether the worker lives."""

import asyncio
import logging
import os
import pickle
import shutil
import signal
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from litserve import LitServer
from litserve.utils import LitAPIStatus, ResponseBufferItem, WorkerSetupStatus

from genre_lib.service import status
from genre_lib.service.errors import INTERNAL, body
from genre_lib.service.messages import Answer, TrackRequest

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
WORKER_DIED = Answer(
    503,
    body("The worker died while it held this request; it is being started again. Try again soon.", "worker_died"),
    {"Retry-After": "10"},
)


class Worker:
    """A worker as the routes see it.

    Args:
        server: holds LitServe's queues and buffers, which all workers share.
        folder: where the worker writes its status, and where uploads are laid down for it.
        api_path: of its LitAPI, by which LitServe names its queue; by the last segment, its state.
        file: its status.
    """

    def __init__(self, server: LitServer, folder: Path, api_path: str = "/predict", file: str = status.FILE) -> None:
        self.server = server
        self.folder = folder
        self.api_path = api_path
        self.file = file
        self.asked: dict[str, TrackRequest] = {}
        self.was_ready = True

    @property
    def status(self) -> status.WorkerStatus:
        """What the worker said last."""
        return status.read(self.folder, self.file)

    def ready(self) -> bool:
        """Whether the worker takes requests. Asks LitServe's manager: not to be called in the event loop."""
        state = self.server.workers_setup_status.get(f"{self.api_path.split('/')[-1]}_0")
        return bool(state == WorkerSetupStatus.READY)

    async def ask(self, request: TrackRequest) -> Answer:
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
        queue = self.server.litapi_request_queues[self.api_path]
        content = (self.server.app.response_queue_id, uid, time.monotonic(), self.asked[uid])
        await asyncio.to_thread(queue.put, content)

    async def look(self) -> None:
        """Release requests when the worker died, and lay the others down again when it is back."""
        ready = await asyncio.to_thread(self.ready)
        if not ready:
            self.release()
        elif not self.was_ready:
            for uid in self.pending(started=False):
                await self.enqueue(uid)
        self.was_ready = ready

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
        items = [(uid, self.server.response_buffer[uid]) for uid in self.asked]
        return [uid for uid, item in items if (item.worker_id is not None) == started and not item.event.is_set()]


async def watch(server: LitServer, workers: Sequence[Worker]) -> None:
    """Look after what a dead worker held, and end this process with the main one: it would keep the port."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(LOOK_SECONDS)
        for worker in workers:
            with suppress(OSError, EOFError):  # the manager ends before us
                await worker.look()
    end_orphaned(server, workers[0].folder)


def end_orphaned(server: LitServer, folder: Path) -> None:
    """End this process and LitServe's manager, which was forked with the port in its hands, and leave no file."""
    with suppress(OSError, AttributeError):
        manager = server.transport_config.manager
        os.kill(manager._process.pid, signal.SIGTERM)
        if isinstance(manager.address, str):  # a socket, in a folder of its own
            shutil.rmtree(Path(manager.address).parent, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
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
