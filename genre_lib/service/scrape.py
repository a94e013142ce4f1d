"""``GET /metrics``: what all processes counted, and how things are at this moment."""

import asyncio
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request, Response

from genre_lib import __version__, registry
from genre_lib.job_store import JobStore
from genre_lib.service import metrics
from genre_lib.service.auth import may_read
from genre_lib.service.errors import responses
from genre_lib.settings import Settings

if TYPE_CHECKING:
    from prometheus_client.core import Metric

router = APIRouter(tags=["service"])

EXAMPLE = 'genre_request_seconds_count{method="POST",route="/predict",status="200"} 42.0\n'


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    dependencies=[Depends(may_read)],
    responses={
        200: {"description": "Prometheus's text format.", "content": {"text/plain": {"example": EXAMPLE}}},
        **responses(401, 403, 500),
    },
)
async def scrape(request: Request) -> Response:
    """Requests by route and status, the network's times and batch sizes by model, the queue, jobs, errors, caches.

    `genre_model_info` is always 1, and names in its labels the active model, its version and the engine that computes
    it. Other metrics are told by engine through it, such as the network's mean time:
    `rate(genre_inference_seconds_sum[5m]) / rate(genre_inference_seconds_count[5m])
    * on(model) group_left(engine) genre_model_info`
    """
    state = request.app.state
    workers = {"predict": state.worker, "analyze": state.analysis}
    for name, worker in workers.items():
        metrics.set_queue_length(len(worker.pending(started=False)), name)
    now = Present(state.settings, workers)
    content, kind = await asyncio.to_thread(page, now, request.headers.get("Accept", ""))
    return Response(content, headers={"Content-Type": kind})


def page(now: "Present", accept: str) -> tuple[bytes, str]:
    """The metrics in the format that the client would like, and its content type."""
    from prometheus_client import CollectorRegistry  # only here, after the folder is named: see service.metrics
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.multiprocess import MultiProcessCollector

    found = CollectorRegistry()
    if metrics.prepared():
        MultiProcessCollector(found)
    found.register(now)
    encoder, kind = choose_encoder(accept)
    return encoder(found), kind


class Present:
    """What nobody counts, for it can be looked up: models, jobs, versions, whether the workers take requests."""

    def __init__(self, settings: Settings, workers: Mapping[str, Any]) -> None:
        self.settings = settings
        self.workers = workers

    def collect(self) -> Iterator["Metric"]:
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        said = self.workers["predict"].status
        build = {"version": __version__, "python": platform.python_version(), "torch": version("torch")}
        yield InfoMetricFamily("genre_build", "What is running.", build)
        served = {"model": said.model_name, "version": said.model_version, "engine": said.engine}
        told = {name: value or "" for name, value in served.items()}
        yield InfoMetricFamily("genre_model", "The model that answers where none is named, and what computes it.", told)
        models = GaugeMetricFamily("genre_model_active", "1 for the model that shall be served.", labels=["model"])
        for info in registry.list_models(self.settings):
            models.add_metric([info.name], float(info.active))
        yield models
        up = GaugeMetricFamily("genre_worker_up", "1 while the worker takes requests.", labels=["worker"])
        for name, worker in self.workers.items():
            up.add_metric([name], float(is_up(worker)))
        yield up
        jobs = GaugeMetricFamily("genre_jobs", "Fine-tuning jobs by status.", labels=["status"])
        for status, count in JobStore(self.settings).counts().items():
            jobs.add_metric([status], count)
        yield jobs


def is_up(worker: Any) -> bool:
    with suppress(OSError, EOFError):  # LitServe's manager has ended
        return bool(worker.ready())
    return False
