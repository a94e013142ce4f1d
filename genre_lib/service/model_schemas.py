"""What the service answers of models and of their evaluations, as types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from genre_lib.errors import NoMetrics, first_line
from genre_lib.service.schemas import Schema

METRICS = "metrics.json"
LARGEST_METRICS = 8 * 1024**2


class Score(Schema):
    """A share of tracks, with its 95 % bootstrap interval."""

    model_config = ConfigDict(allow_inf_nan=False)

    value: float = Field(examples=[0.77])
    low: float | None = Field(None, description="Null where it was not estimated.", examples=[0.67])
    high: float | None = Field(None, description="Null where it was not estimated.", examples=[0.87])


class SourceScore(Score):
    """Accuracy on the tracks of one source."""

    tracks: int


class GenreReport(Schema):
    """How a genre is told from the others."""

    precision: float
    recall: float
    f1: float
    support: int = Field(description="Tracks of this genre.")


class Confusion(Schema):
    """Tracks by their genre (rows) and the genre that was predicted (columns)."""

    genres: list[str] = Field(description="Of the rows and columns, in their order.")
    matrix: list[list[int]]


class ByChance(Schema):
    """Between what a calibration error falls, 95 times in 100, where the confidences are exactly right."""

    low: float
    high: float


class Calibration(Schema):
    """How far confidences are from the share that is right (expected calibration error, Guo et al. 2017)."""

    temperature: float = Field(description="What the logits are divided by.")
    ece_before: float | None = Field(description="Expected calibration error at temperature 1.")
    ece_after: float | None = Field(description="Expected calibration error at the model's temperature.")
    ece_by_chance: ByChance | None = None
    nll_before: float | None = Field(None, description="Mean negative log-likelihood in nats at temperature 1.")
    nll_after: float | None = Field(None, description="The same at the model's temperature.")
    cross_fitted: bool = Field(False, description="Whether no track was scored by a temperature that it helped to fit.")
    bins: int | None = None
    fitted_on: int | None = Field(None, description="Tracks that the temperature was fitted on, where that is known.")


class Difference(Schema):
    """A model against another on the same tracks."""

    difference: Score | None = Field(
        None, description="Accuracy minus the other's; null if there was nothing to compare."
    )
    better: int | None = Field(None, description="Tracks that only this model has right.")
    worse: int | None = Field(None, description="Tracks that only the other has right.")
    mcnemar_p: float | None = Field(None, description="Of McNemar's exact test.")


class Restricted(Difference):
    """Both asked only for the genres that the tracks have."""

    accuracy: Score | None = None


class Comparison(Difference):
    """What the model was compared with."""

    model: str = Field(examples=["genre_classifier"])
    tracks: int
    accuracy: Score | None = Field(None, description="Of the other model.")
    accuracy_restricted: Score | None = Field(None, description="Of the other model, of these genres only.")
    restricted: Restricted | None = None
    not_covered: int | None = Field(None, description="Tracks of genres that this model does not know.")


class ModelMetrics(Schema):
    """A model's evaluation, on tracks that it was not trained on."""

    model_config = ConfigDict(allow_inf_nan=False)

    model: str | None = Field(None, description="What the model was called when it was evaluated.")
    model_version: str | None = Field(None, description="Of the weights that were evaluated.")
    split: str | None = Field(None, examples=["valid"])
    tracks: int | None = Field(None, description="That were scored.")
    failed: int | None = Field(None, description="Tracks that could not be heard; they are in no score.")
    not_covered: dict[str, int] = Field(
        {}, description="Tracks of genres that the model does not know; they count as wrong."
    )
    accuracy: Score
    macro_f1: Score | None = None
    per_genre: dict[str, GenreReport] = Field(default_factory=dict)
    per_source: dict[str, SourceScore] = Field(default_factory=dict)
    confusion: Confusion | None = None
    calibration: Calibration | None = None
    comparison: Comparison | None = Field(None, description="Null if it was not compared with another model.")
    data: dict[str, Any] = Field(
        {}, description="What the tracks were: counts by split, source and genre, and licences."
    )
    created: str | None = Field(None, description="ISO 8601.")


class Headline(Schema):
    """The numbers of an evaluation to look at first; the others are at /models/{name}/metrics."""

    accuracy: Score
    macro_f1: Score | None = None
    calibration_error: float | None = Field(None, description="Expected calibration error, after scaling.")
    split: str | None = Field(None, examples=["valid"])
    tracks: int | None = None
    compared_with: str | None = Field(None, description="Another model on the same tracks.")


class ModelSource(Schema):
    """Where a downloaded model is from."""

    repo: str = Field(examples=["facebook/hubert-base-ls960"])
    commit: str = Field(description="The revision that was fetched.")
    licence: str = Field("", description="As its card says; empty where it does not.", examples=["apache-2.0"])


class ModelEntry(Schema):
    """A model that ``model_name`` may name; an encoder is for fine-tuning from it."""

    name: str = Field(examples=["genre_classifier"])
    active: bool = Field(description="Whether it answers where no model is named.")
    kind: str = Field(
        description="The network's architecture; `encoder` for a pretrained network without genres, which predicts "
        "once it was fine-tuned; `unreadable` for a folder that cannot be used.",
        examples=["genre_cnn"],
    )
    genres: list[str] = Field(description="Empty for an encoder.", examples=[["classical", "jazz", "rock"]])
    parameters: int = Field(description="Numbers in the weights.")
    size_bytes: int = Field(description="Of the folder.")
    created: str = Field(description="ISO 8601; empty where it is not known.", examples=["2026-01-31T12:00:00+00:00"])
    base_model: str | None = Field(None, description="The model that it was fine-tuned from.")
    metrics: Headline | None = Field(None, description="Null if it was never evaluated.")
    source: ModelSource | None = Field(None, description="Null for what was not downloaded.")
    engine: str | None = Field(
        None,
        description="The fastest here by `genre models tune`; null if that was not run.",
        examples=["openvino-bf16"],
    )


class ModelList(Schema):
    """All models, by name."""

    models: list[ModelEntry]


class Activation(Schema):
    """What became of an activation."""

    name: str
    serving: bool = Field(description="Whether the worker answers with it by now; if not, /health will tell when.")
    detail: str = Field(examples=["mine answers from now on."])


def read_metrics(folder: Path) -> ModelMetrics:
    """The evaluation that lies in a model's folder.

    Raises:
        NoMetrics: there is none, or it cannot be read.
    """
    again = f"fine-tuning writes one; `genre evaluate --model {folder.name}` makes a report"
    if not (folder / METRICS).is_file():
        raise NoMetrics(f"{folder.name} has no evaluation beside it: {again}.")
    try:
        return parsed_metrics(folder / METRICS)
    except (OSError, ValueError, RecursionError) as error:
        raise NoMetrics(f"The evaluation of {folder.name} cannot be read: {again}.") from error


def parsed_metrics(path: Path) -> ModelMetrics:
    """An evaluation as it is written; what is no number in it becomes null.

    Raises:
        OSError, ValueError, RecursionError: it cannot be read, or says something else.
    """
    if path.stat().st_size > LARGEST_METRICS:
        raise ValueError("it is too large")
    return ModelMetrics.model_validate(json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: None))


def fault(error: Exception) -> str:
    """What is wrong with an evaluation, the first of it."""
    if not isinstance(error, ValidationError):
        return first_line(str(error))
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))[:100]}: {first['msg'][:1].lower()}{first['msg'][1:]}"
