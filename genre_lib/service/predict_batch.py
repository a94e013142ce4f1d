"""``POST /predict/batch``: many tracks in one request, each with a result or an error of its own."""

import asyncio
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.datastructures import State

from genre_lib.errors import TooManyItems
from genre_lib.service import bodies, metrics
from genre_lib.service.auth import may_read
from genre_lib.service.bodies import Files
from genre_lib.service.errors import answer_to, body, responses
from genre_lib.service.limits import DEADLINE
from genre_lib.service.messages import Answer
from genre_lib.service.predict import REFUSALS, Asked, Url, answer_for
from genre_lib.service.rate_limits import refusal_of
from genre_lib.service.schemas import BatchAnswer
from genre_lib.service.tracks import Source, shown

router = APIRouter(tags=["prediction"])

AT_ONCE = 8
"""Tracks of a request that are fetched or predicted at the same time: enough to share passes, and not to fill them."""

RESERVE = 0.05
"""Share of the time for an answer that is kept for writing it: what is late by then is told, and the rest is there."""

LATE = Answer(504, body("The track was not predicted in time; send fewer at once, or this one again.", "item_timeout"))


class AskedByUrls(Asked):
    """Tracks by their addresses, and what is asked of each."""

    audio_urls: list[Url] = Field(min_length=1, description="At most `MAX_BATCH_ITEMS` of them, 32 by default.")


FILES = Files("files", most=1000, description="Tracks; at most `MAX_BATCH_ITEMS` of them, 32 by default.")


@router.post(
    "/predict/batch",
    summary="The genres of many tracks",
    response_model=BatchAnswer,
    response_model_exclude_unset=True,
    responses=responses(*REFUSALS),
    dependencies=[Depends(may_read)],
    openapi_extra=bodies.documented(
        AskedByUrls,
        Asked,
        FILES,
        two_tracks={"audio_urls": ["https://example.com/one.mp3", "https://example.com/two.mp3"], "top_k": 1},
    ),
)
async def predict_batch(request: Request) -> JSONResponse:
    """Send the tracks as `files` in a multipart form, or their addresses as `audio_urls` in JSON.

    The answer is 200 where the request as a whole was fine; `results` holds an item for each track, in their order,
    with what `POST /predict` would have answered: its `status`, and a `result` or an `error`. Each track counts as a
    request of its own.
    """
    state = request.app.state
    most = state.settings.max_batch_items
    async with bodies.read(request, AskedByUrls, Asked, Files("files", most)) as read:
        asked = read.fields
        sources: list[Source] = [*asked.audio_urls] if isinstance(asked, AskedByUrls) else [*read.files]
        if len(sources) > most:
            raise TooManyItems(f"A batch holds at most {most} tracks, and {len(sources)} came; send them in parts.")
        if refused := await refusal_of(request, len(sources)):
            return refused
        answers = await answers_for(sources, asked, state, until(request))
    results = [item(source, answer) for source, answer in zip(sources, answers, strict=True)]
    return JSONResponse({"results": results})


def until(request: Request) -> float:
    """The event loop's time at which the answer is put together."""
    seconds = request.app.state.settings.request_timeout
    deadline: float = request.scope.get(DEADLINE, asyncio.get_running_loop().time() + seconds)
    return deadline - RESERVE * seconds


async def answers_for(sources: list[Source], asked: Asked, state: State, deadline: float) -> list[Answer]:
    """An answer about each track, in their order; none of them spoils the others."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(source: Source) -> Answer:
        try:
            async with asyncio.timeout_at(deadline), places:
                return await answer_for(source, asked, state)
        except TimeoutError:
            return LATE
        except Exception as error:
            status, content, headers = answer_to(error)
            return Answer(status, content, headers)

    return await asyncio.gather(*(one(source) for source in sources))


def item(source: Source, answer: Answer) -> dict[str, Any]:
    """What became of one track."""
    good = answer.status == 200
    if not good:
        metrics.count_error(answer.content["code"])
    named = {"url": source} if isinstance(source, str) else {"name": shown(source.filename)}
    told = {"result": answer.content if good else None, "error": None if good else answer.content}
    return {**named, "status": answer.status, **told}
