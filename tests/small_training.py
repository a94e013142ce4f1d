"""A training that two processors end in seconds, for tests of several modules."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, Any] = {
    "clip_seconds": 1.5,
    "clips_per_epoch": 16,
    "batch_size": 8,
    "accelerator": "cpu",
    "devices": 1,
    "num_epochs": 2,
    "learning_rate": 5e-3,
}
