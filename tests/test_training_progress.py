"""What is said of a fine-tuning while it goes on."""

from __future__ import annotations

import os
import sys

import pytest

from genre_lib.cli.rows import with_progress
from genre_lib.cli.training_progress import step_of, training_progress

EVENTS = [
    {"kind": "tracks_checked", "done": 120, "total": 300},
    {"kind": "tracks_checked", "done": 300, "total": 300},
    {"kind": "run_started", "genres": ["jazz", "rock"]},
    {"kind": "catalogue_checked", "ok": True},
    {"kind": "tracks_loaded", "done": 90, "total": 300},
    {"kind": "features_ready", "computed": 1000, "kept": 200},
    {"kind": "epoch_started", "epoch": 1},
    {"kind": "batches_trained", "done": 200, "total": 300},
    {"kind": "tracks_heard", "tracks": 300},
    {"kind": "epoch_ended", "epoch": 1, "train_loss": 0.5, "valid_accuracy": 0.75},
    {"kind": "evaluation_started", "tracks": 60},
    {"kind": "tracks_scored", "model": "mine", "done": 30, "total": 60},
    {"kind": "evaluation_ended"},
]


def lines(capsys: pytest.CaptureFixture, every: float) -> list[str]:
    with training_progress(epochs=1, solved=True, every=every) as on_event:
        for event in EVENTS:
            on_event(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_each_phase_is_a_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture):
    assert lines(capsys, every=3600) == [
        "starting the notebook",
        "checking tracks: 120 of 300",
        "preparing",
        "computing features: 90 of 300",
        "features of 1,200 tracks are there, 1,000 of them computed now",
        "hearing tracks",
        "solving for the head",
        "epoch 1/1: train loss 0.500, valid accuracy 0.750",
        "evaluating on 60 tracks",
        "evaluating mine: 30 of 60",
        "writing the report",
    ]


def test_a_long_phase_says_again_how_far_it_is(capsys: pytest.CaptureFixture):
    said = lines(capsys, every=0)
    assert "checking tracks: 300 of 300" in said and "hearing tracks: 200 of 300" in said


def test_steps_of_a_training_by_epochs():
    step = step_of({"kind": "batches_trained", "done": 3, "total": 40}, epochs=2)
    assert step is not None and step.line == "training, batches of this epoch: 3 of 40"
    assert step_of({"kind": "epoch_started", "epoch": 1}, epochs=2) is None
    assert step_of({"kind": "checkpoint_saved"}, epochs=2) is None


def test_a_bar_of_tracks_knows_their_number_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    ours, terminal = os.openpty()
    with os.fdopen(terminal, "w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        assert list(with_progress(iter(()), 7, "predicting", quiet=False)) == []
        file.flush()
        shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "predicting" in shown and "0/7" in shown
