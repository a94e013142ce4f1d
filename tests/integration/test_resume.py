"""A training process that is killed outright goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from genre_lib.models.folder import load
from genre_lib.runs import Run

CODE = "import json, sys; from genre_lib.training import fit; fit(json.loads(sys.argv[1]))"
PATIENCE_SECONDS = 240


@pytest.fixture
def config(synthetic_catalogue, tmp_path) -> dict:
    return {
        "init": "scratch",
        "architecture": {"channels": [4, 8]},
        "feature_extractor": {"feature_size": 32},
        "data_path": str(synthetic_catalogue),
        "run_path": str(tmp_path / "run"),
        "cache_path": str(tmp_path / "cache"),
        "num_epochs": 2,
        "clip_seconds": 1.5,
        "clips_per_epoch": 80,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "mixup": 0.3,
        "ema_decay": 0.9,
        "augmentation": {"equalizer_db": 3.0},
        "accelerator": "cpu",
        "devices": 1,
    }


def start(config: dict) -> subprocess.Popen:
    command = [sys.executable, "-c", CODE, json.dumps(config)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})


def kill_in_epoch(process: subprocess.Popen, run: Run, epoch: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(event["epoch"] == epoch for event in run.events("epoch_started")):
        assert process.poll() is None, "training ended before it could be killed"
        assert time.monotonic() < deadline, f"epoch {epoch} did not start"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_a_run_killed_in_its_second_epoch_goes_on_there(config, tmp_path):
    run = Run(config["run_path"])
    kill_in_epoch(process := start(config), run, epoch=2)
    assert process.returncode == -signal.SIGKILL
    assert run.status() == "stopped" and run.result() is None

    assert start(config | {"resume": True}).wait(PATIENCE_SECONDS) == 0
    assert run.status() == "completed"
    assert [event["epoch"] for event in run.events("epoch_ended")] == [1, 2]
    assert [event["epoch"] for event in run.events("epoch_started")] == [1, 2, 2]
    assert run.events("features_ready")[1]["computed"] == 0

    whole = Run(tmp_path / "whole")
    assert start(config | {"run_path": str(whole.path)}).wait(PATIENCE_SECONDS) == 0  # with as many threads
    assert_same_weights(run.model, whole.model)


def assert_same_weights(one: Path, other: Path) -> None:
    """As if it had never stopped: the same draws, the same noise, the same weights."""
    a, b = load(one).network.state_dict(), load(other).network.state_dict()
    assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)
