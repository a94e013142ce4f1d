"""What a training cost, by its events."""

from __future__ import annotations

import json
import mmap
from datetime import UTC, datetime, timedelta

import pytest
import torch

from genre_lib.runs import Run
from genre_lib.training_config import TrainingConfig
from genre_lib.training_costs import begin, costs, method_of, seconds_before


@pytest.mark.parametrize(
    ("fields", "method"),
    [
        ({}, "full"),
        ({"init": "scratch"}, "scratch"),
        ({"freeze": "backbone"}, "head"),
        ({"freeze": "front"}, "full"),
        ({"method": "lora"}, "lora"),
    ],
)
def test_a_way_to_train_in_a_word(fields, method):
    assert method_of(TrainingConfig(**fields)) == method


def test_clips_a_second_are_those_of_all_epochs(tmp_path):
    network = torch.nn.Linear(10, 3)
    network.bias.requires_grad_(False)
    run = Run.create(tmp_path, "r")
    begin(TrainingConfig(method="full"), network, run, "cpu", "32-true")
    for epoch, seconds in ((1, 3.0), (2, 1.0)):
        run.event("epoch_ended", epoch=epoch, clips=20, train_seconds=seconds, seconds=9.0)
    found = costs(run, 12.34)
    assert (found["parameters"], found["trainable_parameters"]) == (33, 30)
    assert (found["clips_per_second"], found["seconds"], found["method"]) == (10.0, 12.3, "full")
    assert found["peak_memory_mib"] > 50


def test_a_resumed_run_took_what_its_legs_took_and_not_what_lay_between(tmp_path):
    run = Run.create(tmp_path, "r")
    kinds = (
        *(("run_started", 0), ("epoch_ended", 3.5), ("run_stopped", 3600)),  # killed, and found so an hour later
        *(("run_started", 4000), ("epoch_ended", 4002), ("run_completed", 4002.5), ("evaluation_ended", 4100)),
        *(("run_started", 5000), ("epoch_ended", 5007)),
    )
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    lines = ({"time": (begun + timedelta(seconds=at)).isoformat(), "kind": kind} for kind, at in kinds)
    (run.path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert seconds_before(run) == 3.5 + 2.5
    assert seconds_before(Run.create(tmp_path, "fresh")) == 0


def hold(size: int) -> None:
    """Have so many bytes in memory for a moment: mapped, for what PyTorch gives back the process may keep."""
    with mmap.mmap(-1, size) as held:
        for start in range(0, size, mmap.PAGESIZE):
            held[start] = 1


def test_memory_is_measured_from_the_beginning_on(tmp_path):
    hold(512 * 2**20)  # given back before it begins
    run = Run.create(tmp_path, "r")
    begin(TrainingConfig(), torch.nn.Linear(1, 1), run, "cpu", "32-true")
    before = costs(run, 0.0)["peak_memory_mib"]
    hold(256 * 2**20)
    assert costs(run, 0.0)["peak_memory_mib"] >= before + 200
    assert costs(run, 0.0)["clips_per_second"] is None
