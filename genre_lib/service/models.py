"""``GET /models``: what may be named in a request."""

from dataclasses import asdict

from fastapi import APIRouter, Request

from genre_lib import registry
from genre_lib.registry import ModelInfo
from genre_lib.service.errors import responses
from genre_lib.service.schemas import ModelEntry, ModelList

router = APIRouter(tags=["models"])


@router.get("/models", responses=responses(500))
def models(request: Request) -> ModelList:
    """All models, the active one marked."""
    settings = request.app.state.settings
    return ModelList(models=[entry(info) for info in registry.list_models(settings)])


def entry(info: ModelInfo) -> ModelEntry:
    """What a client may know of a model: not where it lies."""
    accuracy = info.metrics.get("accuracy")
    value = accuracy.get("value") if isinstance(accuracy, dict) else accuracy
    return ModelEntry.model_validate(asdict(info) | {"accuracy": value})
