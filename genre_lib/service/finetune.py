"""``/finetune``: start a fine-tuning job, see how it goes, stop it and let it go on.

The jobs themselves are processes of their own; see :mod:`genre_lib.job_store`. What is here may end at any time.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response

from genre_lib import job_library, job_progress, job_request
from genre_lib.job_request import Prepared
from genre_lib.job_standing import Job, Status
from genre_lib.job_store import JobStore
from genre_lib.models_path import require_writable
from genre_lib.service.auth import may_read, require_key
from genre_lib.service.errors import responses
from genre_lib.service.finetune_schemas import JobList, JobStatus, JobSummary, StartRequest
from genre_lib.service.own_places import hidden_places
from genre_lib.settings import Settings

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/finetune", tags=["finetuning"])

LOOK_SECONDS = 1.0
"""How often the server looks whether a job that waits can start."""

CHANGES = [Depends(require_key)]
READS = [Depends(may_read)]

Offset = Annotated[int, Query(ge=0, le=10**9, description="Jobs to pass over.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Most jobs to answer with.")]
OfStatus = Annotated[list[Status] | None, Query(alias="status", description="Only jobs of these statuses.")]


MEANING = {
    409: "A name is taken, a job is in another state, or nobody has signed in to Spotify.",
    403: "No API key is configured, so nobody may do this; or the music lies where no request may look.",
    404: "There is no such job, model or music.",
    503: "As many jobs wait as may, or too many requests are being answered; try again after Retry-After seconds.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error part of a route's documentation, with what these statuses mean here."""
    return {
        status: entry | ({"description": MEANING[int(status)]} if status in MEANING else {})
        for status, entry in responses(*statuses).items()
    }


def store_of(request: Request) -> JobStore:
    """The app's store."""
    return store_in(request.app)


Store = Annotated[JobStore, Depends(store_of)]


@router.post(
    "/start",
    status_code=202,
    summary="Start a fine-tuning",
    dependencies=CHANGES,
    responses=refusals(401, 403, 404, 409, 422, 429, 500, 501, 503, 507),
)
def start(asked: StartRequest, response: Response, request: Request, store: Store) -> JobStatus:
    """Train a model for your genres. It runs as a process of its own, which outlives this server.

    The answer comes once the music was found and the settings were checked; `Location` says where the job can be
    watched. With `spotify_user_id` the job itself collects the library first, which its phase and its events tell. Its
    model is published under its name when all is done: calibrated, and compared with its base.
    """
    settings: Settings = request.app.state.settings
    require_writable(settings)  # hours before the model is put there
    prepared, source = prepared_for(asked, settings)
    job = store.submit(
        prepared.parameters,
        asked.model_name or store.free_name(f"{prepared.base_model}-{source}"),
        base_model=prepared.base_model,
        asked=asked.model_dump(exclude_none=True),
        catalogue=prepared.catalogue,
    )
    response.headers["Location"] = f"/finetune/status/{job.id}"
    return status_of(job)


def prepared_for(asked: StartRequest, settings: Settings) -> tuple[Prepared, str]:
    """What the job needs to begin, and a word for its music."""
    config = asked.config.model_dump()
    if asked.spotify_user_id is not None:
        labels = asked.labels if isinstance(asked.labels, str) else "genre"
        with hidden_places(settings):
            prepared = job_library.prepare(
                settings, base_model=asked.base_model, user=asked.spotify_user_id, labels=labels, config=config
            )
        return prepared, job_library.name_of(labels)
    prepared = job_request.prepare(
        settings,
        base_model=asked.base_model,
        catalogue=asked.catalogue,
        data_path=asked.data_path,
        labels=asked.labels if isinstance(asked.labels, list) else None,
        config=config,
    )
    return prepared, PurePath(asked.catalogue or asked.data_path or "").stem


@router.get("", summary="List the jobs", dependencies=READS, responses=refusals(401, 403, 422, 500))
def jobs(store: Store, status: OfStatus = None, limit: Limit = 50, offset: Offset = 0) -> JobList:
    """All jobs, the newest first."""
    found = [job for job in store.list() if not status or job.status in status]
    page = found[offset : offset + limit]
    return JobList(jobs=[summary_of(job) for job in page], total=len(found), limit=limit, offset=offset)


@router.get(
    "/status/{job_id}", summary="See how a job goes", dependencies=READS, responses=refusals(401, 403, 404, 500)
)
def status(job_id: str, store: Store) -> JobStatus:
    """One job, with the losses and scores of every epoch so far."""
    return status_of(store.get(job_id))


@router.post(
    "/stop/{job_id}",
    status_code=202,
    summary="Stop a job",
    dependencies=CHANGES,
    responses=refusals(401, 403, 404, 500, 507),
)
def stop(job_id: str, store: Store) -> JobStatus:
    """Stop a job, or take it out of the queue; of a job that has ended nothing changes.

    What was trained so far stays: the best epoch as a model in the folder of the job, and all that `resume` needs.
    """
    return status_of(store.stop(job_id))


@router.post(
    "/resume/{job_id}",
    status_code=202,
    summary="Let a job go on",
    dependencies=CHANGES,
    responses=refusals(401, 403, 404, 409, 500, 503, 507),
)
def resume(job_id: str, request: Request, store: Store) -> JobStatus:
    """Put a job that was stopped or has failed into the queue again. It goes on after its last whole epoch."""
    require_writable(request.app.state.settings)
    return status_of(store.resume(job_id))


# --- a job as it is answered ------------------------------------------------------------------------------------------


def summary_of(job: Job) -> JobSummary:
    return JobSummary(**told(job))


def status_of(job: Job) -> JobStatus:
    return JobStatus(**told(job), request=job.request.asked, history=reached(job).history)


def told(job: Job) -> dict[str, Any]:
    """What a client may know of a job: not where it lies."""
    state, far = job.state, reached(job)
    return {
        "job_id": job.id,
        "status": job.status,
        "model_name": job.request.model_name,
        "base_model": job.request.base_model,
        "submitted": job.request.submitted,
        "started": state.started,
        "ended": state.ended,
        "queue_position": job.position,
        "attempt": state.attempt,
        "phase": far.phase if job.status == "running" else None,
        "prepared": far.prepared if job.status == "running" else None,
        "progress": 1.0 if job.status == "completed" else far.share,
        "epoch": far.epoch,
        "epochs": job.epochs,
        "seconds_left": far.seconds_left if job.status == "running" else None,
        "metrics": scores(far.history[-1]) if far.history else {},
        "kept": state.kept,
        "error": None if state.error is None else job_progress.without_places(state.error),
        "error_code": state.error_code,
    }


def reached(job: Job) -> job_progress.Progress:
    return job_progress.progress(job.folder.events(), job.epochs, since=job.state.started)


def scores(entry: dict[str, Any]) -> dict[str, float]:
    """The losses and scores among an epoch's numbers."""
    return {name: value for name, value in entry.items() if name.startswith(("train_", "valid_"))}


# --- the queue --------------------------------------------------------------------------------------------------------


def store_in(app: FastAPI) -> JobStore:
    """The app's store, made when it is first needed."""
    if not hasattr(app.state, "jobs"):
        app.state.jobs = JobStore(app.state.settings)
    store: JobStore = app.state.jobs
    return store


@asynccontextmanager
async def starting_queued_jobs(app: FastAPI) -> AsyncIterator[None]:
    """Within the block, jobs that wait are started when there is room, and those that died are found."""
    task = asyncio.create_task(keep_starting(store_in(app)))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def keep_starting(store: JobStore) -> None:
    while True:
        try:
            await asyncio.to_thread(store.start_queued)
        except Exception:  # a full disk, say: the next look may go better
            logger.exception("the queue of jobs could not be looked at")
        await asyncio.sleep(LOOK_SECONDS)
