"""``POST /models/{name}/activate``: another model answers from now on, once it was tried and the worker serves it."""

import asyncio
import threading
import time
from functools import partial

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from genre_lib import registry
from genre_lib.errors import ModelInvalid, ModelNotFound
from genre_lib.models_path import require_writable
from genre_lib.service.auth import require_key
from genre_lib.service.errors import responses
from genre_lib.service.model_schemas import Activation
from genre_lib.service.model_trial import in_turn, refusal
from genre_lib.service.models import CHANGES, Name
from genre_lib.service.worker import Worker
from genre_lib.settings import Settings

router = APIRouter(tags=["models"], dependencies=[Depends(require_key)])

SERVED_SECONDS = 20.0
"""How long an activation waits for the worker; after that it is answered with 202."""
LOOK_SECONDS = 0.1


@router.post(
    "/models/{name}/activate",
    summary="Let a model answer",
    response_model=Activation,
    responses={
        202: {"model": Activation, "description": "It is active, and the worker is still loading it."},
        **responses(401, 403, 404, 422, 429, 500, 503, 504, 507),
    },
)
async def activate(request: Request, name: Name) -> JSONResponse:
    """Let this model answer where none is named: for a new one, or to go back to one from before, such as the starter.

    It is loaded and run once in a process of its own first, so that a broken one is refused and the old one goes on.
    Answered when the worker serves it, without a request lost meanwhile. Doing it twice does no harm.
    """
    settings, worker = request.app.state.settings, request.app.state.worker
    before = await in_turn(partial(made_active, name, settings))
    error = await answers_with(worker, name)
    if error is None:
        return JSONResponse(Activation(name=name, serving=True, detail=f"{name} answers from now on.").model_dump())
    if error:
        await asyncio.to_thread(restored, before, name, settings)
        raise ModelInvalid(error)
    detail = f"{name} is active, and the worker is still loading it; GET /health tells when it answers."
    return JSONResponse(Activation(name=name, serving=False, detail=detail).model_dump(), 202)


def made_active(name: str, settings: Settings, cancelled: threading.Event) -> str | None:
    """Try a model and name it the active one; the name of the one before, if it was another.

    Raises:
        ModelNotFound: there is none of that name.
        ModelInvalid: it cannot be loaded and run.
        ReadOnly: it could not be named.
    """
    folder = registry.by_name(name, settings)
    before = active_name(settings)
    if before == name:
        return None
    require_writable(settings)
    if reason := refusal(folder, name, settings, cancelled):
        raise ModelInvalid(f"{reason} {before or 'The model before'} goes on.")
    with CHANGES:
        if not cancelled.is_set():
            registry.set_active(name, settings)
    return before


def active_name(settings: Settings) -> str | None:
    """The model that is named the active one, where it is there."""
    try:
        return registry.active(settings).name
    except ModelNotFound:
        return None


def restored(before: str | None, failed: str, settings: Settings) -> None:
    """Name the model of before the active one again, unless somebody chose a third meanwhile."""
    with CHANGES:
        if before is not None and active_name(settings) == failed:
            registry.set_active(before, settings)


async def answers_with(worker: Worker, name: str) -> str | None:
    """Wait until the worker serves the model: None when it does, why it cannot, or nothing after long waiting."""
    deadline = time.monotonic() + SERVED_SECONDS
    while True:
        said = await asyncio.to_thread(lambda: worker.status)
        error = said.error or ""
        if error.startswith(f"{name} cannot be served"):
            return error
        if said.model_name == name and not error:
            return None
        if time.monotonic() > deadline:
            return ""
        await asyncio.sleep(LOOK_SECONDS)
