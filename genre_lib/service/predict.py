"""``POST /predict``: one track in, its genres out."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePath
from typing import IO, Annotated, BinaryIO

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import JSONResponse

from genre_lib.service.errors import responses
from genre_lib.service.messages import PredictRequest
from genre_lib.service.schemas import PredictAnswer

router = APIRouter(tags=["prediction"])

LONGEST_NAME = 100

Track = Annotated[UploadFile, File(description="A track in any format that FFmpeg knows: mp3, m4a, ogg, flac, wav, …")]
TopK = Annotated[int, Form(ge=1, description="How many genres to answer with, the likeliest first.")]
ModelName = Annotated[str | None, Form(description="A name from GET /models; the active model where left out.")]
Timeline = Annotated[bool, Form(description="Answer with the genre over the length of the track, too.")]


@router.post(
    "/predict",
    response_model=PredictAnswer,
    response_model_exclude_unset=True,
    responses=responses(400, 404, 413, 415, 422, 500, 503, 504),
)
async def predict(
    request: Request, file: Track, top_k: TopK = 3, model_name: ModelName = None, timeline: Timeline = False
) -> JSONResponse:
    """The genres of one track. Requests that come at the same time are predicted together."""
    worker = request.app.state.worker
    async with laid_down(file, worker.folder) as path:
        question = PredictRequest(str(path), shown(file.filename), model_name or None, top_k, timeline)
        answer = await worker.ask(question)
    return JSONResponse(answer.content, answer.status, headers=answer.headers)


@asynccontextmanager
async def laid_down(upload: UploadFile, folder: Path) -> AsyncIterator[Path]:
    """The upload as a file that the worker can read; gone after the block.

    A path of some bytes goes through LitServe's queues in no time, where an upload of 100 MB would hold up everyone.
    """
    with tempfile.NamedTemporaryFile(dir=folder, prefix="upload-") as file:
        await asyncio.to_thread(copy, upload.file, file)
        yield Path(file.name)


def copy(source: BinaryIO, target: IO[bytes]) -> None:
    shutil.copyfileobj(source, target, 1024 * 1024)
    target.flush()


def shown(filename: str | None) -> str:
    """The client's name for the file, fit for a sentence."""
    name = "".join(letter for letter in PurePath(filename or "").name if letter.isprintable())
    return name[:LONGEST_NAME] or "The upload"
