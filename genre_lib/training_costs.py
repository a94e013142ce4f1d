"""What a training cost: parameters that learned, time, memory and speed, as ``metrics.json`` tells them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import torch

from genre_lib import memory
from genre_lib.runs import Run
from genre_lib.training_config import TrainingConfig

MIB = 2**20


def begin(config: TrainingConfig, network: torch.nn.Module, run: Run, device: str, precision: str) -> None:
    """Note what learns and with what, and measure memory from here on."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    run.event(
        "network_ready",
        method=method_of(config),
        parameters=_count(network.parameters()),
        trainable_parameters=_count(learning),
        device=device,
        precision=precision,
    )
    memory.reset_peak()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def method_of(config: TrainingConfig) -> str:
    """The way to train, in a word: ``head``, ``lora``, ``full`` or ``scratch``."""
    if config.init == "scratch":
        return "scratch"
    return config.method or ("head" if config.freeze == "backbone" else "full")


def costs(run: Run, seconds: float) -> dict[str, Any]:
    """Of a run at its end: what learned, ``seconds`` of all legs, ``peak_memory_mib``, ``clips_per_second`` of epochs.

    Memory is the GPU's where one did the work, and else the whole process's.
    """
    begun = run.events("network_ready")[-1:]
    known = {name: value for event in begun for name, value in event.items() if name not in ("time", "kind")}
    history = run.history()
    trained = history["train_seconds"].sum() if "train_seconds" in history else 0.0
    return {
        **known,
        "seconds": round(seconds, 1),
        "peak_memory_mib": round(peak_bytes(known.get("device") == "cuda") / MIB),
        "clips_per_second": round(float(history["clips"].sum() / trained), 2) if trained else None,
    }


def seconds_before(run: Run) -> float:
    """Seconds of what was trained in the run before it was resumed: of each leg, from its beginning to its last sign.

    Its end is no sign, for that of a process that was killed is written when somebody notices, but a completion is.
    """
    legs: list[list[dict[str, Any]]] = []
    for event in run.events():
        if event["kind"] == "run_started":
            legs.append([event])
        elif legs and legs[-1][-1]["kind"] != "run_completed" and event["kind"] not in ("run_stopped", "run_failed"):
            legs[-1].append(event)
    signs = [[datetime.fromisoformat(event["time"]) for event in (leg[0], leg[-1])] for leg in legs[:-1]]
    return sum(max(0.0, (last - first).total_seconds()) for first, last in signs)


def peak_bytes(on_gpu: bool) -> int:
    """The most that was held at once since :func:`begin`."""
    return torch.cuda.max_memory_allocated() if on_gpu else memory.peak_bytes()


def _count(parameters: Any) -> int:
    return sum(parameter.numel() for parameter in parameters)
