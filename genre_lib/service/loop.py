"""LitServe's batching loop without its polling, and one that prepares the next batch while a batch is at work."""

import threading
from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import Any

from litserve.loops.base import collate_requests
from litserve.loops.simple_loops import BatchedLoop

IDLE_SECONDS = 1.0
"""How long one look at the queue waits; an idle worker wakes so often."""


class PatientLoop(BatchedLoop):
    """Sleeps while no request waits: LitServe 0.2.19's own loop asks a thousand times a second, in two processes."""

    def get_batch_requests(self, lit_api, request_queue, transport):
        try:
            first = request_queue.get(timeout=IDLE_SECONDS)
        except Empty:
            return [], []
        except (EOFError, ConnectionError):  # the manager that held the queue has ended, and with it the server
            raise SystemExit(0) from None
        return collate_requests(self, lit_api, Refilled(first, request_queue), transport)


class ReadAheadLoop(PatientLoop):
    """Takes requests out of the queue while a batch is at work, and lets ``lit_api.ahead`` begin with each.

    Nobody waits for a batch to fill: an idle worker begins with the first request, and what comes meanwhile is the next
    batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reader: Reader | None = None

    def get_batch_requests(self, lit_api, request_queue, transport):
        if self.reader is None:  # not before: the loop is sent to its process
            read = super().get_batch_requests
            self.reader = Reader(lambda: read(lit_api, request_queue, transport), lit_api)
        return self.reader.take()


class Reader:
    """A thread that reads batches and joins them, up to ``lit_api.max_batch_size`` requests."""

    def __init__(self, read: Callable[[], tuple[list, list]], lit_api: Any) -> None:
        self.read = read
        self.lit_api = lit_api
        self.waiting: deque[tuple] = deque()
        self.late: list[tuple] = []
        self.ended: BaseException | None = None
        self.changed = threading.Condition()
        threading.Thread(target=self.run, name="read-ahead", daemon=True).start()

    def run(self) -> None:
        """Read until the queue ends, no more than a batch ahead."""
        try:
            while True:
                requests, late = self.read()
                for _, _, request in requests:
                    self.lit_api.ahead(request)
                with self.changed:
                    self.waiting += requests
                    self.late += late
                    self.changed.notify_all()
                    self.changed.wait_for(lambda: len(self.waiting) < self.lit_api.max_batch_size)
        except BaseException as error:  # for the worker's own thread to end by
            with self.changed:
                self.ended = error
                self.changed.notify_all()

    def take(self) -> tuple[list, list]:
        """What was read, at most a batch, and what came too late; waits for the first of them, but not for ever."""
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.late or self.ended, timeout=IDLE_SECONDS)
            if self.ended and not self.waiting:
                raise self.ended
            most = min(len(self.waiting), self.lit_api.max_batch_size)
            taken, late, self.late = [self.waiting.popleft() for _ in range(most)], self.late, []
            self.changed.notify_all()
            return taken, late


class Refilled:
    """A queue with one item put back at its head."""

    def __init__(self, first: Any, queue: Any) -> None:
        self.items = [first]
        self.queue = queue

    def get(self, timeout: float | None = None) -> Any:
        return self.items.pop() if self.items else self.queue.get(timeout=timeout)

    def get_nowait(self) -> Any:
        return self.items.pop() if self.items else self.queue.get_nowait()
