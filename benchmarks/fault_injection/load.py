"""Clients that post to the service all the time."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence

import httpx
from uploads import BROKEN, BROKEN_EVERY, Upload

from fault_injection.outcomes import ANALYZE, BATCH, PREDICT, REFUSED, SILENT, Outcome
from fault_injection.server import Service

RETRY_SECONDS = 0.5

SLACK_SECONDS = 1.0
"""Between the service's clock, which starts when a request has come in, and the client's."""

GIVE_UP_SECONDS = 15.0
"""So long after the deadline a client waits no more."""

ANALYSING = 2

BATCH_FILES = 4


class Load:
    """Clients that post one file after the other, each as soon as the one before is answered.

    Args:
        server: that is posted to.
        uploads: made different by a number each, so that no cache answers.
        numbers: of these.
        clients: that predict.
        deadline: of the service.
        bad: whether one in ten is broken, and a client posts batches with one broken file each.
    """

    def __init__(
        self,
        server: Service,
        uploads: Sequence[Upload],
        numbers: itertools.count,
        clients: int,
        deadline: float,
        bad: bool = False,
    ) -> None:
        self.server, self.uploads, self.numbers, self.bad = server, uploads, numbers, bad
        self.patience = deadline + GIVE_UP_SECONDS
        self.outcomes: list[Outcome] = []
        self.stopped = threading.Event()
        routes = [PREDICT] * clients + [ANALYZE] * ANALYSING + [BATCH] * bad
        self.threads = [threading.Thread(target=self.post_on, args=(route,), daemon=True) for route in routes]
        for thread in self.threads:
            thread.start()

    def stop(self) -> list[Outcome]:
        """Post no more; what is under way is waited for, and counts."""
        self.stopped.set()
        for thread in self.threads:
            thread.join(self.patience + SLACK_SECONDS)
        return self.outcomes

    def post_on(self, route: str) -> None:
        with httpx.Client(base_url=self.server.http.base_url, timeout=self.patience, trust_env=False) as http:
            while not self.stopped.is_set():
                outcome = self.post(http, route)
                self.outcomes.append(outcome)
                if outcome.status == REFUSED:
                    self.stopped.wait(RETRY_SECONDS)

    def post(self, http: httpx.Client, route: str) -> Outcome:
        number = next(self.numbers)
        broken = self.bad and (route == BATCH or number % BROKEN_EVERY == 0)
        files = self.files(number, route, broken)
        begun = time.monotonic()
        try:
            answer = http.post(route, files=files)
        except httpx.TimeoutException as error:
            return Outcome(route, broken, SILENT, begun, time.monotonic() - begun, type(error).__name__)
        except httpx.TransportError as error:
            return Outcome(route, broken, REFUSED, begun, time.monotonic() - begun, repr(error))
        seconds = time.monotonic() - begun
        if route == BATCH and answer.status_code == 200:
            statuses = [item["status"] for item in answer.json()["results"]]
            as_expected = statuses[1:] == [200] * (BATCH_FILES - 1) and 400 <= statuses[0] < 500
            return Outcome(route, broken, "200" if as_expected else "mixed up", begun, seconds, str(statuses))
        return Outcome(route, broken, str(answer.status_code), begun, seconds, answer.text[:200])

    def files(self, number: int, route: str, broken: bool) -> list[tuple[str, tuple[str, bytes]]]:
        """A form; the broken file is the first of its batch."""
        bad = BROKEN[number // BROKEN_EVERY % len(BROKEN)]
        if route != BATCH:
            upload = self.uploads[number % len(self.uploads)]
            return [("file", (upload.name, bad if broken else upload.numbered(number)))]
        good = [self.uploads[(number + i) % len(self.uploads)] for i in range(1, BATCH_FILES)]
        contents = [bad, *(upload.numbered(next(self.numbers)) for upload in good)]
        return [("files", (f"{i}.mp3", content)) for i, content in enumerate(contents)]
