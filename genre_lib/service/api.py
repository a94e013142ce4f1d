"""The worker process, as LitServe knows it: load the model, watch what is promoted, hand batches on."""

import logging
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

from litserve import LitAPI

from genre_lib.errors import GenreLibError
from genre_lib.service.loop import PatientLoop
from genre_lib.service.messages import Answer, PredictRequest
from genre_lib.service.status import WorkerStatus
from genre_lib.settings import Settings

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.5
"""How often the worker looks for a promoted model, and for its parent."""


class GenreAPI(LitAPI):
    """Answers batches of uploads. It is made in the main process and sent to the worker, where ``setup`` begins.

    Args:
        settings: of the whole service.
        folder: where the worker writes its status.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        size, wait = settings.max_batch_size, settings.batch_timeout
        super().__init__(max_batch_size=size, batch_timeout=wait, api_path="/predict", loop=PatientLoop())
        self.settings = settings
        self.folder = folder

    def setup(self, device: str) -> None:
        """Load the model to begin with; one that cannot be loaded ends the worker, and leaves the reason."""
        leave_interrupts_to_the_main_process()
        self.status, self.told = WorkerStatus(pid=os.getpid()), WorkerStatus()
        try:
            self.load()
        except GenreLibError as error:
            self.status.error = str(error)
            self.status.write(self.folder)
            os._exit(1)
        self.tell()
        threading.Thread(target=self.watch, args=(os.getppid(),), name="watch", daemon=True).start()

    def load(self) -> None:
        """Make the batch predictor; only here is torch imported, for the other processes go without it."""
        from genre_lib.audio import Limits
        from genre_lib.inference import Predictor
        from genre_lib.models.folder import resolve_device
        from genre_lib.service.batch import BatchPredictor
        from genre_lib.service.model_cache import ModelCache

        device = resolve_device(self.settings.device)
        self.models = ModelCache(self.settings, lambda folder: Predictor.from_folder(folder, device=device))
        self.models.start()
        limits = Limits(self.settings.max_audio_bytes, self.settings.max_audio_seconds)
        self.predictor = BatchPredictor(self.models, limits, self.status)

    def watch(self, parent: int) -> None:
        """Follow the promoted model and tell how things are; end when the main process is gone."""
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
            try:
                self.models.follow()
                self.tell()
            except Exception:  # a full disk, say: this thread must outlive it
                logger.exception("the worker could not look after itself")
        os._exit(1)

    def tell(self) -> None:
        """Write the status for the HTTP process to read, where it changed."""
        assert self.models.active is not None
        served = self.models.active.model
        self.status.model_name, self.status.model_version = served.name, served.version
        self.status.error = self.models.error
        if self.status != self.told:
            self.status.write(self.folder)
            self.told = replace(self.status)

    def batch(self, inputs: list[PredictRequest]) -> list[PredictRequest]:
        """As they are: waveforms of different lengths make no tensor."""
        return inputs

    def predict(self, x: list[PredictRequest]) -> list[Answer]:
        """An answer for every request, in their order; never raises for one of them."""
        return self.predictor.answers(x)


def leave_interrupts_to_the_main_process() -> None:
    """The terminal sends Ctrl-C to every process; the main one ends the worker after the requests in flight."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("genre_lib").setLevel(logging.INFO)
