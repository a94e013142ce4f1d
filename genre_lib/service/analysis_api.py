"""The analysis process: descriptors of tracks, computed where they hold up no prediction.

It is a second LitAPI and not a pool of the HTTP process, so that what is known to work for the worker works for it too:
it is started again when a hostile file brings it down, the request in it is answered, and it ends with the server.
"""

import logging
import os
import time
from pathlib import Path

from genre_lib.service import metrics, status
from genre_lib.service.api import WorkerAPI
from genre_lib.service.messages import Answer, TrackRequest, refusal
from genre_lib.settings import Settings

logger = logging.getLogger(__name__)

NICENESS = 10
"""Predictions go first where there are fewer cores than work."""

WARM_UP_SAMPLES = 22050
"""A second."""

CACHE = "descriptors"
"""What the metrics call the cache."""


class AnalysisAPI(WorkerAPI):
    """Answers what descriptors tracks have, one after the other."""

    title = "the analysis process"
    name = "analyze"
    status_file = status.ANALYSIS_FILE

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(settings, folder, max_batch_size=1, batch_timeout=0, api_path="/analyze/features")
        self.busy_since: float | None = None

    def load(self) -> None:
        """Import what the analysis takes, and run it once: the first request finds all of it compiled."""
        import numpy as np

        from genre_lib.described_files import cached_file
        from genre_lib.descriptors import analyze

        os.nice(NICENESS)
        analyze(np.zeros(WARM_UP_SAMPLES, np.float32), WARM_UP_SAMPLES)
        self.describe = cached_file

    def look_after(self) -> None:
        """End this process where it is at work for longer than anyone waits: nothing else stops a hostile file."""
        since = self.busy_since
        if since is not None and time.monotonic() - since > self.settings.request_timeout:
            logger.error("an analysis took longer than %g seconds and is ended", self.settings.request_timeout)
            os._exit(1)

    def answers(self, requests: list[TrackRequest]) -> list[Answer]:
        """The descriptors of each track, or why there are none."""
        return [self.answer(request) for request in requests]

    def answer(self, request: TrackRequest) -> Answer:
        """The descriptors of one track, or why there are none."""
        self.busy_since = time.monotonic()
        try:
            found = self.describe(request.path, self.settings, on_looked=count)
            warning = found.warning(request.filename)
            return Answer(200, found.to_json() | ({"warning": warning} if warning else {}))
        except Exception as error:
            return refusal(error, request)
        finally:
            self.busy_since = None
            self.status.count(1)


def count(was_remembered: bool) -> None:
    """Say whether the cache served."""
    (metrics.cache_hit if was_remembered else metrics.cache_miss)(CACHE)
