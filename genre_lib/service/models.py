"""``/models``: which there are and how good they are, which one answers, and which are not wanted any more."""

import threading
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import ValidationError

from genre_lib import registry
from genre_lib.engines.report import fastest
from genre_lib.errors import ModelInUse, NoMetrics
from genre_lib.job_store import JobStore
from genre_lib.registry import ModelInfo
from genre_lib.service.auth import may_read, require_key
from genre_lib.service.errors import responses
from genre_lib.service.model_schemas import (
    Headline,
    ModelEntry,
    ModelList,
    ModelMetrics,
    ModelSource,
    read_metrics,
)
from genre_lib.settings import Settings

router = APIRouter(tags=["models"])

READ = [Depends(may_read)]
CHANGE = [Depends(require_key)]

CHANGES = threading.Lock()
"""Held while a model is made active or deleted, so that none is both."""

Name = Annotated[str, Path(description="A model's name, from GET /models.", examples=["genre_classifier"])]


@router.get("/models", summary="All models", dependencies=READ, responses=responses(401, 403, 429, 500))
def models(request: Request) -> ModelList:
    """Every model that may be named in a request, the active one marked."""
    return ModelList(models=[entry(info) for info in registry.list_models(request.app.state.settings)])


@router.get("/models/{name}", summary="A model", dependencies=READ, responses=responses(401, 403, 404, 429, 500))
def model(request: Request, name: Name) -> ModelEntry:
    """What can be said of one model without loading it."""
    return entry(registry.find(name, request.app.state.settings))


@router.get(
    "/models/{name}/metrics",
    summary="A model's evaluation",
    dependencies=READ,
    responses=responses(401, 403, 404, 429, 500),
)
def model_metrics(request: Request, name: Name) -> ModelMetrics:
    """Accuracy and macro-F1 with their intervals, every genre's own numbers, the confusion of genres, how far
    confidences can be trusted, and the comparison with another model.

    404 with the code `model_not_found` where there is no such model, and `no_metrics` where it was never evaluated.
    """
    return read_metrics(registry.by_name(name, request.app.state.settings))


@router.delete(
    "/models/{name}",
    summary="Delete a model",
    status_code=204,
    dependencies=CHANGE,
    response_class=Response,
    responses=responses(401, 403, 404, 409, 429, 500, 507),
)
def delete(request: Request, name: Name) -> None:
    """Delete a model's folder. 409 while it is active or a job starts from it; the starter stays."""
    settings: Settings = request.app.state.settings
    with CHANGES:
        registry.by_name(name, settings)
        if JobStore(settings).uses(name):
            raise ModelInUse(f"A fine-tuning job starts from {name}; delete it when the job has ended.")
        registry.remove(name, settings)


def entry(info: ModelInfo) -> ModelEntry:
    """What a client may know of a model: not where it lies."""
    beside = {"metrics": headline(info), "source": source(info), "engine": fastest(info.folder)}
    return ModelEntry.model_validate(asdict(info) | beside)


def source(info: ModelInfo) -> ModelSource | None:
    """Where it was downloaded from, where that is told as the download command tells it."""
    try:
        return ModelSource.model_validate(info.source)
    except ValidationError:
        return None


def headline(info: ModelInfo) -> Headline | None:
    """The numbers to look at first, where the model was evaluated."""
    try:
        found = read_metrics(info.folder)
    except NoMetrics:
        return None
    return Headline(
        accuracy=found.accuracy,
        macro_f1=found.macro_f1,
        calibration_error=found.calibration.ece_after if found.calibration else None,
        split=found.split,
        tracks=found.tracks,
        compared_with=found.comparison.model if found.comparison else None,
    )
