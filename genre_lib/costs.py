"""What models take to predict: time for the same sound, memory for their weights, and room on disk.

Times of different moments do not compare: a machine is now faster and now slower. So all models are loaded first, each
predicts once unmeasured, and then they take turns on the same tracks, round by round.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genre_lib.audio import load
from genre_lib.errors import AudioError
from genre_lib.inference import Predictor

SECONDS = 30.0
"""Length of the sound that is predicted; a shorter track is repeated to it."""

TRACKS = 4
"""Tracks that the rounds take in turn."""

ROUNDS = 9
FEWEST_ROUNDS = 3
MOST_SECONDS = 60.0
"""No further round is begun after this long, once there are :data:`FEWEST_ROUNDS`: large models need not wait."""


@dataclass(frozen=True)
class Cost:
    """What one model takes.

    Args:
        milliseconds: for :data:`SECONDS` of decoded sound, front end and pooling included; float [rounds].
        memory_bytes: parameters and buffers, as they lie in memory.
        peak_bytes: most that a prediction held on a GPU, weights included; None on a CPU, which does not tell.
        parameters: numbers in the network's weights.
        file_bytes: its safetensors files; None for a model without a folder.
    """

    milliseconds: np.ndarray
    memory_bytes: int
    peak_bytes: int | None
    parameters: int
    file_bytes: int | None

    def to_json(self) -> dict[str, Any]:
        """The median of the times with their quartiles, and the bytes."""
        low, middle, high = np.percentile(self.milliseconds, [25, 50, 75])
        return {
            "milliseconds": {"value": float(middle), "low": float(low), "high": float(high)},
            "tracks_per_second": float(1000 / middle),
            "memory_bytes": self.memory_bytes,
            "peak_bytes": self.peak_bytes,
            "parameters": self.parameters,
            "file_bytes": self.file_bytes,
        }


def measure(predictors: Sequence[Predictor], paths: Sequence[str], rounds: int = ROUNDS) -> list[Cost]:
    """What each model takes for the same tracks, measured in turns.

    Args:
        paths: the first :data:`TRACKS` that can be decoded are predicted.
        rounds: most of them; see :data:`MOST_SECONDS`.

    Raises:
        AudioError: no track can be decoded, and a model hears.
    """
    sounds = [decoded(paths, predictor) for predictor in predictors]
    peaks = [_peak(predictor, sound[0]) for predictor, sound in zip(predictors, sounds, strict=True)]
    times: list[list[float]] = [[] for _ in predictors]
    began = time.perf_counter()
    for number in range(rounds):
        if number >= FEWEST_ROUNDS and time.perf_counter() - began > MOST_SECONDS:
            break
        for index in _turns(len(predictors), number):
            sound = sounds[index]
            times[index].append(_milliseconds(predictors[index], sound[number % len(sound)]))
    return [_cost(*each) for each in zip(predictors, times, peaks, strict=True)]


def conditions(predictors: Sequence[Predictor], costs: Sequence[Cost]) -> dict[str, Any]:
    """On what and how it was measured, for a report."""
    device = predictors[0].device
    return {
        "device": device,
        "processor": torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "engine": predictors[0].engine.name,
        "batch_size": predictors[0].batch_size,
        "seconds": SECONDS,
        "rounds": len(costs[0].milliseconds),
        "warm_up": 1,
    }


def decoded(paths: Sequence[str], predictor: Predictor) -> list[np.ndarray | None]:
    """:data:`SECONDS` of the first tracks at the model's rate, float32 [samples] each; None for one that hears nothing.

    Raises:
        AudioError: none can be decoded.
    """
    if not predictor.beside.hears:
        return [None]
    rate, found = predictor.model.sample_rate, []
    fault: AudioError | None = None
    for path in paths:
        try:
            waveform = load(path, rate, on_truncated="ignore").waveform
        except AudioError as error:
            fault = fault or error
            continue
        found.append(np.resize(waveform, round(SECONDS * rate)))
        if len(found) == TRACKS:
            break
    if not found:
        raise fault or AudioError("There is no track to measure the time on; name one at least.")
    return list(found)


def _turns(count: int, round_number: int) -> list[int]:
    """The order of one round: forth in even ones and back in odd ones, so that none always follows the same other."""
    order = list(range(count))
    return order if round_number % 2 == 0 else order[::-1]


def _predict(predictor: Predictor, waveform: np.ndarray | None) -> None:
    if waveform is None:
        predictor.told([{}])
    else:
        predictor.waveform(waveform)


def _milliseconds(predictor: Predictor, waveform: np.ndarray | None) -> float:
    """Logits come back as NumPy, so that a GPU has finished when the call has."""
    began = time.perf_counter()
    _predict(predictor, waveform)
    return 1000 * (time.perf_counter() - began)


def _peak(predictor: Predictor, waveform: np.ndarray | None) -> int | None:
    """The warm-up, and on a GPU the most bytes that it held beyond what lay there of other models."""
    if not predictor.device.startswith("cuda"):
        _predict(predictor, waveform)
        return None
    others = torch.cuda.memory_allocated(predictor.device) - _bytes(predictor.network)
    torch.cuda.reset_peak_memory_stats(predictor.device)
    _predict(predictor, waveform)
    return torch.cuda.max_memory_allocated(predictor.device) - others


def _cost(predictor: Predictor, times: Sequence[float], peak: int | None) -> Cost:
    network, folder = predictor.network, predictor.model.folder
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(np.array(times), _bytes(network), peak, parameters, None if folder is None else _file_bytes(folder))


def _bytes(network: torch.nn.Module) -> int:
    return sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))


def _file_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _processor() -> str:
    """Name of the CPU, as Linux tells it, and how many of its cores may be used."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {cores} cores"
