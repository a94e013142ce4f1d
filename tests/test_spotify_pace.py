from __future__ import annotations

import pytest
from preview_services import Clock

from genre_lib.errors import RateLimited
from genre_lib.spotify.pace import Pace


def test_calls_beyond_the_pace_wait_until_the_first_is_old_enough():
    clock = Clock(now=0.0)
    pace = Pace("Deezer", 2, 5.0, now=clock.now, sleep=clock.sleep)
    pace.wait()
    clock.time = 1.0
    pace.wait()
    pace.wait()  # the first was at 0: free at 5
    assert clock.slept == [4.0]
    pace.wait()  # the second was at 1: free at 6
    assert clock.slept == [4.0, 1.0]


def test_a_wait_beyond_patience_is_refused_and_takes_no_turn():
    clock = Clock(now=100.0)
    pace = Pace("iTunes", 1, 60.0, patience=10.0, now=clock.now, sleep=clock.sleep)
    pace.wait()
    with pytest.raises(RateLimited, match="try again in 60 s") as caught:
        pace.wait()
    assert caught.value.resume_at == 160.0
    clock.time = 155.0
    pace.wait()
    assert clock.slept == [5.0]


def test_a_clock_that_is_set_back_does_not_stop_all_calls():
    clock = Clock(now=10_000.0)
    pace = Pace("iTunes", 1, 60.0, now=clock.now, sleep=clock.sleep)
    pace.wait()
    clock.time = 100.0
    pace.wait()
    assert clock.slept == []
