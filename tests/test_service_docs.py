"""The pages work without the internet, and the OpenAPI document says what is true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from service_fakes import client_of

from genre_lib import __version__
from genre_lib.service import manual
from genre_lib.service.events import message
from genre_lib.service.manual import ERROR_EXAMPLES, TAGS, codes
from genre_lib.service.schemas import ErrorBody
from genre_lib.settings import get_settings

OURS = {"/predict", "/predict/batch", "/predict/spotify", "/analyze/features", "/health"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    folder = tmp_path_factory.mktemp("docs")
    return client_of(get_settings(models_path=folder / "models", port=8123, max_batch_items=7), folder)


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    return client.get("/openapi.json").json()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, by_method in document["paths"].items():
        yield from ((f"{method} {path}", operation) for method, operation in by_method.items())


# --- pages ------------------------------------------------------------------------------------------------------------


def test_the_page_asks_nobody_but_us(client: TestClient):
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert not re.findall(r"(?:https?:)?//[a-z]", page.text)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert 'validatorUrl": null' in page.text


def test_all_that_the_page_loads_is_there(client: TestClient):
    loaded = re.findall(r'(?:src|href)="([^"]+)"', client.get("/docs").text.split("<noscript>")[0])
    assert len(loaded) == 3
    for address in loaded:
        response = client.get(address)
        assert response.status_code == 200
        assert len(response.content) > 1000


def test_without_scripts_every_route_is_listed(client: TestClient, document: dict[str, Any]):
    plain = unescape(re.search(r"<noscript>(.*)</noscript>", client.get("/docs").text, re.DOTALL)[1])
    told = re.findall(r"<code>([A-Z]+) (.*?)</code>", plain)
    assert sorted(f"{method.lower()} {path}" for method, path in told) == sorted(
        name for name, _ in operations(document)
    )
    assert all(operation["summary"] in plain for _, operation in operations(document))
    assert "Takes name. Answers" in plain
    assert "Takes a body of multipart/form-data, a body of application/json. Answers 200, 400" in plain
    links = re.findall(r'href="([^"]+)"', plain)
    assert {"/openapi.json", "/models", "/health"} <= set(links)
    assert not [link for link in links if client.get(link).status_code == 404]


def test_the_assets_are_no_way_to_other_files(client: TestClient):
    for path in ("../core.py", "..%2fcore.py", "%2e%2e/core.py", "/etc/passwd"):
        assert client.get(f"/docs/assets/{path}").status_code == 404


def test_fastapis_other_pages_are_off(client: TestClient):
    for path in ("/redoc", "/docs/oauth2-redirect"):
        assert client.get(path).status_code == 404


def test_a_slash_too_many_is_an_unknown_route_and_no_redirect_without_a_body(client: TestClient):
    answer = client.get("/models/", follow_redirects=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_root_leads_on(client: TestClient):
    browser = client.get("/", headers={"Accept": "text/html,application/xhtml+xml"})
    assert (browser.status_code, browser.headers["location"]) == (307, "/docs")
    program = client.get("/").json()
    assert (program["name"], program["version"]) == ("genre_lib", __version__)
    assert client.get(program["docs"]).status_code == client.get(program["openapi"]).status_code == 200


# --- the document -----------------------------------------------------------------------------------------------------


def test_every_route_has_a_summary_and_a_description_and_a_known_tag(document: dict[str, Any]):
    assert set(document["paths"]) >= OURS
    tags = {tag["name"] for tag in TAGS}
    for name, operation in operations(document):
        assert operation.get("description"), f"{name}: give the route a docstring"
        assert operation["summary"][0].isupper()
        assert set(operation["tags"]) <= tags, f"{name}: name its tag in service.manual.TAGS"


def test_errors_have_one_shape_and_an_example(document: dict[str, Any]):
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json", {})
            if int(status) >= 400 and (name, status) != ("get /health", "503"):
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}, f"{name} {status}"
                ErrorBody.model_validate(content["example"])
                assert response["description"]


@pytest.mark.parametrize("path", sorted(OURS - {"/health"}))
def test_every_route_lists_its_statuses(document: dict[str, Any], path: str):
    told = set(document["paths"][path]["post"]["responses"])
    assert told >= {"200", "400", "401", "403", "413", "422", "429", "500", "503", "504"}
    assert path == "/predict/spotify" or told >= {"415", "502"}


@pytest.mark.parametrize(
    ("path", "file"), [("/predict", "file"), ("/predict/batch", "files"), ("/analyze/features", "file")]
)
def test_both_forms_of_a_body_are_told_with_every_field(document: dict[str, Any], path: str, file: str):
    content = document["paths"][path]["post"]["requestBody"]["content"]
    form, sent = content["multipart/form-data"]["schema"], content["application/json"]["schema"]
    assert form["required"] == [file]
    assert form["additionalProperties"] is sent["additionalProperties"] is False
    assert set(sent["required"]) <= {"audio_url", "audio_urls"}
    assert set(form["properties"]) - {file} == set(sent["properties"]) - {"audio_url", "audio_urls"}
    assert all(example["value"] for example in content["application/json"]["examples"].values())


def test_references_lead_somewhere(document: dict[str, Any]):
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert named <= set(document["components"]["schemas"])


def test_the_manual_tells_this_services_limits(document: dict[str, Any]):
    text = document["info"]["description"]
    assert "http://127.0.0.1:8123/predict" in text
    assert "| a batch | 7 tracks, 500 MiB together |" in text
    for section in ("Getting started", "Keys", "Formats", "Limits", "Errors"):
        assert f"## {section}" in text


def test_the_manual_tells_every_code_with_its_status(document: dict[str, Any]):
    told = codes()
    assert {"not_audio", "empty_audio", "job_not_found", "missing_key"} < set(told)
    for code, (status, meaning) in told.items():
        assert f"| `{code}` | {status} | {meaning} |" in document["info"]["description"]
    for status, example in ERROR_EXAMPLES.items():
        assert told[example["code"]][0] == status


def test_codes_without_a_type_are_those_that_the_sources_give():
    folder = Path(manual.__file__).parent
    sources = "".join(path.read_text() for path in folder.glob("*.py") if path.name != "manual.py")
    by_status = {status.name.lower() for status in HTTPStatus}
    assert set(manual.WITHOUT_A_TYPE) <= set(re.findall(r'"([a-z_]+)"', sources)) | by_status


def test_the_events_of_a_stream_are_described_one_by_one(document: dict):
    answers = document["paths"]["/finetune/events/{job_id}"]["get"]["responses"]
    event = answers["200"]["content"]["text/event-stream"]["itemSchema"]
    fields = dict(line.split(": ", 1) for line in message({"kind": "x"}, "7-end", "end").strip().splitlines())
    assert set(fields) == set(event["properties"])
    assert event["properties"]["event"]["enum"] == ["message", "status", "end"]  # message is what has no name
    assert event["required"] == ["data"]


# --- methods ----------------------------------------------------------------------------------------------------------


ALLOWED = {
    "/predict": "OPTIONS, POST",
    "/models": "GET, HEAD, OPTIONS",
    "/models/mine": "DELETE, GET, HEAD, OPTIONS",
    "/models/upload": "OPTIONS, POST",
    "/finetune/events/x": "GET, OPTIONS",
}


def test_head_answers_as_get_without_the_body(client: TestClient):
    for path in ("/docs", "/models", "/openapi.json", "/docs/assets/swagger-ui.css", "/nowhere"):
        get, head = client.get(path), client.head(path)
        assert head.status_code == get.status_code
        assert head.content == b""
        assert head.headers["content-type"] == get.headers["content-type"]
    assert client.head("/finetune/events/x").status_code in (404, 405)


def test_options_tells_what_may_be_done(client: TestClient):
    for path, allowed in ALLOWED.items():
        response = client.options(path)
        assert (response.status_code, response.headers["Allow"], response.content) == (204, allowed, b"")
    assert client.options("/nowhere").status_code in (404, 405)


def test_a_method_that_a_path_has_not_is_refused_with_all_that_it_has(client: TestClient):
    for path, allowed in ALLOWED.items():
        response = client.put(path)
        assert (response.status_code, response.headers["Allow"]) == (405, allowed)
    assert client.head("/predict").headers["Allow"] == ALLOWED["/predict"]
    assert client.head("/finetune/events/x").headers["Allow"] == ALLOWED["/finetune/events/x"]
