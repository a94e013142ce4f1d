"""Stand-ins for the worker processes, and a client of the app around them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
from fastapi.testclient import TestClient

from genre_lib.service.app import create_server
from genre_lib.service.messages import Answer, TrackRequest
from genre_lib.service.schemas import ErrorBody
from genre_lib.service.status import WorkerStatus
from genre_lib.settings import Settings

REFUSED = Answer(415, {"detail": "No.", "code": "not_audio"}, {"X-Batch-Size": "1"})


class FakeWorker:
    """Answers in a worker's place, and remembers what it was asked and what lay there then."""

    def __init__(self, folder: Path, answer: Callable[[TrackRequest], Answer] = lambda asked: REFUSED) -> None:
        self.folder = folder
        self.answer = answer
        self.status = WorkerStatus(model_name="tiny", model_version="0123456789ab", passes=2, tracks=7, starts=3)
        self.requests: list[TrackRequest] = []
        self.contents: list[bytes] = []
        self.asked: dict[str, TrackRequest] = {}
        self.is_ready = True

    def ready(self) -> bool:
        return self.is_ready

    def pending(self, started: bool) -> list[str]:
        return []

    async def ask(self, request: TrackRequest) -> Answer:
        self.requests.append(request)
        self.contents.append(Path(request.path).read_bytes())
        return self.answer(request)


def client_of(settings: Settings, folder: Path) -> TestClient:
    """The app, with a fake worker and a fake analysis process that share the folder."""
    app = create_server(settings, folder).app
    app.state.worker, app.state.analysis = FakeWorker(folder), FakeWorker(folder)
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


def is_error(response: httpx.Response, status: int, code: str) -> bool:
    """Whether it is this error, in the shape of all errors."""
    same = (response.status_code, ErrorBody.model_validate(response.json()).code) == (status, code)
    return same and set(response.json()) == {"detail", "code"}
