"""The service by another engine than torch: the same answers; one that cannot be had, and one that is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from test_serve import Server, clean, start

from genre_lib.inference import Predictor

if find_spec("openvino") is None:  # asked, not imported: it would tell its makers
    pytest.skip("OpenVINO is an extra", allow_module_level=True)
pytestmark = [pytest.mark.slow]


@contextmanager
def served(folder: Path, model: Path, engine: str) -> Iterator[Server]:
    folder.mkdir()
    server = start(folder, model, ENGINE=engine)
    try:
        yield server
    finally:
        clean(server)


def post(server: Server, track: Path) -> list[dict]:
    response = httpx.post(f"{server.url}/predict", files={"file": track.read_bytes()}, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()["predictions"]


def test_openvino_answers_as_torch_does(tiny_model: Path, tmp_path: Path, tone, write_wav):
    track = write_wav(tmp_path / "tone.wav", tone(7.0))
    expected = Predictor.from_folder(tiny_model, device="cpu", engine="torch-float32").file(track).to_json(3)
    with served(tmp_path / "a", tiny_model, "openvino") as server:
        assert server.health()["model"] == {
            "name": "tiny",
            "version": server.health()["model"]["version"],
            "engine": "openvino-float32",
            "engine_fault": None,
        }
        found = post(server, track)
    assert [row["genre"] for row in found] == [row["genre"] for row in expected["predictions"]]
    for row, wanted in zip(found, expected["predictions"], strict=True):
        assert row["confidence"] == pytest.approx(wanted["confidence"], abs=1e-4)
    assert "compiled openvino-float32 of tiny in" in server.log
    assert len(list((tmp_path / "a" / "cache" / "engines").glob("??/*.compiled"))) == 1


def test_an_engine_that_cannot_be_had_is_replaced_and_that_is_told(tiny_model: Path, tmp_path: Path, tone, write_wav):
    track = write_wav(tmp_path / "tone.wav", tone(4.0))
    with served(tmp_path / "b", tiny_model, "openvino-int8") as server:
        model = server.health()["model"]
        assert post(server, track)
    assert model["engine"] == "torch-float32"
    assert model["engine_fault"].startswith("openvino-int8 of tiny is made of clips of your music")
    assert "tiny is served by torch-float32: openvino-int8 of tiny" in server.log
