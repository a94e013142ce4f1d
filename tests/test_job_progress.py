from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from genre_lib.job_progress import progress, public, without_places

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def event(kind: str, at: float = 0, **fields) -> dict:
    return {"time": (BEGAN + timedelta(seconds=at)).isoformat(), "kind": kind, **fields}


def test_before_the_first_epoch_nothing_is_known():
    far = progress([event("run_started")], epochs=4)
    assert (far.phase, far.share, far.epoch, far.history, far.seconds_left) == ("preparing", 0, 0, [], None)


def test_the_time_left_is_the_mean_of_the_epochs_less_what_has_passed():
    events = [event("epoch_ended", epoch=1, seconds=10, train_loss=0.5), event("epoch_started", 20, epoch=2)]
    far = progress(events, epochs=4, now=BEGAN + timedelta(seconds=24))
    assert (far.phase, far.share, far.epoch, far.seconds_left) == ("training", 0.25, 1, 3 * 10 - 4)
    assert far.history == [{"epoch": 1, "seconds": 10, "train_loss": 0.5}]
    late = progress(events, epochs=4, now=BEGAN + timedelta(hours=1))
    assert late.seconds_left == 2 * 10  # the epoch takes longer than the mean: it is about to end


def test_an_epoch_that_was_repeated_counts_as_it_went_last():
    events = [event("epoch_ended", epoch=n, seconds=s) for n, s in ((1, 10), (2, 10), (2, 30), (3, 20))]
    far = progress(events, epochs=10)
    assert [entry["seconds"] for entry in far.history] == [10, 30, 20]
    assert far.seconds_left == 7 * 20


def test_all_epochs_are_not_yet_all():
    events = [event("epoch_ended", epoch=1, seconds=1), event("run_completed")]
    far = progress(events, epochs=1)
    assert (far.phase, far.share, far.seconds_left) == ("evaluating", 0.99, None)  # and not 0: it goes on


def test_an_epoch_under_way_counts_with_its_part():
    events = [event("epoch_started", 0, epoch=1), event("batches_trained", 10, done=5, total=20)]
    far = progress(events, epochs=4, now=BEGAN + timedelta(seconds=12))
    assert (far.phase, far.share, far.epoch, far.seconds_left) == ("training", 0.25 / 4, 0, 4 * 40 - 12)
    ended = event("epoch_ended", 50, epoch=1, seconds=50)
    assert progress([*events, ended], epochs=4).share == 0.25


def test_a_resumed_job_prepares_until_it_trains():
    first = [event("epoch_ended", 10, epoch=1, seconds=10), event("epoch_started", 10, epoch=2)]
    again, now = (BEGAN + timedelta(seconds=100)).isoformat(), BEGAN + timedelta(seconds=130)
    far = progress(first, epochs=4, now=now, since=again)
    assert (far.phase, far.epoch, far.seconds_left) == ("preparing", 1, 3 * 10)  # nothing of it has passed
    second = [event("epoch_started", 125, epoch=2)]
    far = progress([*first, *second], epochs=4, now=now, since=again)
    assert (far.phase, far.epoch, far.seconds_left) == ("training", 1, 3 * 10 - 5)


def test_a_library_is_collected_before_anything_is_prepared():
    steps = [event("library_opened"), event("library_fetched", done=10, total=40, what="playlists")]
    steps += [event("tracks_matched", done=3, total=4, what="tracks"), event("library_collected", rows=3)]
    fars = [progress(steps[:count], epochs=4) for count in (1, 2, 3, 4)]
    assert [far.phase for far in fars] == ["collecting", "collecting", "collecting", "preparing"]
    assert [far.prepared for far in fars] == [None, 0.25, 0.75, None]


def test_a_step_of_the_preparation_says_how_far_it_is():
    steps = [event("tracks_checked", done=30, total=40), event("run_started"), event("tracks_loaded", done=1, total=4)]
    fars = [progress(steps[:count], epochs=4) for count in (1, 2, 3)]
    assert [(far.phase, far.prepared) for far in fars] == [("preparing", share) for share in (0.75, None, 0.25)]


def test_a_client_hears_of_no_places():
    shown = public(event("tracks_skipped", tracks={"/srv/music/rock/a.mp3": "/srv/music/rock/a.mp3 is empty."}))
    assert shown["tracks"] == {"a.mp3": "a.mp3 is empty."}
    started = public(event("run_started", pid=1, host="h", genres=["a", "b"]))
    assert set(started) == {"time", "kind", "genres"}


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("No model at /srv/models/mine.", "No model at mine."),
        ("'/srv/a b' and (/x/y)", "'a b' and (y)"),
        ("rock/pop at 3/4 and /predict and https://host/a/b", "rock/pop at 3/4 and /predict and https://host/a/b"),
    ],
)
def test_sentences_lose_the_places_in_them(sentence: str, shown: str):
    assert without_places(sentence) == shown
