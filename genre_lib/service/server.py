"""LitServe's processes, started with a reason where they do not start, and ended all together.

Beside LitServe's manager there are four: the main process starts and ends the others, the HTTP process holds the port,
the worker holds the models, and the analysis process computes descriptors. LitServe 0.2.19 by itself leaves some behind
when it is told to end, and does not notice when the HTTP process is gone.
"""

import asyncio
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from litserve import LitAPI, LitServer
from litserve.utils import WorkerSetupStatus

from genre_lib.errors import ConfigurationError, GenreLibError, ModelInvalid
from genre_lib.service import metrics, status
from genre_lib.service.analysis_api import AnalysisAPI
from genre_lib.service.api import NOT_LOADED, GenreAPI, WorkerAPI
from genre_lib.service.finetune import starting_queued_jobs
from genre_lib.service.restarts import Restarts
from genre_lib.service.worker import Worker, watch
from genre_lib.settings import Settings

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
GRACE_SECONDS = 10
"""What requests in flight have to end, when the server is stopped."""

HOSTS = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "0.0.0.0": "0.0.0.0", "::": "::"}
"""Addresses that LitServe listens on."""

Middlewares = list[tuple[type, dict[str, Any]]]


class ServerFailed(GenreLibError):
    """A process that the server cannot do without ended by itself."""


class GenreServer(LitServer):
    """LitServe's processes for :class:`GenreAPI` and :class:`AnalysisAPI`, without LitServe's routes.

    Args:
        settings: of the whole service.
        folder: what the processes share: the workers' states, and the tracks while they are heard.
        middlewares: outermost last, with their arguments.
    """

    def __init__(self, settings: Settings, folder: Path, middlewares: Middlewares) -> None:
        self.folder = folder
        self.stopping = False
        self.http_died = False
        self.apis: list[WorkerAPI] = [GenreAPI(settings, folder), AnalysisAPI(settings, folder)]
        self.worker, self.analysis = (Worker(self, folder, api.api_path, api.status_file) for api in self.apis)
        self.restarts = [Restarts() for _ in self.apis]
        self.on_started: Callable[[status.WorkerStatus], None] = lambda said: None
        super().__init__(
            self.apis,
            accelerator="cpu",  # one worker each, which chooses its device by the settings
            devices=1,
            timeout=settings.request_timeout,
            middlewares=middlewares,
            restart_workers=True,  # so that the worker says which requests it holds
        )
        self.uvicorn_graceful_timeout = GRACE_SECONDS

    def register_endpoints(self) -> None:
        """None of LitServe's: ours stand in routers."""

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """The HTTP process's life: it looks after the worker meanwhile."""
        async with super().lifespan(app):
            watching = asyncio.create_task(watch(self, [self.worker, self.analysis]))
            async with starting_queued_jobs(app):
                yield
            watching.cancel()

    def launch_inference_worker(self, lit_api: LitAPI) -> list:
        with interrupts_ignored():
            return super().launch_inference_worker(lit_api)

    def verify_worker_status(self) -> None:
        """Wait until the first worker can predict. LitServe would wait for ever for one that ended."""
        while not self.worker.ready():
            if self.stopping:
                raise KeyboardInterrupt
            if self.inference_workers[0].exitcode is not None:
                raise ModelInvalid(status.read(self.folder).error or "The worker ended while it started; see above.")
            time.sleep(LOOK_SECONDS)

    def _start_worker_monitoring(self, manager: Any, uvicorn_workers: dict) -> None:
        """In place of LitServe's, which looks after the workers alone, and starts new ones while the server ends."""
        threading.Thread(target=self._watch, args=(list(uvicorn_workers.values()),), daemon=True).start()
        self.on_started(status.read(self.folder))

    def _watch(self, http: list) -> None:
        while not self.stopping:
            if not all(process.is_alive() for process in http):
                self.http_died = True
                self.stop()
                return
            self._restart_the_dead()
            time.sleep(LOOK_SECONDS)

    def _restart_the_dead(self) -> None:
        for number, worker in enumerate(self.inference_workers):
            restarts = self.restarts[number]
            if worker.is_alive() or self.stopping:
                continue
            if restarts.due is None:
                self._tell_of_the_end(self.apis[number], worker, restarts.wait())
            if restarts.begin():
                self.inference_workers[number] = self.launch_single_inference_worker(self.apis[number], 0)

    def _tell_of_the_end(self, api: WorkerAPI, worker: Any, seconds: float) -> None:
        """Say that a worker ended, and why, if it left the reason; :meth:`Worker.look` releases what it held."""
        reason = status.read(self.folder, api.status_file).error if worker.exitcode == NOT_LOADED else None
        when = f" in {seconds:g} seconds" if seconds else ""
        why = f": {reason}" if reason else ""
        logger.error("%s ended by itself (%s) and is started again%s%s", api.title, worker.exitcode, when, why)
        self.workers_setup_status[f"{api.api_path.split('/')[-1]}_0"] = WorkerSetupStatus.STARTING
        metrics.worker_restarted(api.name, worker.pid)

    def stop(self) -> None:
        """Make ``run`` end. By a thread, for a signal may have interrupted this one amid a call to the manager."""
        self.stopping = True
        if self._shutdown_event is not None:
            threading.Thread(target=set_quietly, args=(self._shutdown_event,), daemon=True).start()


def run(server: GenreServer, host: str, port: int) -> None:
    """Serve until a signal says to end; then no process, port or file is left.

    Raises:
        ConfigurationError: the address cannot be listened on.
        ModelInvalid: the worker could not load the model.
        ServerFailed: the HTTP process ended by itself.
    """
    require_address(host, port)
    try:
        with signals_stop(server), suppress(KeyboardInterrupt):
            server.run(
                HOSTS[host],
                port,
                num_api_servers=1,
                log_level="warning",
                generate_client_file=False,
                access_log=False,
                proxy_headers=False,  # uvicorn would believe X-Forwarded-For from loopback: service.proxies decides
            )
    except (OSError, EOFError):  # the manager got the signal, too
        if not server.stopping:
            raise
    finally:
        end_children()
    if server.http_died:
        raise ServerFailed("The HTTP process ended by itself, so the server was stopped; the log above may say why.")


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder for what the processes share, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="genre-serve-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_address(host: str, port: int) -> None:
    """Refuse what cannot be listened on before anything starts."""
    if host not in HOSTS:
        raise ConfigurationError(f"HOST must be one of {', '.join(HOSTS)}, and is {host!r}.")
    if not 1024 <= port <= 65535:
        raise ConfigurationError(f"PORT must be from 1024 to 65535, and is {port}.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
        try:
            probe.bind((HOSTS[host], port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} of {host} cannot be used: {error.strerror}. End the program that holds it, or choose "
                "another with --port or PORT."
            ) from error


@contextmanager
def signals_stop(server: GenreServer) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the server in order; the second one at once."""
    main = os.getpid()

    def on_signal(number: int, frame: object) -> None:
        if os.getpid() != main:  # the HTTP process, forked with this handler: uvicorn has done all there is to do
            os._exit(0)
        if server.stopping:
            raise KeyboardInterrupt
        server.stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """A process that is started here ignores Ctrl-C from its first line on."""
    if threading.current_thread() is not threading.main_thread():  # a worker that is started again
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def end_children() -> None:
    """End what is left of the processes, LitServe's manager included."""
    for child in multiprocessing.active_children():
        child.terminate()
    for child in multiprocessing.active_children():
        child.join(GRACE_SECONDS)
        if child.is_alive():
            child.kill()
            child.join()


def set_quietly(event: Any) -> None:
    """Set a manager's event, if the manager is still there."""
    with suppress(OSError, EOFError):
        event.set()


def quiet_logs() -> None:
    """Warnings and worse, one line each."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
