"""Which engine is the fastest on this machine that still says what float32 says: measured on real clips, and kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genre_lib.clips import probabilities
from genre_lib.engines import report
from genre_lib.engines.engine import Engine, Inputs
from genre_lib.engines.machine import hardware, versions
from genre_lib.engines.making import EngineMaker
from genre_lib.engines.names import AUTO, FLOAT32, OPENVINO_INT8
from genre_lib.engines.report import BATCHES, Measured, Report
from genre_lib.errors import ConfigurationError, EngineUnavailable
from genre_lib.inference import Predictor
from genre_lib.networks.folder import LoadedModel
from genre_lib.wording import counted

TOLERANCE = 0.05
"""By which a probability may differ from float32's; genres that are nearer to each other count as the same."""

ROUNDS = 7
"""Each engine's time is the median over so many rounds, in which all take their turns: what slows one slows all."""

Progress = Callable[[str], None]


def tune(
    model: LoadedModel,
    clips: np.ndarray,
    calibration: np.ndarray,
    *,
    device: str = "auto",
    tolerance: float = TOLERANCE,
    cache_path: Path | None = None,
    progress: Progress | None = None,
    rounds: int = ROUNDS,
) -> Report:
    """Measure every engine on clips, and write what was found into the model's folder.

    Args:
        model: in its folder.
        clips: float32 [clips, samples] at the model's rate, which all engines hear.
        calibration: others [clips, samples], by which 8 bits learn their range; not heard again, for an engine would
            look better on these.
        progress: told in a few words what is done next.

    Raises:
        ConfigurationError: the model lies in no folder, or the tolerance is no probability.
    """
    if model.folder is None or not 0 < tolerance < 1:
        raise ConfigurationError(
            f"Tuning takes a model in a folder, and a tolerance between 0 and 1; got {model.folder} and {tolerance}."
        )
    say = progress or (lambda what: None)
    predictor = Predictor(model, device=device, engine=FLOAT32, cache_path=cache_path)
    inputs = _inputs(predictor, clips)
    engines, found = _made(predictor, _inputs(predictor, calibration), say)
    reference = _probabilities(engines[FLOAT32], inputs, predictor)
    for name, engine in engines.items():
        say(f"{name} hears {counted(len(clips), 'clip')}")
        given = _probabilities(engine, inputs, predictor)
        found[name] = found[name].model_copy(update=compared(reference, given, tolerance))
    say("measuring")
    for name, milliseconds in _timed(engines, inputs, rounds).items():
        found[name] = found[name].model_copy(update={"milliseconds": milliseconds})
    written = _report(model, predictor.device, found, len(clips), tolerance)
    report.write(model.folder, written)
    return written


def compared(reference: np.ndarray, given: np.ndarray, tolerance: float) -> dict[str, Any]:
    """How far an engine's probabilities [clips, genres] are from the reference's.

    The surest genre agrees, too, where the reference is nearly as sure of it as of its own, within the tolerance.
    """
    if not np.isfinite(given).all():
        return {"fault": "It computes no finite numbers.", "agreements": 0}
    rows = np.arange(len(reference))
    lost = reference.max(1) - reference[rows, given.argmax(1)]
    return {
        "difference": float(np.abs(reference - given).max()),
        "agreements": int((lost <= tolerance).sum()),
    }


def _inputs(predictor: Predictor, clips: np.ndarray) -> list[Inputs]:
    """What the network takes of each clip."""
    return [predictor.inputs([clip]) for clip in clips]


def _made(
    predictor: Predictor, calibration: Sequence[Inputs], say: Progress
) -> tuple[dict[str, Engine], dict[str, Measured]]:
    """Every engine that can be had, and what is known of each at first: how long it takes to start, or a fault."""
    engines: dict[str, Engine] = {}
    found: dict[str, Measured] = {}
    maker = predictor.maker
    for name in maker.there:
        say(f"making {name}")
        try:
            if name == OPENVINO_INT8:
                _quantise(maker, calibration)
            elif name != FLOAT32:
                maker.make(name)  # once for the cache
            begun = time.perf_counter()
            engines[name] = maker.make(name)
            engines[name](calibration[0]).cpu()
            found[name] = Measured(start_seconds=time.perf_counter() - begun, size=engines[name].size)
        except EngineUnavailable as error:
            found[name] = Measured(fault=str(error))
    return engines, found


def _quantise(maker: EngineMaker, calibration: Sequence[Inputs]) -> None:
    from genre_lib.engines.quantising import quantise

    quantise(maker.model, calibration, maker.cache)


def _probabilities(engine: Engine, inputs: Sequence[Inputs], predictor: Predictor) -> np.ndarray:
    """An engine's probabilities of clips [clips, genres], clip by clip."""
    outputs = torch.cat([engine(one).cpu() for one in inputs]).numpy()
    return probabilities(predictor.outputs.logits(outputs), predictor.model.inference.temperature)


def _timed(engines: dict[str, Engine], inputs: Sequence[Inputs], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of a clip by the clips in a batch, for each engine: medians over the rounds."""
    taken: dict[tuple[str, int], list[float]] = {}
    for size in BATCHES:
        batch = _stacked([inputs[row % len(inputs)] for row in range(size)])
        for _ in range(rounds + 1):
            for name, engine in engines.items():
                taken.setdefault((name, size), []).append(_milliseconds(partial(engine, batch)) / size)
    return {
        name: {str(size): float(np.median(taken[name, size][1:])) for size in BATCHES}  # the first one warms up
        for name in engines
    }


def _stacked(inputs: Sequence[Inputs]) -> Inputs:
    return {name: torch.cat([one[name] for one in inputs]) for name in inputs[0]}


def _milliseconds(compute: Callable[[], torch.Tensor]) -> float:
    begun = time.perf_counter()
    compute().cpu()
    return 1000 * (time.perf_counter() - begun)


def _report(model: LoadedModel, device: str, found: dict[str, Measured], clips: int, tolerance: float) -> Report:
    fields: dict[str, Any] = {
        "weights": model.version,
        "device": device.partition(":")[0],
        "hardware": hardware(device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "clips": clips,
        "tolerance": tolerance,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "engines": found,
    }
    measured = Report(**fields, chosen=FLOAT32)
    return measured.model_copy(update={"chosen": measured.ranked(AUTO)[0]})
