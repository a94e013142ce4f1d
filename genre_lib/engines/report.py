"""``engine.json`` in a model's folder: what each engine was measured to do here, and which is taken for it.

It holds for these weights on this hardware with these libraries, and is passed over elsewhere. What stands in it is no
more than numbers by engines' names; it is written by :mod:`genre_lib.engines.tuning`, and an upload comes without.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genre_lib.engines import machine
from genre_lib.engines.names import AUTO, FLOAT32, REPORT, among
from genre_lib.errors import first_line
from genre_lib.files import write_whole

logger = logging.getLogger(__name__)

LARGEST_BYTES = 64 * 1024
BATCHES = (1, 8)
"""Clips that go through an engine together while it is measured."""

EngineName = Literal[
    "torch-float32", "torch-bf16", "torch-float16", "openvino-float32", "openvino-bf16", "openvino-int8"
]


class Measured(BaseModel):
    """What an engine was measured to do, or why it cannot."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    milliseconds: dict[Literal["1", "8"], float] = Field({}, description="Per clip, by the clips in a batch.")
    start_seconds: float = Field(0.0, ge=0, description="From the loaded network to the first answer.")
    difference: float = Field(0.0, ge=0, description="The greatest between its probabilities and those of float32.")
    agreements: int = Field(0, ge=0, description="Clips with the same surest genre; near ties count.")
    size: int = Field(0, ge=0, description="Bytes that it takes beside the network.")
    fault: str | None = Field(None, description="Why it could not be made.")

    @property
    def per_clip(self) -> float:
        """Milliseconds of a clip, the mean over the batches."""
        return sum(self.milliseconds.values()) / len(self.milliseconds)


class Report(BaseModel):
    """The content of ``engine.json``."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    weights: str
    device: Literal["cpu", "cuda"]
    hardware: str
    threads: int = Field(ge=1)
    versions: dict[str, str]
    clips: int = Field(ge=1, description="That were heard by every engine.")
    tolerance: float = Field(gt=0, lt=1, description="By which a probability may differ.")
    created: str
    engines: dict[EngineName, Measured]
    chosen: EngineName

    def passes(self, name: str) -> bool:
        """Whether an engine was measured and says what float32 says: the same genres, and nearly the same numbers."""
        found = self.engines.get(name)  # type: ignore[call-overload]
        if found is None or found.fault or not found.milliseconds:
            return False
        return name == FLOAT32 or (found.agreements == self.clips and found.difference <= self.tolerance)

    def ranked(self, choice: str, clips: int | None = None) -> list[str]:
        """The engines that pass, of those that ``choice`` leaves, the fastest first.

        Args:
            clips: how many there are to hear; an engine that takes long to start does not pay for few. None for no end.
        """
        passing = [name for name in among(choice, self.device) if self.passes(name)]
        return sorted(passing, key=lambda name: self.cost(name, clips))

    def cost(self, name: str, clips: int | None = None) -> float:
        """Milliseconds of so many clips with the start, or of one clip among many without."""
        found = self.engines[name]  # type: ignore[index]
        return found.per_clip if clips is None else 1000 * found.start_seconds + clips * found.per_clip

    def speedup(self, name: str) -> float:
        """How many times as fast as float32."""
        return self.cost(FLOAT32) / self.cost(name)

    def strangeness(self, weights: str | None, device: str) -> str | None:
        """What it was measured for other than what is here, or None; ``weights`` None: as it is."""
        here = {"device": device.partition(":")[0], "hardware": machine.hardware(device)}
        if weights is not None and weights != self.weights:
            return "other weights"
        for name, value in here.items():
            if getattr(self, name) != value:
                return f"another {name} ({getattr(self, name)})"
        if machine.versions() != self.versions:
            return f"other versions ({', '.join(f'{name} {found}' for name, found in self.versions.items())})"
        return None


def write(folder: Path, report: Report) -> None:
    """Put the report into a model's folder, whole."""
    write_whole(folder / REPORT, report.model_dump_json(indent=2) + "\n")


def read(folder: Path, weights: str | None, device: str = "cpu") -> Report | None:
    """The report that holds for these weights here, or None; one that does not is told of in the log.

    Args:
        weights: digest of the weights; None trusts that they are the folder's, where hashing them takes too long.
    """
    path = folder / REPORT
    if not path.is_file():
        return None
    again = f"`genre models tune {folder.resolve().name} --data-path MUSIC` measures anew."
    try:
        report = _parsed(path)
    except (OSError, ValueError) as error:
        logger.warning("%s cannot be read (%s) and is passed over; %s", path, _fault(error), again)
        return None
    if strange := report.strangeness(weights, device):
        logger.warning("%s was measured for %s and is passed over; %s", path, strange, again)
        return None
    return report


def fastest(folder: Path) -> str | None:
    """Which engine was measured to be the fastest here, for a list: whether the weights are the same is not looked at.

    Neither torch nor the weights are loaded, and nothing is said of a file that is passed over.
    """
    try:
        found = _parsed(folder / REPORT)
    except (OSError, ValueError):
        return None
    stale = found.device == "cpu" and found.strangeness(None, "cpu")
    return None if stale else found.ranked(AUTO)[0]


def _parsed(path: Path) -> Report:
    if path.stat().st_size > LARGEST_BYTES:
        raise ValueError("it is too large")
    report = Report.model_validate_json(path.read_bytes())
    if not report.passes(FLOAT32):
        raise ValueError(f"it lacks {FLOAT32}, which the others are measured by")
    return report


def _fault(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}"
    return first_line(str(error))
