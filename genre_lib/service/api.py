"""The worker processes, as LitServe knows them: what all have in common, and the one that predicts."""

import logging
import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from litserve import LitAPI

from genre_lib.errors import GenreLibError
from genre_lib.memory import give_back, keep_freed
from genre_lib.service import status
from genre_lib.service.loop import PatientLoop, ReadAheadLoop
from genre_lib.service.messages import Answer, PredictRequest
from genre_lib.service.status import WorkerStatus
from genre_lib.settings import Settings

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.5
"""How often a worker looks after itself, and for its parent."""

NOT_LOADED = 3
"""How a worker exits that could not load what it needs, and left the reason in its status."""

TRIM_SECONDS = 10.0
"""How often one that has work gives memory back."""


class WorkerAPI(LitAPI):
    """A process that answers requests in batches. It is made in the main process and sent there, to :meth:`setup`.

    Args:
        settings: of the whole service.
        folder: where the worker writes its status.
        options: LitServe's.
    """

    title = "a worker"
    name = "worker"
    """What the metrics call it."""
    status_file = status.FILE

    def __init__(self, settings: Settings, folder: Path, **options: Any) -> None:
        super().__init__(**{"loop": PatientLoop()} | options)
        self.settings = settings
        self.folder = folder
        self.worked = False

    def setup(self, device: str) -> None:
        """Load what the answers need; where that cannot be, end the worker and leave the reason."""
        leave_interrupts_to_the_main_process()
        keep_freed()
        self.status, self.told = WorkerStatus.begun(self.folder, self.status_file), WorkerStatus()
        self.status.write(self.folder, self.status_file)
        try:
            self.load()
        except GenreLibError as error:
            self.status.error = str(error)
            self.status.write(self.folder, self.status_file)
            os._exit(NOT_LOADED)
        self.tell()
        threading.Thread(target=self.watch, args=(os.getppid(),), name="watch", daemon=True).start()

    def load(self) -> None:
        """Import and make what :meth:`predict` needs: the other processes go without it."""
        raise NotImplementedError

    def look_after(self) -> None:
        """What is to be done every :data:`WATCH_SECONDS`."""

    def watch(self, parent: int) -> None:
        """Look after things; end when the main process is gone."""
        trimmed = time.monotonic()
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
            try:
                self.look_after()
                self.tell()
            except Exception:  # a full disk, say: this thread must outlive it
                logger.exception("%s could not look after itself", self.title)
            if self.worked and time.monotonic() - trimmed > TRIM_SECONDS:
                self.worked, trimmed = False, time.monotonic()
                give_back()
        shutil.rmtree(self.folder, ignore_errors=True)  # as the HTTP process does: what we wrote was in its way
        os._exit(1)

    def tell(self) -> None:
        """Write the status for the HTTP process to read, where it changed."""
        if self.status != self.told:
            self.status.write(self.folder, self.status_file)
            self.told = replace(self.status)

    def predict(self, x: list[Any]) -> list[Answer]:
        """An answer for every request, in their order; never raises for one of them."""
        self.worked = True
        return self.answers(x)

    def answers(self, requests: list[Any]) -> list[Answer]:
        """What :meth:`predict` answers."""
        raise NotImplementedError

    def batch(self, inputs: list[Any]) -> list[Any]:
        """As they are: tracks of different lengths make no tensor."""
        return inputs


class GenreAPI(WorkerAPI):
    """Answers what genres tracks have."""

    title = "the worker"
    name = "predict"

    def __init__(self, settings: Settings, folder: Path) -> None:
        size, wait = settings.max_batch_size, settings.batch_timeout
        loop = ReadAheadLoop()
        super().__init__(settings, folder, loop=loop, max_batch_size=size, batch_timeout=wait, api_path="/predict")

    def load(self) -> None:
        """Make the batch predictor, with torch."""
        from genre_lib.audio import Limits
        from genre_lib.imports import uncollected

        with uncollected("torch"):
            from genre_lib.service.batch import BatchPredictor
            from genre_lib.service.loading import Loader
            from genre_lib.service.model_cache import ModelCache
            from genre_lib.service.prediction_cache import PredictionCache

        self.models = ModelCache(self.settings, Loader(self.settings))
        if self.status.starts == 1:
            self.models.start()  # a server does not begin without its model
        else:
            self.models.follow()  # the other models are wanted even where the active one was damaged meanwhile
        limits = Limits(self.settings.max_audio_bytes, self.settings.max_audio_seconds)
        cache = PredictionCache(self.settings.prediction_cache_bytes)
        self.predictor = BatchPredictor(self.models, limits, self.status, cache)

    def look_after(self) -> None:
        """Follow the promoted model."""
        self.models.follow()

    def tell(self) -> None:
        """Tell which model is served, too, if one is."""
        if predictor := self.models.active:
            self.status.model_name, self.status.model_version = predictor.model.name, predictor.model.version
            self.status.engine, self.status.engine_fault = predictor.engine.name, predictor.engine_fault
        self.status.error = self.models.error
        super().tell()

    def ahead(self, request: PredictRequest) -> None:
        """Begin to decode a track that waits for the network."""
        self.predictor.ahead(request)

    def answers(self, requests: list[PredictRequest]) -> list[Answer]:
        """What genres each track has, or why that cannot be said."""
        return self.predictor.answers(requests)


def leave_interrupts_to_the_main_process() -> None:
    """The terminal sends Ctrl-C to every process; the main one ends the worker after the requests in flight."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("genre_lib").setLevel(logging.INFO)
