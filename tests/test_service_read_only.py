"""A folder of models that cannot be written to: every change over HTTP says so, does nothing, and trains nothing."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from packed_models import files_of, patient_settings, zipped
from service_fakes import client_of, is_error

from genre_lib import api_keys, registry
from genre_lib.errors import ReadOnly
from genre_lib.models_path import changed, require_writable
from genre_lib.settings import Settings

Freeze = Callable[[], None]

CHANGES = {
    "activate": ("POST", "/models/other/activate", {}),
    "delete": ("DELETE", "/models/other", {}),
    "start": ("POST", "/finetune/start", {"json": {"catalogue": "synthetic"}}),
    "resume": ("POST", "/finetune/resume/any", {}),
}


@pytest.fixture
def settings(tiny_model: Path, tmp_path: Path) -> Settings:
    settings = patient_settings(tiny_model, tmp_path)
    registry.publish(tiny_model, "other", settings)
    return settings


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> TestClient:
    key = api_keys.generate()
    keyed = settings.model_copy(update={"api_keys": (api_keys.ApiKey("tester", api_keys.digest(key)),)})
    (tmp_path / "shared").mkdir()
    client = client_of(keyed, tmp_path / "shared")
    client.headers["X-API-Key"] = key
    return client


@pytest.fixture(params=["mounted", "refused"])
def freeze(request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Freeze]:
    """Makes the folder of models one that is mounted read-only, or in which nothing may be made."""
    place = settings.models_path
    if request.param == "refused":
        yield lambda: refuse(monkeypatch, place, errno.EACCES, "mkdir")
        return
    if os.getuid() != 0 or not mounted("--bind", str(place), str(place)):
        pytest.skip("only root may mount a folder read-only")
    try:
        if not mounted("-o", "remount,bind,ro", str(place)):
            pytest.skip("no folder can be mounted read-only here")
        yield lambda: None
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def mounted(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


def refuse(monkeypatch: pytest.MonkeyPatch, place: Path, number: int, *names: str) -> None:
    """Have these calls of the operating system fail below a folder, as they do for users who are not root."""
    for name in names:
        real = getattr(os, name)

        def call(path, *arguments, real=real, **options):
            if Path(path).is_relative_to(place):
                raise OSError(number, os.strerror(number), str(path))
            return real(path, *arguments, **options)

        monkeypatch.setattr(os, name, call)


def upload(client: TestClient, model: Path):
    return client.post("/models/upload", files={"file": ("mine.zip", zipped(files_of(model)))})


def held(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.models_path.iterdir())


def is_read_only(response, settings: Settings) -> bool:
    detail = response.json()["detail"]
    return is_error(response, 507, "read_only") and "MODELS_PATH" in detail and str(settings.models_path) not in detail


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_says_that_nothing_can_be_written(client: TestClient, settings: Settings, freeze: Freeze, change: str):
    freeze()
    method, path, body = CHANGES[change]
    assert is_read_only(client.request(method, path, **body), settings)
    assert held(settings) == ["other"] and not list(settings.runs_path.glob("*/"))
    assert client.get("/models/other").status_code == 200


def test_an_upload_is_refused_before_it_is_tried(client, settings, tiny_model, freeze: Freeze, monkeypatch):
    monkeypatch.setattr("genre_lib.service.upload.refusal", lambda *_: pytest.fail("it was tried"))
    freeze()
    assert is_read_only(upload(client, tiny_model), settings)
    assert held(settings) == ["other"]


@pytest.mark.parametrize("change", ["activate", "delete"])
def test_a_folder_that_is_frozen_meanwhile(client: TestClient, settings: Settings, monkeypatch, change: str):
    refuse(monkeypatch, settings.models_path, errno.EROFS, "replace", "rename")
    method, path, _ = CHANGES[change]
    assert is_read_only(client.request(method, path), settings)
    assert held(settings) == ["other"]


def test_an_upload_into_a_folder_that_is_frozen_meanwhile(client, settings, tiny_model, monkeypatch):
    refuse(monkeypatch, settings.models_path, errno.EROFS, "replace", "rename")
    assert is_read_only(upload(client, tiny_model), settings)
    assert held(settings) == ["other"]


def test_other_errors_stay_what_they_are(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(OSError, match="room") as caught, changed():
        raise OSError(errno.ENOSPC, "no room")
    assert caught.value.errno == errno.ENOSPC
    require_writable(settings)
    assert held(settings) == ["other"]
    refuse(monkeypatch, settings.models_path, errno.EPERM, "mkdir")
    with pytest.raises(ReadOnly, match="operation not permitted"):
        require_writable(settings)
