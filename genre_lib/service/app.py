"""The service put together: routes, the shape of errors, the bounds around every request."""

import os
from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter
from starlette.formparsers import MultiPartParser

from genre_lib import registry
from genre_lib.files import sweep
from genre_lib.service import (
    activate,
    analyze,
    docs,
    errors,
    events,
    finetune,
    health,
    metrics,
    models,
    predict,
    predict_batch,
    scrape,
    spotify,
    upload,
)
from genre_lib.service.fetch import Fetcher
from genre_lib.service.limits import MIB, Bound, Deadline, InFlightLimit, UploadLimit
from genre_lib.service.methods import Methods
from genre_lib.service.proxies import TrustedProxies
from genre_lib.service.rate_limits import RateLimit
from genre_lib.service.rates import rate_limit_store, read_rates
from genre_lib.service.server import GenreServer, Middlewares, quiet_logs, run, shared_folder
from genre_lib.service.status import WorkerStatus
from genre_lib.settings import Settings

ROUTERS: tuple[APIRouter, ...] = (
    predict.router,
    predict_batch.router,
    spotify.router,
    analyze.router,
    health.router,
    models.router,
    upload.router,
    activate.router,
    finetune.router,
    events.router,
    scrape.router,
)
"""One for each concept; a new one is added here."""

LOOPBACK = ("localhost", "127.0.0.1")

OPEN_WIDE = (
    "HOST lets other machines in, and no API key is configured: whoever reaches this port may ask for predictions. "
    "Make a key with `genre keys create NAME`, and set READ_REQUIRES_KEY=true to let in only who has one."
)

FORM_BYTES = MIB
"""What a form may hold beside its file, and any other body."""


def create_server(settings: Settings, folder: Path) -> GenreServer:
    """The server, not yet running.

    Args:
        settings: model, limits, batching.
        folder: what the processes share; see :func:`genre_lib.service.server.shared_folder`.
    """
    server = GenreServer(settings, folder, bounds(settings))
    MultiPartParser.spool_max_size = MIB  # LitServe keeps uploads in memory, to pickle them; ours go as files
    app = server.app
    app.state.settings, app.state.worker, app.state.analysis = settings, server.worker, server.analysis
    app.state.fetcher = Fetcher(settings)
    app.router.redirect_slashes = False  # a redirect would have no body in the shape of the others
    for router in ROUTERS:
        app.include_router(router)
    errors.install(app)
    docs.install(app, settings)
    return server


def bounds(settings: Settings) -> Middlewares:
    """The outermost stands last: the deadline is over the upload and the waiting, too."""
    return [
        (Methods, {}),
        (UploadLimit, {"max_bytes": FORM_BYTES, "forms": forms(settings)}),
        (InFlightLimit, {"most": settings.max_requests_in_flight}),
        (RateLimit, {"rates": read_rates(settings), "keys": settings.api_keys, "store": rate_limit_store(settings)}),
        (Deadline, {"seconds": settings.request_timeout, "under": {"/models/": settings.model_timeout}}),
        (TrustedProxies, {"networks": settings.trusted_proxies}),
        (metrics.RequestMetrics, {}),
    ]


def forms(settings: Settings) -> dict[str, Bound]:
    """What the forms of the routes that take files may hold."""
    track = Bound(settings.max_audio_bytes + FORM_BYTES, "audio_too_large")
    batch = Bound(settings.max_batch_bytes + FORM_BYTES, "audio_too_large")
    model = Bound(settings.max_model_bytes + FORM_BYTES, "model_too_large")
    return {"/predict": track, "/predict/batch": batch, "/analyze/features": track, "/models/upload": model}


def is_open_wide(settings: Settings) -> bool:
    """Whether other machines reach the port, and need no key."""
    return not settings.api_keys and settings.host not in LOOPBACK


def serve(settings: Settings, say: Callable[[str], None] = print) -> None:
    """Serve at the settings' host and port until a signal says to end.

    Raises:
        ConfigurationError: the address cannot be listened on.
        ModelNotFound, ModelInvalid: the active model is not there, or cannot be loaded.
        ServerFailed: the HTTP process ended by itself.
    """
    registry.describe(registry.active(settings))
    if sentence := registry.overruled(settings):
        say(f"warning: {sentence}")
    for root in settings.finetune_data_roots:
        if not root.expanduser().is_dir():
            say(f"warning: FINETUNE_DATA_ROOTS names {root}, and there is no such folder to train from.")
    sweep(settings.models_path)  # what a server that was killed while it took in a model left there
    quiet_logs()
    # OpenMP's threads spin while they wait for each other; beside other programs that made the network ten times slower
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    def started(said: WorkerStatus) -> None:
        address = f"http://{settings.host}:{settings.port}"
        say(f"Serving {said.model_name} ({said.model_version}) at {address}; its pages are at {address}/docs.")
        if is_open_wide(settings):
            say(f"warning: {OPEN_WIDE}")

    with shared_folder() as folder:
        metrics.prepare(folder / "metrics")
        try:
            server = create_server(settings, folder)
            server.on_started = started
            run(server, settings.host, settings.port)
        finally:
            metrics.forget()
    sweep(settings.models_path)
