"""``GET /health``: whether the service can predict, and with what."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from genre_lib import __version__
from genre_lib.errors import NoActiveModel
from genre_lib.service.schemas import Batches, Health, NotReady, Process, ServedModel
from genre_lib.service.status import WorkerStatus
from genre_lib.service.worker import Worker

router = APIRouter(tags=["service"])

NOT_READY = "The worker is starting; ask again in a few seconds."


@router.get(
    "/health",
    summary="How the service is",
    response_model=Health,
    responses={
        503: {"model": NotReady, "description": "The worker is starting, or the active model cannot be loaded."}
    },
)
def health(request: Request) -> JSONResponse:
    """200 once the worker can predict, 503 before and while it is started again. Needs no key, and is never limited.

    503 with `status` `error` where the active model cannot be loaded: only requests that name a model are answered.
    """
    worker = request.app.state.worker
    said, predicting = worker.status, process(worker)
    ready = predicting.state == "ready"
    without_model = ready and said.model_name is None and said.error is not None
    state = Health(
        status="error" if without_model else "ok" if ready else "starting",
        version=__version__,
        model=served(said),
        error=said.error,
        batches=Batches(passes=said.passes, tracks=said.tracks, mean=round(said.mean_batch, 2)),
        worker=predicting,
        analysis=process(request.app.state.analysis),
    )
    if ready and not without_model:
        return JSONResponse(state.model_dump())
    detail, code = (str(said.error), NoActiveModel().code) if without_model else (NOT_READY, "not_ready")
    answer = NotReady(detail=detail, code=code, **state.model_dump())
    return JSONResponse(answer.model_dump(), 503, headers={"Retry-After": "5"})


def served(said: WorkerStatus) -> ServedModel | None:
    """The model that answers, as the worker said it."""
    if not said.model_name:
        return None
    return ServedModel(
        name=said.model_name, version=said.model_version, engine=said.engine, engine_fault=said.engine_fault
    )


def process(worker: Worker) -> Process:
    """How a worker's process is."""
    said, alive = worker.status, worker.status.alive
    ready = alive and worker.ready()
    return Process(
        state="ready" if ready else "starting" if alive else "ended",
        pid=said.pid or None,
        alive=alive,
        restarts=max(0, said.starts - 1),
        uptime=round(said.uptime, 1) if alive else 0.0,
    )
