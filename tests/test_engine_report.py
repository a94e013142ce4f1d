"""``engine.json``: which engine is taken of made-up measurements, and when the file is passed over."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from genre_lib.engines import machine, report
from genre_lib.engines.names import REPORT
from genre_lib.engines.report import Measured, Report
from genre_lib.inference import Predictor
from genre_lib.networks.folder import weights_digest

WEIGHTS = "0123456789ab"


def measured(one: float, eight: float, difference: float = 0.0, agreements: int = 60, start: float = 0.0) -> Measured:
    milliseconds = {"1": one, "8": eight}
    return Measured(
        milliseconds=milliseconds, difference=difference, agreements=agreements, start_seconds=start, size=1000
    )


def made(engines: dict[str, Measured] | None = None, **fields) -> Report:
    known = {
        "weights": WEIGHTS, "device": "cpu", "hardware": machine.hardware("cpu"), "threads": 2,
        "versions": machine.versions(), "clips": 60, "tolerance": 0.05, "created": "2026-01-01T00:00:00+00:00",
        "chosen": "torch-float32",
    }  # fmt: skip
    exact = {"torch-float32": measured(200.0, 100.0)}
    return Report(**known | {"engines": exact | (engines or {})} | fields)


# --- the rule ---------------------------------------------------------------------------------------------------------


def test_the_fastest_that_passes_is_taken():
    found = made(
        {
            "torch-bf16": measured(120.0, 60.0, difference=0.01),
            "openvino-bf16": measured(100.0, 70.0, difference=0.02),  # 85 against 90: the mean of both batches counts
            "openvino-int8": measured(50.0, 30.0, difference=0.051),  # beyond the tolerance
            "openvino-float32": measured(40.0, 20.0, agreements=59),  # another genre for one of 60
        }
    )
    assert found.ranked("auto") == ["openvino-bf16", "torch-bf16", "torch-float32"]
    assert found.ranked("torch") == ["torch-bf16", "torch-float32"]
    assert found.ranked("openvino") == ["openvino-bf16"]
    assert found.ranked("openvino-int8") == []
    assert found.speedup("openvino-bf16") == pytest.approx(150 / 85)


def test_a_slow_start_pays_for_many_clips_alone():
    found = made({"openvino-bf16": measured(50.0, 50.0, start=2.0)})
    # 150 ms a clip against 50 ms and two seconds: as much at 20 clips.
    first = [found.ranked("auto", clips)[0] for clips in (1, 19, 21, None)]
    assert first == ["torch-float32", "torch-float32", "openvino-bf16", "openvino-bf16"]


def test_nothing_faster_leaves_float32():
    found = made({"torch-bf16": measured(300.0, 150.0), "openvino-int8": Measured(fault="It cannot be.")})
    assert found.ranked("auto") == ["torch-float32", "torch-bf16"]
    assert not found.passes("openvino-int8")
    assert not found.passes("openvino-bf16")


# --- the file ---------------------------------------------------------------------------------------------------------


def test_it_is_read_as_it_was_written(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    written = made({"torch-bf16": measured(100.0, 50.0)})
    report.write(tmp_path, written)
    assert report.read(tmp_path, WEIGHTS) == written
    assert json.loads((tmp_path / REPORT).read_text())["engines"]["torch-bf16"]["milliseconds"] == {"1": 100, "8": 50}
    assert not caplog.records


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"weights": "another"}, "other weights"),
        ({"hardware": "a pocket calculator"}, r"another hardware \(a pocket calculator\)"),
        ({"device": "cuda"}, r"another device \(cuda\)"),
        ({"versions": {"torch": "1.0"}}, r"other versions \(torch 1.0\)"),
    ],
)
def test_what_was_measured_elsewhere_is_passed_over(
    fields: dict, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    report.write(tmp_path, made(**fields))
    assert report.read(tmp_path, WEIGHTS) is None
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "was measured for" in record.message
    assert f"`genre models tune {tmp_path.name} --data-path MUSIC` measures anew." in record.message
    assert re.search(said, record.message)


def test_weights_may_be_taken_on_trust(tmp_path: Path):
    report.write(tmp_path, made(weights="another"))
    assert report.read(tmp_path, None) is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"engines": {"rm -rf": {}}}',
        b"\xff\xfe",
        made().model_dump_json().replace("torch-float32", "torch-float64").encode(),
        made().model_dump_json().replace("200.0", "NaN").encode(),
        made(engines={"torch-float32": Measured(fault="gone")}).model_dump_json().encode(),
        b" " * 100_000,
    ],
)
def test_a_damaged_one_is_passed_over(content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / REPORT).write_bytes(content)
    assert report.read(tmp_path, WEIGHTS) is None
    [record] = caplog.records
    assert "cannot be read" in record.message
    assert "passed over" in record.message


def test_none_is_none_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert report.read(tmp_path, WEIGHTS) is None
    assert not caplog.records


def test_a_list_names_the_fastest(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert report.fastest(tmp_path) is None
    report.write(tmp_path, made({"torch-bf16": measured(100.0, 50.0)}, weights="not looked at"))
    assert report.fastest(tmp_path) == "torch-bf16"
    report.write(tmp_path, made(hardware="another"))
    assert report.fastest(tmp_path) is None
    (tmp_path / REPORT).write_text("damaged")
    assert report.fastest(tmp_path) is None
    assert not caplog.records


# --- the predictor goes by it -----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "measured"))


@pytest.mark.skipif(not machine.has_bf16("cpu"), reason="this processor has no bfloat16")
def test_auto_takes_what_was_measured(folder: Path, tone):
    exact = Predictor.from_folder(folder, device="cpu").waveform(tone(4.0))
    before = weights_digest(folder)
    report.write(folder, made({"torch-bf16": measured(20.0, 10.0, difference=0.01)}, weights=before))
    assert weights_digest(folder) == before
    predictor = Predictor.from_folder(folder, device="cpu")
    assert (predictor.engine.name, predictor.engine_fault) == ("torch-bf16", None)
    np.testing.assert_allclose(predictor.waveform(tone(4.0)).logits, exact.logits, atol=0.02)
    assert Predictor.from_folder(folder, device="cpu", engine="torch-float32").engine.name == "torch-float32"


def test_auto_is_float32_where_nothing_was_measured(folder: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "genre_lib.engines")
    assert Predictor.from_folder(folder, device="cpu").engine.name == "torch-float32"
    [record] = caplog.records
    assert record.levelno == logging.INFO
    assert "`genre models tune measured --data-path MUSIC`" in record.message


def test_auto_falls_back_where_the_fastest_cannot_be_made(folder: Path, tmp_path: Path):
    fast = {"openvino-int8": measured(20.0, 10.0)}  # measured, and its compiled network is gone from the cache
    report.write(folder, made(fast, weights=weights_digest(folder)))
    predictor = Predictor.from_folder(folder, device="cpu", cache_path=tmp_path / "empty")
    assert predictor.engine.name == "torch-float32"
    assert predictor.engine_fault.startswith(("openvino-int8 of measured is made of clips", "The engine needs"))
