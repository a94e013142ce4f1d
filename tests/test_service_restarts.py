"""How long a worker that ended by itself waits for its next start."""

from __future__ import annotations

from genre_lib.service.restarts import STEADY_SECONDS, Restarts


class Clock:
    """Goes on when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_worker_that_ends_again_and_again_waits_ever_longer():
    clock = Clock()
    restarts = Restarts(clock)
    waits = []
    for _ in range(9):
        clock.now += 2.0  # what it takes to fail
        waits.append(restarts.wait())
        clock.now += waits[-1]
        assert restarts.begin()
    assert waits == [0, 1, 2, 4, 8, 16, 30, 30, 30]


def test_it_begins_once_and_not_before_it_is_due():
    clock = Clock()
    restarts = Restarts(clock)
    assert not restarts.begin()  # it lives
    restarts.wait()
    assert restarts.begin()
    assert restarts.wait() == 1
    assert not restarts.begin()
    clock.now += 1.0
    assert restarts.begin()
    assert not restarts.begin()


def test_a_worker_that_lived_long_is_started_at_once():
    clock = Clock()
    restarts = Restarts(clock)
    for _ in range(3):
        clock.now += restarts.wait()
        restarts.begin()
    clock.now += STEADY_SECONDS
    assert restarts.wait() == 0
    restarts.begin()
    assert restarts.wait() == 1
