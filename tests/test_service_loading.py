"""Loading a model for the service: by the engine of the settings, or by float32 with the reason."""

from __future__ import annotations

import logging
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from genre_lib.engines import machine, openvino_library, report
from genre_lib.engines.report import Measured, Report, fastest
from genre_lib.errors import ConfigurationError, EngineUnavailable, ModelNotFound
from genre_lib.networks.folder import weights_digest
from genre_lib.service.loading import Loader
from genre_lib.service.model_cache import ModelCache, bytes_of
from genre_lib.settings import get_settings

TIMES = {"torch-float32": 20.0, "torch-bf16": 10.0}
"""Milliseconds of a clip, made up."""


def loader(tmp_path: Path, engine: str, device: str = "cpu") -> Loader:
    return Loader(get_settings(engine=engine, device=device, cache_path=tmp_path / "cache"))


def test_the_settings_name_the_engine(tiny_model: Path, tmp_path: Path):
    if find_spec("openvino") is None:  # asked, not imported: it would tell its makers
        pytest.skip("OpenVINO is an extra", allow_module_level=True)
    predictor = loader(tmp_path, "openvino-float32")(tiny_model)
    assert (predictor.engine.name, predictor.engine_fault) == ("openvino-float32", None)


def test_an_engines_bytes_count(tiny_model: Path, tmp_path: Path):
    if find_spec("openvino") is None:  # asked, not imported: it would tell its makers
        pytest.skip("OpenVINO is an extra", allow_module_level=True)
    by_torch, by_openvino = (loader(tmp_path, name)(tiny_model) for name in ("torch-float32", "openvino-float32"))
    [kept] = (tmp_path / "cache" / "engines").glob("??/*.compiled")
    assert bytes_of(by_openvino) == bytes_of(by_torch) + kept.stat().st_size
    settings = get_settings(model_path=tiny_model, engine="openvino-float32", cache_path=tmp_path / "cache")
    models = ModelCache(settings, Loader(settings))
    models.start()
    assert models.size == bytes_of(by_openvino)


@pytest.mark.skipif(not machine.has_bf16("cpu"), reason="this processor has no bfloat16")
def test_a_tuning_reaches_a_running_service(tiny_model: Path, tmp_path: Path):
    folder = Path(shutil.copytree(tiny_model, tmp_path / "served"))
    settings = get_settings(model_path=folder, device="cpu", cache_path=tmp_path / "cache")
    models = ModelCache(settings, Loader(settings))
    models.start()
    assert models.active.engine.name == "torch-float32"
    times = {name: Measured(milliseconds={"1": time, "8": time}, agreements=8) for name, time in TIMES.items()}
    report.write(
        folder,
        Report(
            weights=weights_digest(folder), device="cpu", hardware=machine.hardware("cpu"), threads=1, clips=8,
            versions=machine.versions(), tolerance=0.05, created="now", engines=times, chosen="torch-bf16",
        ),
    )  # fmt: skip
    models.follow()
    assert (models.active.engine.name, models.error) == ("torch-bf16", None)
    assert fastest(folder) == "torch-bf16"


def test_what_cannot_be_made_is_served_by_float32(tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    if find_spec("openvino") is None:  # asked, not imported: it would tell its makers
        pytest.skip("OpenVINO is an extra", allow_module_level=True)
    predictor = loader(tmp_path, "openvino-int8")(tiny_model)
    assert predictor.engine.name == "torch-float32"
    assert "openvino-int8 of tiny is made of clips of your music" in predictor.engine_fault
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.message == f"tiny is served by torch-float32: {predictor.engine_fault}"


def test_a_library_that_is_absent_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(openvino_library, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match="needs openvino and nncf, an extra"):
        loader(tmp_path, "openvino")
    loader(tmp_path, "auto")
    loader(tmp_path, "torch")


def test_what_is_no_engine_or_device_or_model(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="--engine: expected one of auto, torch"):
        loader(tmp_path, "onnx")
    with pytest.raises(ConfigurationError, match="device"):
        loader(tmp_path, "auto", device="toaster")
    with pytest.raises(ModelNotFound):
        loader(tmp_path, "auto")(tmp_path / "nothing")
