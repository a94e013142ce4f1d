"""How far a job is, from the events that its run writes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

Event = dict[str, Any]

PHASES = {
    "library_opened": "collecting",
    "library_fetched": "collecting",
    "tracks_matched": "collecting",
    "library_collected": "preparing",
    "tracks_checked": "preparing",
    "run_started": "preparing",
    "tracks_described": "preparing",
    "tracks_loaded": "preparing",
    "features_ready": "training",
    "epoch_started": "training",
    "tracks_heard": "training",
    "batches_trained": "training",
    "epoch_ended": "training",
    "run_completed": "evaluating",
    "evaluation_started": "evaluating",
    "tracks_scored": "evaluating",
    "evaluation_ended": "publishing",
}
"""What a running job does after an event."""

STEPS = frozenset({"library_fetched", "tracks_matched", "tracks_checked", "tracks_described", "tracks_loaded"})
"""Events that say how far a step of the preparation is."""

HIDDEN = frozenset({"pid", "host", "model_folder", "see"})
"""Fields of events that are of no concern to a client."""

ABSOLUTE_PATH = re.compile(r"(?<![\w./:])/(?:[^\s/'\"]+/)+([^\s/'\"]*)")

RECENT_EPOCHS = 5
"""The time left is told by the mean of so many."""

UNFINISHED = 0.99
"""The most that the progress of a job says before all of it is done."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Args:
        phase: collecting (a library), preparing, training, evaluating or publishing.
        share: of the epochs that are done, the one under way with its part, from 0 to 1.
        epoch: the last one that was completed; 0 before the first.
        history: an entry for each epoch, with its losses and scores; one that was repeated counts as it went last.
        seconds_left: of the training, estimated by the last epochs, or by the part of the first that is done; None
            before, and when the last epoch is done.
        prepared: share of the tracks that the step of the preparation under way has looked at; None elsewhere.
    """

    phase: str
    share: float
    epoch: int
    history: list[Event]
    seconds_left: float | None
    prepared: float | None = None


def progress(events: Iterable[Event], epochs: int, now: datetime | None = None, since: str | None = None) -> Progress:
    """Read a run's events.

    Args:
        epochs: that the run is to train.
        now: the time that counts as the present, with its zone.
        since: when the present attempt began, ISO 8601: epochs count from before it, but not what was done then.
    """
    phase, begun, trained, prepared, by_epoch = "preparing", None, None, None, {}
    for event in events:
        if event["kind"] == "epoch_ended":
            by_epoch[event["epoch"]] = event
        if since and event["time"] < since:
            continue
        phase = PHASES.get(event["kind"], phase)
        if event["kind"] in ("epoch_started", "epoch_ended"):
            begun, trained = (event if event["kind"] == "epoch_started" else None), None
        trained = event if event["kind"] == "batches_trained" else trained
        prepared = share_done(event) if event["kind"] in STEPS else None
    history = [without(by_epoch[epoch], "time", "kind") for epoch in sorted(by_epoch)]
    epoch = max(by_epoch, default=0)
    left = max(epochs - epoch, 0) if phase in ("preparing", "training") else 0
    part = share_done(trained)
    first = elapsed(begun, datetime.fromisoformat(trained["time"])) / part if trained and part else None
    remaining = seconds_left(history, left, elapsed(begun, now), first)
    return Progress(phase, min((epoch + part) / epochs, UNFINISHED), epoch, history, remaining, prepared)


def share_done(event: Event | None) -> float:
    """How far a step was, by an event with the number done and that of all."""
    return event["done"] / max(event["total"], 1) if event else 0.0


def seconds_left(history: list[Event], epochs: int, elapsed: float, first: float | None = None) -> float | None:
    """The mean of the last epochs, for those to come, less what has passed of the present one.

    Args:
        epochs: to come, with the present one.
        first: what stands for that mean while there is no epoch yet; None: nothing can be said then.
    """
    recent = [float(entry["seconds"]) for entry in history[-RECENT_EPOCHS:]] or ([first] if first else [])
    if not recent or not epochs:
        return None
    mean = sum(recent) / len(recent)
    return max(mean * epochs - min(elapsed, mean), 0.0)


def elapsed(begun: Event | None, now: datetime | None) -> float:
    """Seconds since an event."""
    if begun is None:
        return 0.0
    return max(((now or datetime.now(UTC)) - datetime.fromisoformat(begun["time"])).total_seconds(), 0.0)


def public(event: Event) -> Event:
    """An event as a client may see it: files by their names, without the places that they lie in."""
    shown = without(event, *HIDDEN)
    if event["kind"] == "tracks_skipped":
        shown["tracks"] = {PurePath(path).name: without_places(str(why)) for path, why in event["tracks"].items()}
    return {name: without_places(value) if isinstance(value, str) else value for name, value in shown.items()}


def without_places(text: str) -> str:
    """A sentence whose absolute paths are shortened to their last parts."""
    return ABSOLUTE_PATH.sub(r"\1", text)


def without(event: Event, *names: str) -> Event:
    return {name: value for name, value in event.items() if name not in names}
