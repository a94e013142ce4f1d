"""How a worker takes requests out of LitServe's queue."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genre_lib.service.api import GenreAPI
from genre_lib.service.loop import ReadAheadLoop, Refilled
from genre_lib.settings import get_settings

SOON = 10.0
"""Seconds that nothing here takes."""


class FakeAPI:
    """What the loop asks of a LitAPI; it notes what it was told of."""

    max_batch_size = 3
    batch_timeout = 0
    request_timeout = 60
    stream = False

    def __init__(self) -> None:
        self.told: list[str] = []

    def ahead(self, request: str) -> None:
        self.told.append(request)


@pytest.fixture
def api() -> FakeAPI:
    return FakeAPI()


@pytest.fixture
def requests() -> queue.Queue:
    return queue.Queue()


@pytest.fixture
def take(api: FakeAPI, requests: queue.Queue) -> Callable[[], list[str]]:
    """The next batch, as the worker's own thread asks for it."""
    loop = ReadAheadLoop()
    return lambda: [request for _, _, request in loop.get_batch_requests(api, requests, None)[0]]


def put(requests: queue.Queue, *names: str, age: float = 0.0) -> None:
    for name in names:
        requests.put((0, f"uid of {name}", time.monotonic() - age, name))


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)


def test_what_comes_while_a_batch_is_at_work_is_begun_and_is_the_next_batch(take, api: FakeAPI, requests: queue.Queue):
    put(requests, "a")
    assert take() == ["a"]
    put(requests, "b")
    until(lambda: api.told == ["a", "b"])  # nobody has asked for a batch yet
    put(requests, "c")
    until(lambda: api.told == ["a", "b", "c"])
    assert take() == ["b", "c"]


def test_it_reads_a_batch_ahead_and_no_more(take, api: FakeAPI, requests: queue.Queue):
    put(requests, "a")
    take()
    put(requests, *"bcdefghij")
    until(lambda: len(api.told) >= 4)
    time.sleep(0.1)
    assert len(api.told) <= 1 + 2 * api.max_batch_size
    assert [take(), take(), take()] == [["b", "c", "d"], ["e", "f", "g"], ["h", "i", "j"]]


def test_an_idle_worker_wakes_without_work(take, monkeypatch):
    monkeypatch.setattr("genre_lib.service.loop.IDLE_SECONDS", 0.01)
    assert take() == []


def test_what_waited_too_long_is_handed_on_as_such(api: FakeAPI, requests: queue.Queue):
    put(requests, "old", age=61.0)
    assert ReadAheadLoop().get_batch_requests(api, requests, None) == ([], [(0, "uid of old")])
    assert api.told == []


def test_the_end_of_the_queue_ends_the_worker_and_not_the_thread_alone(api: FakeAPI):
    class Gone(queue.Queue):
        def get(self, block: bool = True, timeout: float | None = None):
            raise EOFError

    with pytest.raises(SystemExit):
        ReadAheadLoop().get_batch_requests(api, Gone(), None)


def test_a_worker_that_predicts_reads_ahead(tmp_path: Path):
    loop = GenreAPI(get_settings(), tmp_path).loop
    assert isinstance(loop, ReadAheadLoop)
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead" and loop.reader]


@pytest.mark.parametrize("get", [lambda q: q.get(timeout=0.01), lambda q: q.get_nowait()])
def test_a_refilled_queue_gives_back_what_was_taken(get: Callable[[Refilled], int]):
    rest: queue.Queue = queue.Queue()
    rest.put(2)
    refilled = Refilled(1, rest)
    assert [get(refilled), get(refilled)] == [1, 2]
    with pytest.raises(queue.Empty):
        get(refilled)
