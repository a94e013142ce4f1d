"""What strangers send: every route that takes a body answers 4xx in our shape, whatever comes."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from service_fakes import client_of, is_error

from genre_lib.settings import get_settings

JSON = "application/json"
BOUND = "multipart/form-data; boundary=x"
ODD_CHARSET = f"{BOUND}; charset=none-such"
BAD_NAME = b'--x\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\nx\r\n--x--\r\n'
TAKES_TRACKS = ("/predict", "/predict/batch", "/analyze/features")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    folder = tmp_path_factory.mktemp("bodies")
    return client_of(get_settings(models_path=folder / "models"), folder)


def part(headers: str, content: str = "x") -> bytes:
    return f"--x\r\n{headers}\r\n\r\n{content}\r\n--x--\r\n".encode("utf-8", "surrogatepass")


BODIES = {
    "no JSON": (JSON, b"{", 400),
    "nothing": (JSON, b"", 400),
    "no UTF-8": (JSON, b'{"audio_url": "\xff\xfe"}', 400),
    "UTF-16": (JSON, '{"audio_url": "x"}'.encode("utf-16"), 400),
    "half a surrogate pair": (JSON, b'{"\\ud800": "\\udfff"}', 400),
    "deep": (JSON, b"[" * 100_000, 400),
    "deep and whole": (JSON, b'{"a":' * 5000 + b"1" + b"}" * 5000, 400),
    "a huge number": (JSON, b'{"audio_url": "http://x", "top_k": 1' + b"0" * 5000 + b"}", 400),
    "1e999": (JSON, b'{"audio_url": "http://x", "top_k": 1e999}', 422),
    "NaN": (JSON, b'{"audio_url": "http://x", "top_k": NaN}', 422),
    "a long value": (JSON, b'{"audio_url": "http://x", "top_k": "' + b"9" * 100_000 + b'"}', 422),
    "many unknown fields": (JSON, b"{" + b",".join(b'"f%d":1' % n for n in range(5000)) + b"}", 422),
    "a NUL": (JSON, b'{"audio_url": "http://x/\\u0000"}', 422),
    "a list": (JSON, b"[]", 422),
    "no type": ("", b"{}", 415),
    "another type": ("text/plain", b"{}", 415),
    "an odd type": (";;;=", b"{}", 415),
    "urlencoded": ("application/x-www-form-urlencoded", b"file=x", 415),
    "no boundary": ("multipart/form-data", b"x", 400),
    "an empty boundary": ("multipart/form-data; boundary=", b"x", 400),
    "an odd charset": (ODD_CHARSET, part('Content-Disposition: form-data; name="q"'), 422),
    "no form": (BOUND, b"no form at all", 400),
    "an empty form": (BOUND, b"--x--\r\n", 422),
    "an empty body": (BOUND, b"", 422),
    "a part without a name": (BOUND, part("Content-Disposition: form-data"), 400),
    "a part without headers": (BOUND, b"--x\r\n\r\nx\r\n--x--\r\n", 400),
    "a form that is cut off": (BOUND, part('Content-Disposition: form-data; name="file"; filename="a"')[:-9], 422),
    "a name that is no UTF-8": (BOUND, BAD_NAME, 422),
    "a text in the file's place": (BOUND, part('Content-Disposition: form-data; name="file"'), 422),
    "a large field": (BOUND, part('Content-Disposition: form-data; name="model_name"', "x" * 100_000), 400),
    "many fields": (BOUND, part('Content-Disposition: form-data; name="q"')[:-7] * 50 + b"--x--\r\n", 400),
}


@pytest.mark.parametrize("path", [*TAKES_TRACKS])
@pytest.mark.parametrize("name", BODIES)
def test_whatever_comes_is_refused_in_our_shape(client: TestClient, path: str, name: str):
    kind, content, status = BODIES[name]
    response = client.post(path, content=content, headers={"Content-Type": kind} if kind else {})
    assert set(response.json()) == {"detail", "code"}
    assert len(response.json()["detail"]) < 2000
    assert response.status_code in ({status} if path == "/predict" else {400, 415, 422}), response.text
    assert not client.app.state.worker.requests


@pytest.mark.parametrize("name", [name for name, (kind, _, _) in BODIES.items() if kind == JSON])
def test_the_same_goes_for_bodies_that_fastapi_reads(client: TestClient, name: str):
    kind, content, _ = BODIES[name]
    response = client.post("/predict/spotify", content=content, headers={"Content-Type": kind})
    assert response.status_code in (400, 422)
    assert set(response.json()) == {"detail", "code"}
    assert len(response.json()["detail"]) < 2000


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", BOUND])
def test_json_that_is_not_called_so_is_told_how(client: TestClient, kind: str):
    response = client.post("/predict/spotify", content=b'{"track_id": "x"}', headers={"Content-Type": kind})
    assert is_error(response, 415, "unsupported_media_type")
    assert "Content-Type: application/json" in response.json()["detail"]
    assert (kind.partition(";")[0] or "no type at all") in response.json()["detail"]
    nothing = client.post("/predict/spotify", headers={"Content-Type": kind})
    assert is_error(nothing, 422, "invalid_request")


@pytest.mark.parametrize("filename", ["a\\0b.mp3", "\\r\\n.mp3", "\u202e3pm.mp3", "x" * 1000, "..", "/", "é\ud800"])
def test_odd_file_names_are_no_reason_to_fail(client: TestClient, filename: str):
    content = part(f'Content-Disposition: form-data; name="file"; filename="{filename}"')
    response = client.post("/predict", content=content, headers={"Content-Type": BOUND})
    assert is_error(response, 415, "not_audio")
    told = client.app.state.worker.requests.pop().filename
    assert told.isprintable() and 0 < len(told) <= 100


def test_one_findings_list_is_not_told_at_any_length(client: TestClient):
    kind, content, _ = BODIES["many unknown fields"]
    detail = client.post("/predict", content=content, headers={"Content-Type": kind}).json()["detail"]
    assert detail.count("is not known here") <= 10


def test_content_types_are_told_apart_as_http_has_it(client: TestClient):
    sent = {"content": b'{"audio_url": "ftp://x"}', "headers": {"Content-Type": "Application/JSON ; charset=utf-8"}}
    assert is_error(client.post("/predict", **sent), 422, "url_refused")
