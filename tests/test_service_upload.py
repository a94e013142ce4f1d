"""Models that are uploaded: what is taken in, whole; what is refused; and what is left behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from packed_models import Files, files_of, patient_settings, with_entry, zipped
from service_fakes import client_of, is_error

from genre_lib import api_keys
from genre_lib.service import upload
from genre_lib.service.app import FORM_BYTES
from genre_lib.service.model_schemas import ModelEntry
from genre_lib.settings import Settings


@pytest.fixture
def files(tiny_model: Path) -> Files:
    return files_of(tiny_model)


@pytest.fixture
def settings(tiny_model: Path, tmp_path: Path) -> Settings:
    return patient_settings(tiny_model, tmp_path)


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> TestClient:
    """With a key."""
    key = api_keys.generate()
    keyed = settings.model_copy(update={"api_keys": (api_keys.ApiKey("tester", api_keys.digest(key)),)})
    (tmp_path / "shared").mkdir()
    client = client_of(keyed, tmp_path / "shared")
    client.headers["X-API-Key"] = key
    return client


def post(client: TestClient, content: bytes, filename: str = "mine.zip", **fields: str):
    return client.post("/models/upload", files={"file": (filename, content)}, data=fields)


def left(settings: Settings) -> list[str]:
    return [path.name for path in settings.models_path.iterdir()] if settings.models_path.exists() else []


def test_a_model_is_uploaded_and_there(client: TestClient, settings: Settings, files: Files):
    metrics = b'{"accuracy": {"value": 0.75, "low": 0.7, "high": 0.8}}'
    response = post(client, zipped({f"m/{name}": data for name, data in (files | {"metrics.json": metrics}).items()}))
    assert response.status_code == 201, response.text
    entry = ModelEntry.model_validate(response.json())
    assert (entry.name, entry.active, entry.metrics.accuracy.value) == ("mine", False, 0.75)
    assert client.get(response.headers["Location"]).json() == response.json()
    assert left(settings) == ["mine"]
    assert {path.name: path.read_bytes() for path in (settings.models_path / "mine").iterdir()} == files | {
        "metrics.json": metrics
    }
    assert is_error(post(client, zipped(files)), 409, "model_exists")


def test_of_two_uploads_of_a_name_one_wins(client: TestClient, settings: Settings, files: Files):
    with ThreadPoolExecutor(2) as clients:
        sent = [clients.submit(post, client, zipped(files | {"a.txt": text}), name="twin") for text in (b"1", b"2")]
        statuses = [future.result().status_code for future in sent]
    assert sorted(statuses) == [201, 409]
    assert left(settings) == ["twin"]
    assert (settings.models_path / "twin" / "a.txt").read_bytes() == (b"1" if statuses[0] == 201 else b"2")


def test_a_refused_model_leaves_nothing(client: TestClient, settings: Settings, files: Files):
    for content, says in (
        (with_entry(files, "../evil.json"), "leads out"),
        (zipped(files | {"model.safetensors": b"broken"}), "mine holds weights"),
        (b"", "no zip"),
    ):
        response = post(client, content)
        assert is_error(response, 422, "upload_refused")
        assert says in response.json()["detail"]
        assert str(settings.models_path) not in response.text
    assert left(settings) == []
    assert [model["name"] for model in client.get("/models").json()["models"]] == ["genre_classifier", "tiny"]


@pytest.mark.parametrize(
    ("name", "filename", "status", "code"),
    [
        ("../up", "m.zip", 422, "model_name_invalid"),
        ("", "a b.zip", 422, "model_name_invalid"),
        ("active.json", "m.zip", 422, "model_name_invalid"),
        ("tiny", "m.zip", 409, "model_exists"),
        ("genre_classifier", "m.zip", 409, "model_exists"),
        ("", "x/tiny.zip", 409, "model_exists"),
    ],
)
def test_a_name_is_a_name_and_free(client: TestClient, settings, name: str, filename: str, status: int, code: str):
    assert is_error(post(client, b"x", filename, name=name), status, code)
    assert left(settings) == []


def test_a_form_that_is_wrong(client: TestClient):
    assert is_error(client.post("/models/upload", data={"name": "x"}), 415, "unsupported_media_type")
    assert is_error(client.post("/models/upload", files={"model": b"x"}), 422, "invalid_request")
    assert is_error(post(client, b"x", colour="red"), 422, "invalid_request")
    assert is_error(client.post("/models/upload", files=[("file", b"x"), ("file", b"y")]), 422, "invalid_request")


def test_an_upload_is_bounded_by_its_own_limit(settings: Settings, tmp_path: Path, client: TestClient):
    small = client.app.state.settings.model_copy(update={"max_model_bytes": 1000, "max_audio_bytes": 10})
    other = client_of(small, tmp_path)
    other.headers = client.headers
    assert is_error(post(other, bytes(1000 + FORM_BYTES + 1)), 413, "model_too_large")
    assert is_error(post(other, b"no zip"), 422, "upload_refused")


def test_without_a_key_nothing_is_read(client: TestClient, settings: Settings, tmp_path: Path):
    del client.headers["X-API-Key"]
    assert is_error(post(client, b"x"), 401, "missing_key")
    assert is_error(client.post("/models/upload", content=b"no form at all"), 401, "missing_key")
    closed = client_of(settings, tmp_path)
    assert is_error(post(closed, b"x"), 403, "no_keys_configured")


def test_a_job_keeps_the_name_that_it_will_give(client: TestClient, settings: Settings, monkeypatch):
    monkeypatch.setattr(upload.JobStore, "reserves", lambda self, name: name == "soon")
    assert is_error(post(client, b"x", name="soon"), 409, "model_exists")
