"""What is predicted for a track, and the rows of a file that it is written to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """A genre and how sure the model is of it, from 0 to 1."""

    genre: str
    confidence: float


@dataclass(frozen=True)
class Segment:
    """A stretch of a track, in seconds, and the genres that are heard there, the surest first."""

    start: float
    end: float
    predictions: list[Prediction]
    outside: float | None = None
    """As of the whole track."""


@dataclass(frozen=True)
class TrackPrediction:
    """What is predicted for a track, or why nothing is."""

    path: str | None = None
    duration: float | None = None
    """Seconds that were decoded."""
    predictions: list[Prediction] = field(default_factory=list)
    """Every genre, the surest first; empty where there is an error."""
    logits: np.ndarray | None = field(default=None, repr=False, compare=False)
    """float32 [genres], in the order of the predictor's genres, before the temperature."""
    outside: float | None = None
    """Probability that it is none of the genres, for a model that hears other things too: :mod:`genre_lib.outputs`."""
    timeline: list[Segment] | None = None
    error: str | None = None
    """A sentence for a person; None where all went well."""
    code: str | None = None
    """The error's name for machines, such as ``not_audio``."""
    warning: str | None = None
    """What to know about a prediction that was made, such as that the file was cut off."""

    def top(self, k: int) -> list[Prediction]:
        """The ``k`` surest genres."""
        return self.predictions[:k]

    def to_json(self, top_k: int | None = None) -> dict[str, Any]:
        """The row of a JSON file: path, duration, predictions and error, and the timeline if there is one."""
        row: dict[str, Any] = {
            "path": self.path,
            "duration": self.duration,
            "predictions": _rows(self.predictions[:top_k]),
            "error": self.error,
        }
        row |= _beside(self.outside)
        if self.warning is not None:
            row["warning"] = self.warning
        if self.timeline is not None:
            row["timeline"] = [
                {"start": segment.start, "end": segment.end, "predictions": _rows(segment.predictions[:top_k])}
                | _beside(segment.outside)
                for segment in self.timeline
            ]
        return row


def _rows(predictions: list[Prediction]) -> list[dict[str, Any]]:
    return [{"genre": prediction.genre, "confidence": prediction.confidence} for prediction in predictions]


def _beside(outside: float | None) -> dict[str, float]:
    return {} if outside is None else {"outside": outside}
