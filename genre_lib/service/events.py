"""``GET /finetune/events/{job_id}``: what happens in a job, as it happens, as server-sent events.

The stream is what https://html.spec.whatwg.org/multipage/server-sent-events.html says: an ``EventSource`` that lost its
connection comes again by itself with the last id that it saw, and goes on there.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse

from genre_lib import job_progress
from genre_lib.job_standing import Job
from genre_lib.job_store import JobStore
from genre_lib.service.finetune import READS, Store, refusals, summary_of

router = APIRouter(prefix="/finetune", tags=["finetuning"])

LOOK_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0
"""A comment goes out after so long a silence, so that proxies keep the connection."""

END = "-end"
"""Behind the number of the last line, it is the id of the last event."""

EXAMPLE = 'id: 7\ndata: {"kind": "epoch_ended", "epoch": 1, "train_loss": 0.9, "valid_accuracy": 0.75}\n\n'

EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "For Last-Event-ID; `status` has none."},
        "event": {
            "type": "string",
            "description": "Absent, and so message by the standard, for the run's own.",
            "enum": ["message", "status", "end"],
        },
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["data"],
}
"""What each event of the stream is, by OpenAPI 3.2's word for it, which FastAPI's own streams use, too."""

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events without a name are the run's own, one for each line of its `events.jsonl`: `data.kind` "
        "says what happened, and the id is the line's number. `status` comes whenever the status changes, `end` once, "
        "with the job as it ended.",
        "content": {"text/event-stream": {"itemSchema": EVENT, "example": EXAMPLE}},
    },
    204: {"description": "The job has ended and all of its events were seen: the browser need not come again."},
}

LastSeen = Annotated[str | None, Header(alias="Last-Event-ID", description="The id of the last event that was seen.")]


@router.get(
    "/events/{job_id}",
    summary="Follow a job",
    dependencies=READS,
    response_class=StreamingResponse,
    responses={**STREAM, **refusals(401, 403, 404, 500, 503)},
)
async def events(job_id: str, request: Request, store: Store, last_seen: LastSeen = None) -> Response:
    """The events of a job, first those that were missed, then each as it happens, until the job has ended."""
    job = await asyncio.to_thread(store.get, job_id)
    line, saw_end = seen(last_seen)
    if job.ended and saw_end:
        return Response(status_code=204)
    stream = until_gone(request, following(store, job, line))
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def until_gone(request: Request, stream: AsyncIterator[str]) -> AsyncIterator[str]:
    """The stream for as long as there is a client and a server, with a sign of life where it is quiet for long."""
    quiet = 0.0
    async for text in stream:
        quiet = 0.0 if text else quiet + LOOK_SECONDS
        if quiet >= HEARTBEAT_SECONDS:
            text, quiet = ": still there\n\n", 0.0
        if text:
            yield text
        if going_down() or await request.is_disconnected():
            return


async def following(store: JobStore, job: Job, line: int) -> AsyncIterator[str]:
    """What stands behind a line, then what comes, until the job has ended; empty where nothing came."""
    reader = job.folder.event_reader()
    told: dict[str, Any] = {}
    while True:
        events = await asyncio.to_thread(reader.read)
        text = message(standing(job), event="status") if standing(job) != told else ""
        told = standing(job)
        text += "".join(message(job_progress.public(event), f"{number}") for number, event in events if number > line)
        if job.ended:
            summary = await asyncio.to_thread(summary_of, job)
            yield text + message(summary.model_dump(), f"{reader.line}{END}", "end")
            return
        yield text
        await asyncio.sleep(LOOK_SECONDS)
        job = await asyncio.to_thread(store.get, job.id)  # before the events: of one that has ended none is missed


def standing(job: Job) -> dict[str, Any]:
    """What a client hears of whenever it changes."""
    return {"status": job.status, "queue_position": job.position, "attempt": job.state.attempt}


def message(data: dict[str, Any], number: str | None = None, event: str | None = None) -> str:
    """One event; JSON has no line breaks of its own."""
    fields = {"id": number, "event": event, "data": json.dumps(data, ensure_ascii=False)}
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value is not None) + "\n"


def seen(last: str | None) -> tuple[int, bool]:
    """The last line that a client saw, and whether it saw the end, too; what is no id of ours is as none."""
    number, end, _ = (last or "").partition(END)
    return (int(number) if number.isascii() and number.isdigit() and len(number) < 12 else 0), bool(end)


def going_down() -> bool:
    """Whether the server is about to end; uvicorn waits for answers that go on, and these go on for hours.

    Its handler of SIGTERM is a method of the server that knows.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(server, "should_exit", False))
