"""LitServe's batching loop without its polling."""

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


class Refilled:
    """A queue with one item put back at its head."""

    def __init__(self, first: Any, queue: Any) -> None:
        self.items = [first]
        self.queue = queue

    def get(self, timeout: float | None = None) -> Any:
        return self.items.pop() if self.items else self.queue.get(timeout=timeout)
