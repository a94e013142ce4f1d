"""Work done by threads ahead of who takes it, by a few items and no more, so that memory is bounded however many."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def alone(ready: object) -> bool:
    """Every result is handed on by itself."""
    return True


def worked_ahead(
    items: Iterable[Item],
    work: Callable[[Item], Result],
    workers: int,
    ahead: int,
    name: str,
    enough: Callable[[list[Result]], bool] = alone,
) -> Iterator[list[Result]]:
    """Results in the items' order, lazily; each list holds what is ready, at least one and until there is ``enough``.

    However the caller leaves (a break, an error, Ctrl-C), no thread outlives the generator.

    Args:
        workers: threads.
        ahead: items beside those that are worked on which may wait to be taken.
        name: of the threads.
    """
    waiting: deque[Future[Result]] = deque()
    remaining = iter(items)
    executor = ThreadPoolExecutor(workers, thread_name_prefix=name)

    def submit(count: int) -> None:
        for _, item in zip(range(count), remaining, strict=False):
            waiting.append(executor.submit(work, item))

    try:
        submit(workers + ahead)
        while waiting:
            ready = [waiting.popleft().result()]
            while waiting and waiting[0].done() and not enough(ready):
                ready.append(waiting.popleft().result())
            submit(len(ready))
            yield ready
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
