"""``POST /predict``: one track in, its genres out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.datastructures import State

from genre_lib.service import bodies
from genre_lib.service.auth import may_read
from genre_lib.service.bodies import Files, RequestBody
from genre_lib.service.errors import responses
from genre_lib.service.messages import Answer, PredictRequest
from genre_lib.service.schemas import PredictAnswer
from genre_lib.service.track_features import TrackFeatures
from genre_lib.service.tracks import Source, laid_down

router = APIRouter(tags=["prediction"])

REFUSALS = (400, 401, 403, 404, 413, 415, 422, 429, 500, 502, 503, 504, 507)
"""How a route that takes tracks may refuse."""

Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=4096,
        description="http or https, of a public host. It is fetched once and not kept.",
        examples=["https://example.com/song.mp3"],
    ),
]


class Asked(RequestBody):
    """What is asked of a track."""

    model_name: str | None = Field(
        None, max_length=100, description="A name from GET /models; the active model where left out."
    )
    top_k: int = Field(3, ge=1, le=1000, description="How many genres to answer with, the likeliest first.")
    timeline: bool = Field(False, description="Answer with the genre over the length of the track, too.")


class AskedOfOne(Asked):
    """What is asked of a single track."""

    features: TrackFeatures | None = None


class AskedByUrl(AskedOfOne):
    """A track by its address, and what is asked of it."""

    audio_url: Url


FILE = Files("file")


@router.post(
    "/predict",
    summary="The genres of a track",
    response_model=PredictAnswer,
    response_model_exclude_unset=True,
    responses=responses(*REFUSALS),
    dependencies=[Depends(may_read)],
    openapi_extra=bodies.documented(
        AskedByUrl,
        AskedOfOne,
        FILE,
        a_track_on_the_web={"audio_url": "https://example.com/song.mp3", "top_k": 3},
        over_its_length={"audio_url": "https://example.com/song.mp3", "top_k": 1, "timeline": True},
    ),
)
async def predict(request: Request) -> JSONResponse:
    """Send the track as `file` in a multipart form, or its address as `audio_url` in JSON.

    Requests that come at the same time are predicted together: `X-Batch-Size` says how many tracks shared the pass. The
    same audio is not predicted twice: then it says `X-Cache: hit`.
    """
    async with bodies.read(request, AskedByUrl, AskedOfOne, FILE) as body:
        asked = body.fields
        source = asked.audio_url if isinstance(asked, AskedByUrl) else body.files[0]
        answer = await answer_for(source, asked, request.app.state, asked.features)
    return JSONResponse(answer.content, answer.status, headers=answer.headers)


async def answer_for(
    source: Source, asked: Asked, state: State, features: dict[str, float | None] | None = None
) -> Answer:
    """The worker's answer about one track.

    Raises:
        FetchError, AudioError: it did not come as far as to the worker.
    """
    async with laid_down(source, state) as track:
        question = PredictRequest(
            track.path, track.name, asked.model_name or None, asked.top_k, asked.timeline, track.digest, features
        )
        answer: Answer = await state.worker.ask(question)
        return answer
