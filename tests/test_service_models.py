"""Models over HTTP: which there are, how good they are, which one answers, and which are deleted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from packed_models import patient_settings
from service_fakes import client_of, is_error

from genre_lib import api_keys, registry
from genre_lib.service import activate, models
from genre_lib.service.model_schemas import Activation, ModelEntry, ModelList, ModelMetrics
from genre_lib.settings import REPOSITORY, Settings, get_settings

STARTER = REPOSITORY / "pretrained" / "genre_classifier"


@pytest.fixture
def settings(tiny_model: Path, tmp_path: Path) -> Settings:
    return patient_settings(tiny_model, tmp_path)


@pytest.fixture
def client(settings: Settings, tmp_path: Path, tiny_model: Path) -> TestClient:
    """With a key, and a model beside the starter."""
    key = api_keys.generate()
    keyed = settings.model_copy(update={"api_keys": (api_keys.ApiKey("tester", api_keys.digest(key)),)})
    registry.publish(tiny_model, "other", settings)
    (tmp_path / "shared").mkdir()
    client = client_of(keyed, tmp_path / "shared")
    client.headers["X-API-Key"] = key
    return client


def worker_of(client: TestClient):
    return client.app.state.worker


# --- looking ----------------------------------------------------------------------------------------------------------


def test_models(client: TestClient, tiny_model: Path):
    found = ModelList.model_validate(client.get("/models").json()).models
    assert [(model.name, model.active, model.metrics) for model in found[1:]] == [
        ("other", False, None),
        ("tiny", True, None),
    ]
    assert found[0].name == "genre_classifier" and not found[0].active
    assert str(tiny_model) not in client.get("/models").text
    assert client.get("/models/other").json() == found[1].model_dump()
    assert is_error(client.get("/models/absent"), 404, "model_not_found")


def test_the_starters_numbers_are_those_of_its_file(tmp_path: Path):
    client = client_of(get_settings(model_path=STARTER, models_path=tmp_path / "models"), tmp_path)
    content = json.loads((STARTER / "metrics.json").read_text())
    entry = ModelEntry.model_validate(client.get("/models/genre_classifier").json())
    assert entry.metrics.accuracy.model_dump() == content["accuracy"]
    assert entry.metrics.macro_f1.model_dump() == content["macro_f1"]
    assert entry.metrics.calibration_error == content["calibration"]["ece_after"]
    assert (entry.metrics.split, entry.metrics.tracks) == (content["split"], content["tracks"])
    assert entry.metrics.compared_with == "musicnn"
    metrics = client.get("/models/genre_classifier/metrics").json()
    told = {name: value for name, value in metrics.items() if name in content}
    # it is older than that these are written down
    content["calibration"] |= dict.fromkeys(("fitted_on", "ece_by_chance", "nll_before", "nll_after"))
    assert told == {name: content[name] for name in told}
    assert {"per_genre", "confusion", "calibration", "per_source", "comparison", "data"} <= told.keys()


COMPARED = {
    "accuracy": {"value": 0.5, "low": 0.25, "high": 0.75},
    "calibration": {"temperature": 1.5, "ece_before": 0.2, "ece_after": float("nan")},
    "comparison": {
        "model": "base",
        "tracks": 4,
        "accuracy": {"value": 0.25, "low": 0.0, "high": 0.5},
        "difference": {"value": 0.25, "low": 0.0, "high": 0.5},
        "better": 1,
        "worse": 0,
        "mcnemar_p": 1.0,
    },
}


def test_a_comparison_is_told_and_what_is_no_number_is_null(client: TestClient, settings: Settings):
    (settings.models_path / "other" / "metrics.json").write_text(json.dumps(COMPARED))
    metrics = ModelMetrics.model_validate(client.get("/models/other/metrics").json())
    assert metrics.comparison.difference.value == 0.25
    assert (metrics.comparison.model, metrics.comparison.better) == ("base", 1)
    assert metrics.calibration.ece_after is None
    assert client.get("/models/other").json()["metrics"]["compared_with"] == "base"


def test_what_an_evaluation_writes_is_read(settings, client: TestClient, synthetic_catalogue: Path):
    from genre_lib.data import opening
    from genre_lib.evaluation import evaluate, write

    folder = settings.models_path / "other"
    found = evaluate(folder, opening.open_catalogue(synthetic_catalogue), split="all", compare_to=settings.model_path)
    write(found, folder)
    metrics = client.get("/models/other/metrics").json()
    assert metrics["accuracy"] == found.metrics["accuracy"]
    assert metrics["comparison"]["model"] == "tiny"
    assert (metrics["comparison"]["better"], metrics["comparison"]["worse"]) == (0, 0)  # the same weights
    assert sum(map(sum, metrics["confusion"]["matrix"])) == found.metrics["tracks"]


def test_a_model_that_was_never_evaluated(client: TestClient, settings: Settings):
    response = client.get("/models/other/metrics")
    assert is_error(response, 404, "no_metrics")
    assert "`genre evaluate --model other`" in response.json()["detail"]
    assert is_error(client.get("/models/absent/metrics"), 404, "model_not_found")
    for content in ("{", "[" * 100_000, "[]", "{}", '{"accuracy": "good"}', '{"accuracy": {"value": 1e999}}'):
        (settings.models_path / "other" / "metrics.json").write_text(content)
        assert is_error(client.get("/models/other/metrics"), 404, "no_metrics")
        assert client.get("/models").status_code == 200


@pytest.mark.parametrize("name", ["%2e%2e", "..%2Ftiny", "%00", "a%0Ab", "x" * 5000])
def test_a_name_is_never_a_path(client: TestClient, name: str):
    for response in (client.get(f"/models/{name}/metrics"), client.delete(f"/models/{name}")):
        assert response.status_code in (404, 405)


# --- changing ---------------------------------------------------------------------------------------------------------


def test_changes_need_a_key(client: TestClient, settings: Settings):
    del client.headers["X-API-Key"]
    assert is_error(client.post("/models/other/activate"), 401, "missing_key")
    assert is_error(client.delete("/models/other"), 401, "missing_key")
    client.app.state.settings = settings
    assert is_error(client.delete("/models/other"), 403, "no_keys_configured")
    assert client.get("/models").status_code == 200
    client.app.state.settings = settings.model_copy(update={"read_requires_key": True})
    for path in ("/models", "/models/other", "/models/other/metrics"):
        assert client.get(path).status_code == 403


def test_deleting(client: TestClient, settings: Settings, tiny_model: Path):
    assert is_error(client.delete("/models/absent"), 404, "model_not_found")
    assert is_error(client.delete("/models/tiny"), 409, "model_in_use")
    registry.set_active("other", settings)
    assert is_error(client.delete("/models/other"), 409, "model_in_use")
    registry.set_active("tiny", settings)
    response = client.delete("/models/other")
    assert (response.status_code, response.content) == (204, b"")
    assert is_error(client.delete("/models/other"), 404, "model_not_found")
    assert [path.name for path in settings.models_path.iterdir()] == ["active.json"]
    assert tiny_model.is_dir()


def test_a_model_that_a_job_starts_from_stays(client: TestClient, settings: Settings, monkeypatch):
    monkeypatch.setattr(models.JobStore, "uses", lambda self, name: name == "other")
    response = client.delete("/models/other")
    assert is_error(response, 409, "model_in_use")
    assert "job" in response.json()["detail"]
    assert (settings.models_path / "other").is_dir()


def test_an_unreadable_model_may_be_deleted(client: TestClient, settings: Settings):
    (settings.models_path / "other" / "config.json").write_text("{")
    assert client.get("/models/other").json()["kind"] == "unreadable"
    assert client.delete("/models/other").status_code == 204


def test_activating(client: TestClient, settings: Settings):
    worker_of(client).status.model_name = "other"
    response = client.post("/models/other/activate")
    assert response.status_code == 200
    assert Activation.model_validate(response.json()).serving
    assert registry.active(settings).name == "other"
    written = (settings.models_path / "active.json").read_bytes()
    assert client.post("/models/other/activate").json() == response.json()
    assert (settings.models_path / "active.json").read_bytes() == written  # twice is once
    worker_of(client).status.model_name = "tiny"
    assert client.post("/models/tiny/activate").status_code == 200  # back to the starter
    assert registry.active(settings).name == "tiny"


def test_an_activation_that_the_worker_takes_its_time_for(client: TestClient, settings: Settings, monkeypatch):
    monkeypatch.setattr(activate, "SERVED_SECONDS", 0.2)
    monkeypatch.setattr(activate, "refusal", lambda *given: None)
    response = client.post("/models/other/activate")
    assert response.status_code == 202
    assert not Activation.model_validate(response.json()).serving
    assert registry.active(settings).name == "other"


def test_a_model_that_the_worker_cannot_serve_is_not_left_active(client: TestClient, settings: Settings, monkeypatch):
    monkeypatch.setattr(activate, "refusal", lambda *given: None)
    worker_of(client).status.error = "other cannot be served: no memory. The model before goes on."
    assert is_error(client.post("/models/other/activate"), 422, "model_invalid")
    assert registry.active(settings).name == "tiny"


def test_a_broken_model_is_not_activated(client: TestClient, settings: Settings):
    shutil.copy(settings.models_path / "other" / "config.json", settings.models_path / "other" / "model.safetensors")
    response = client.post("/models/other/activate")
    assert is_error(response, 422, "model_invalid")
    assert response.json()["detail"].endswith("tiny goes on.")
    assert str(settings.models_path) not in response.text
    assert registry.active(settings).name == "tiny"
    assert is_error(client.post("/models/absent/activate"), 404, "model_not_found")


# --- a pretrained network without genres ------------------------------------------------------------------------------


def test_an_encoder_is_listed_as_one_and_not_activated(client: TestClient, settings: Settings, tmp_path: Path):
    from genre_lib.models import untrained

    folder = registry.publish(untrained.make("hubert", "tiny", tmp_path / "made"), "hubert", settings)
    assert ModelEntry.model_validate(client.get("/models/hubert").json()).source is None
    (folder / "source.json").write_text(json.dumps({"repo": "ann/hubert", "commit": "c0ffee", "licence": "mit"}))
    entry = ModelEntry.model_validate(client.get("/models/hubert").json())
    assert (entry.kind, entry.genres) == ("encoder", [])
    assert (entry.source.repo, entry.source.commit, entry.source.licence) == ("ann/hubert", "c0ffee", "mit")
    response = client.post("/models/hubert/activate")
    assert is_error(response, 422, "model_invalid")
    assert response.json()["detail"].startswith(
        "hubert is an encoder without genres; fine-tune it first: genre finetune"
    )
    assert str(settings.models_path) not in response.text
    assert registry.active(settings).name == "tiny"
