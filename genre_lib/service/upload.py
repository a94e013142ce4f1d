"""``POST /models/upload``: a zipped model folder becomes a model, after it was tried."""

import threading
from functools import partial
from pathlib import PurePath
from typing import IO

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from genre_lib import registry
from genre_lib.errors import ModelExists, UnsupportedMediaType, UploadRefused
from genre_lib.files import staged_folder
from genre_lib.job_store import JobStore
from genre_lib.models_path import require_writable
from genre_lib.registry import ModelInfo
from genre_lib.service import bodies
from genre_lib.service.auth import require_key
from genre_lib.service.errors import responses
from genre_lib.service.model_schemas import ModelEntry
from genre_lib.service.model_trial import Cancelled, in_turn, refusal
from genre_lib.service.models import entry
from genre_lib.settings import Settings

router = APIRouter(tags=["models"])


class UploadForm(bodies.RequestBody):
    """What goes with an uploaded model."""

    name: str | None = Field(
        None, description="What the model shall be called; the file's name without its ending where left out."
    )


FILE = bodies.Files("file", description="A zipped model folder: config.json, preprocessor_config.json, safetensors.")
FORM = {
    "type": "object",
    "properties": {FILE.name: FILE.schema, **UploadForm.model_json_schema()["properties"]},
    "required": [FILE.name],
}


@router.post(
    "/models/upload",
    summary="Upload a model",
    status_code=201,
    response_model=ModelEntry,
    dependencies=[Depends(require_key)],
    responses=responses(400, 401, 403, 409, 413, 415, 422, 429, 500, 503, 504, 507),
    openapi_extra={"requestBody": {"required": True, "content": {bodies.FORM: {"schema": FORM}}}},
)
async def upload(request: Request) -> JSONResponse:
    """Take in a zipped model folder, such as `genre finetune` writes.

    It is unpacked, loaded and run on a second of audio in a process of its own before it is there, and it is there
    whole or not at all. Nothing in it is executed: pickles, code and links are refused. It is not active yet.
    """
    settings: Settings = request.app.state.settings
    if not request.headers.get("content-type", "").lower().startswith(bodies.FORM):
        raise UnsupportedMediaType(f"This takes a zip as {bodies.FORM}; send `-F file=@model.zip`.")
    async with bodies.form_of(request, FILE) as content:  # read here, and so after the key was seen
        body = bodies.checked(content, UploadForm, FILE)
        name = body.fields.name or default_name(body.files[0].filename)
        info = await in_turn(partial(taken_in, body.files[0].file, name, settings))
    return JSONResponse(entry(info).model_dump(), 201, headers={"Location": f"/models/{info.name}"})


def default_name(filename: str | None) -> str:
    """The zip's name without its ending."""
    name = PurePath((filename or "").replace("\\", "/")).name
    return name[:-4] if name.lower().endswith(".zip") else name


def taken_in(packed: IO[bytes], name: str, settings: Settings, cancelled: threading.Event) -> ModelInfo:
    """Unpack and try a model beside its place, and publish it.

    Raises:
        ModelNameInvalid, ModelExists: of the name.
        UploadRefused: of what came.
        ReadOnly: no model can be put there.
        OSError: there is no room for it.
    """
    place = registry.check_name(name, settings)
    taken = ModelExists(f"There is a model {name} already, or a job makes one; choose another name.")
    if place.exists() or JobStore(settings).reserves(name):
        raise taken
    require_writable(settings)
    with staged_folder(place) as staged:
        folder = staged / "model"
        folder.mkdir()
        if reason := refusal(folder, name, settings, cancelled, packed):
            raise UploadRefused(reason)
        if cancelled.is_set():
            raise Cancelled
        try:
            registry.publish(folder, name, settings, move=True)
        except ModelExists:  # meanwhile, by somebody else
            raise taken from None
    return registry.find(name, settings)
