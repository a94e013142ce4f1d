"""What a fine-tuning does at the moment, from the events of its run: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from genre_lib.cli.console import progress_bar, say
from genre_lib.wording import counted

LINE_SECONDS = 10.0
"""How often a step that goes on says how far it is, where there is no terminal."""

COUNTED = {
    "tracks_checked": "checking tracks",
    "tracks_described": "describing tracks",
    "tracks_loaded": "computing features",
}
"""Events that say how far a step is, and what the step does."""


PHASES = {"run_started": "preparing", "tracks_heard": "solving for the head", "evaluation_ended": "writing the report"}
"""Events after which something begins that is not counted."""


@dataclass(frozen=True)
class Step:
    """What is done now, and how far it is where that is counted."""

    text: str
    done: int = 0
    total: int = 0

    @property
    def line(self) -> str:
        return f"{self.text}: {self.done:,} of {self.total:,}" if self.total else self.text


@contextlib.contextmanager
def training_progress(
    epochs: int, solved: bool = False, every: float = LINE_SECONDS
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Called with the events of a run, it shows what the run does.

    Args:
        epochs: that it is to train.
        solved: whether its head is found at once, so that what an epoch counts are tracks.
        every: seconds from a line of a step to its next one, where standard error is no terminal.
    """
    terminal = sys.stderr.isatty()
    said, last = "", 0.0
    with progress_bar("starting the notebook") as bar:

        def show(step: Step) -> None:
            nonlocal said, last
            bar(step.done, step.total, step.text)
            now = time.monotonic()
            if not terminal and (step.text != said or now - last >= every):
                say(step.line)
                said, last = step.text, now

        def on_event(event: dict[str, Any]) -> None:
            if event.get("kind") == "catalogue_checked" and event.get("said"):
                say(f"warning: {event['said']} {event['see']}")
            step = step_of(event, epochs, solved)
            if step is not None and event["kind"] == "epoch_ended":
                say(step.line)  # on a terminal, too: it stays above the bar
            elif step is not None:
                show(step)

        if not terminal:
            show(Step("starting the notebook"))
        yield on_event


def step_of(event: dict[str, Any], epochs: int, solved: bool = False) -> Step | None:
    """What a run does after an event; None where the event says nothing of that."""
    kind, done, total = event.get("kind"), event.get("done", 0), event.get("total", 0)
    if kind in COUNTED:
        return Step(COUNTED[kind], done, total)
    if kind == "tracks_scored":
        return Step(f"evaluating {event['model']}", done, total)
    if kind == "batches_trained":
        return Step("hearing tracks" if solved else "training, batches of this epoch", done, total)
    if kind == "epoch_ended":
        return Step(f"epoch {event['epoch']}/{epochs}: {scores(event)}")
    if kind == "features_ready":
        computed, kept = event.get("computed", 0), event.get("kept", 0)
        return Step(f"features of {counted(computed + kept, 'track')} are there, {computed:,} of them computed now")
    if kind == "epoch_started":
        return Step("hearing tracks") if solved else None
    if kind == "evaluation_started":
        return Step(f"evaluating on {counted(event['tracks'], 'track')}")
    return Step(PHASES[kind]) if kind in PHASES else None


def scores(event: dict[str, Any]) -> str:
    names = {"train_loss": "train loss", "valid_loss": "valid loss"}
    names |= {"valid_accuracy": "valid accuracy", "valid_macro_f1": "valid macro-F1"}
    return ", ".join(f"{label} {event[name]:.3f}" for name, label in names.items() if event.get(name) is not None)
