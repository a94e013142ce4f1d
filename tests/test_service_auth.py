"""Keys: who is let in, and that no key is told to anyone."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient

from genre_lib import api_keys
from genre_lib.service import app, auth, errors
from genre_lib.service.status import WorkerStatus
from genre_lib.settings import get_settings

REPOSITORY = Path(__file__).resolve().parents[1]
ANN, BOB = api_keys.generate(), api_keys.generate()
KEYS = f"ann:{api_keys.digest(ANN)},bob:{api_keys.digest(BOB)}"


def client(keys: str = KEYS, read_requires_key: bool = False) -> TestClient:
    """Of two routes that answer with the name of the key: POST is for keys, GET for reading."""
    app = FastAPI()
    app.state.settings = get_settings(api_keys=keys, read_requires_key=read_requires_key)

    @app.post("/change", dependencies=[Depends(auth.require_key)])
    def change(request: Request) -> str | None:
        return request.state.key_name

    @app.get("/read", dependencies=[Depends(auth.may_read)])
    def read(request: Request) -> str | None:
        return request.state.key_name

    errors.install(app)
    return TestClient(app)


def told(response: httpx.Response) -> tuple[int, str]:
    assert set(response.json()) == {"detail", "code"}
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"X-API-Key": ANN}, "ann"),
        ({"x-api-key": f" {BOB} "}, "bob"),
        ({"Authorization": f"Bearer {ANN}"}, "ann"),
        ({"Authorization": f"bearer   {BOB}"}, "bob"),
        ({"X-API-Key": ANN, "Authorization": f"Bearer {BOB}"}, "ann"),
        ({"X-API-Key": "", "Authorization": f"Bearer {BOB}"}, "bob"),
    ],
)
def test_a_key_opens_by_either_header(headers: dict[str, str], name: str):
    response = client().post("/change", headers=headers)
    assert (response.status_code, response.json()) == (200, name)


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": " "}, {"Authorization": ANN}, {"Authorization": f"Basic {ANN}"}, {"Cookie": ANN}]
)
def test_without_a_key_401(headers: dict[str, str]):
    response = client().post("/change", headers=headers)
    assert told(response) == (401, "missing_key")
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "key",
    [ANN[:-1], ANN + "x", ANN.swapcase(), api_keys.digest(ANN), "ann", KEYS, "\u00e9" * 9],
    ids=["cut off", "too long", "other case", "its hash", "its name", "several", "no ASCII"],  # the key is a new one
)
def test_a_wrong_key_is_401_and_not_repeated(key: str):
    for headers in ({"X-API-Key": key.encode()}, {"Authorization": f"Bearer {key}".encode()}):
        response = client().post("/change", headers=headers)
        assert told(response) == (401, "invalid_key")
        assert response.headers["WWW-Authenticate"].startswith("Bearer ")
        assert key not in response.json()["detail"] or key == "ann"


def test_a_key_in_the_query_opens_nothing():
    for query in (f"api_key={ANN}", f"X-API-Key={ANN}", f"access_token={ANN}"):
        assert told(client().post(f"/change?{query}")) == (401, "missing_key")


def test_where_no_key_is_configured_nobody_may_change_anything():
    for headers in ({}, {"X-API-Key": ANN}):
        response = client(keys="").post("/change", headers=headers)
        assert told(response) == (403, "no_keys_configured")
        assert "genre keys create" in response.json()["detail"]


def test_reading_is_open_unless_it_needs_a_key():
    assert client().get("/read").json() is None
    assert client().get("/read", headers={"X-API-Key": ANN}).json() == "ann"
    assert client().get("/read", headers={"X-API-Key": "wrong"}).json() is None
    assert client(keys="").get("/read").status_code == 200
    closed = client(read_requires_key=True)
    assert closed.get("/read", headers={"X-API-Key": BOB}).json() == "bob"
    assert told(closed.get("/read")) == (401, "missing_key")
    assert told(closed.get("/read", headers={"X-API-Key": "wrong"})) == (401, "invalid_key")
    assert told(client(keys="", read_requires_key=True).get("/read")) == (403, "no_keys_configured")


def document_of(asking: TestClient) -> dict[str, Any]:
    document = asking.get("/openapi.json").json()
    auth.tell_what_is_open(document, asking.app.state.settings)
    return document


def test_the_openapi_document_declares_both_ways():
    document = document_of(client())
    schemes = document["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in schemes.values()} == {"apiKey", "http"}
    assert (schemes["X-API-Key"]["in"], schemes["X-API-Key"]["name"]) == ("header", "X-API-Key")
    either = [{"X-API-Key": []}, {"bearer": []}]
    assert document["paths"]["/change"]["post"]["security"] == either
    assert document["paths"]["/read"]["get"]["security"] == [*either, {}]  # or none at all
    assert document_of(client(read_requires_key=True))["paths"]["/read"]["get"]["security"] == either
    assert "parameters" not in document["paths"]["/change"]["post"]


def test_every_key_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch):
    compared = []
    real = api_keys.hmac.compare_digest
    monkeypatch.setattr(api_keys.hmac, "compare_digest", lambda a, b: compared.append(a) or real(a, b))
    known = get_settings(api_keys=KEYS).api_keys
    for key in (ANN, BOB, "neither"):
        api_keys.owner(key, known)
    assert len(compared) == 6


# --- a whole server ---------------------------------------------------------------------------------------------------


class Server:
    """A server in processes of its own, and all it wrote."""

    def __init__(self, folder: Path, model: Path, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.output = folder, folder / "output"
        own = {"MODEL_PATH": str(model), "MODELS_PATH": str(folder / "models"), "TMPDIR": str(folder)}
        command = [sys.executable, REPOSITORY / "serve.py", "--port", str(self.port)]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, env=os.environ | own | environment, stdout=output, stderr=output
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        for _ in range(1200):
            assert self.process.poll() is None, self.output.read_text()
            try:
                if httpx.get(f"{self.url}/health", verify=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise AssertionError(self.output.read_text())

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(
        tmp_path_factory.mktemp("serve"),
        tiny_model,
        API_KEYS=KEYS,
        READ_REQUIRES_KEY="true",
        RATE_LIMIT_FAILED_KEYS="5/hour",
        RATE_LIMIT_STORE="memory://",
    )
    try:
        running.wait()
        yield running
    finally:
        running.stop()


def test_no_key_is_in_what_the_server_answers_or_writes(server: Server):
    wrong = "genre_" + "wrong" * 8
    answers = []
    with httpx.Client(base_url=server.url) as asking:
        for key in (ANN, wrong):
            for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
                for method, path in (("GET", "/models"), ("GET", "/nowhere"), ("POST", "/predict"), ("GET", "/health")):
                    answers.append(asking.request(method, path, headers=headers))
            answers.append(asking.get("/models", params={"api_key": key}))
            assert answers[-1].status_code == 401
    assert {answer.status_code for answer in answers} >= {200, 401, 404, 429}
    server.stop()
    written = server.output.read_text() + "".join(f"{answer.headers} {answer.text}" for answer in answers)
    secrets = (ANN, BOB, wrong, api_keys.digest(ANN), api_keys.digest(wrong))
    assert not [secret for secret in secrets if secret in written]
    assert "warning: HOST" not in written


def test_settings_and_keys_are_logged_without_their_hashes(caplog: pytest.LogCaptureFixture):
    settings = get_settings(api_keys=KEYS, rate_limit_store="redis://:hunter2@localhost/0")
    logging.getLogger("genre_lib").warning("%r %s %r", settings, settings.api_keys, settings.rate_limit_store)
    assert api_keys.digest(ANN) not in caplog.text
    assert "hunter2" not in caplog.text + settings.model_dump_json()


def test_malformed_keys_end_the_start_in_one_line(tmp_path: Path, tiny_model: Path):
    started = Server(tmp_path, tiny_model, API_KEYS=f"ann={ANN}")
    assert started.process.wait(60) == 2
    said = started.output.read_text()
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert ANN not in said


@pytest.mark.parametrize(
    ("host", "keys", "is_open"),
    [
        ("127.0.0.1", "", False),
        ("localhost", "", False),
        ("0.0.0.0", "", True),
        ("::", "", True),
        ("0.0.0.0", KEYS, False),
    ],
)
def test_opened_wide_without_keys_it_says_so(host: str, keys: str, is_open: bool, tmp_path: Path, tiny_model: Path):
    said: list[str] = []
    settings = get_settings(host=host, api_keys=keys, model_path=tiny_model, models_path=tmp_path)

    def start_at_once(server: app.GenreServer, host: str, port: int) -> None:
        server.on_started(WorkerStatus(model_name="tiny"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "run", start_at_once)  # all but the processes
        app.serve(settings, said.append)
    assert [line.startswith("warning: HOST lets other machines in") for line in said] == [False, *[True] * is_open]
