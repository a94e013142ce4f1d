"""Tuning: how engines are compared, by arithmetic, and once with all of them on a small network and invented music."""

from __future__ import annotations

import io
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from genre_lib.audio import find
from genre_lib.cli import main
from genre_lib.engines import report
from genre_lib.engines.clips import heard, shared_out
from genre_lib.engines.names import ON_CPU, REPORT
from genre_lib.engines.tuning import compared, tune
from genre_lib.errors import CatalogueInvalid, ConfigurationError
from genre_lib.inference import Predictor, load_model
from genre_lib.networks.folder import weights_digest
from genre_lib.service.model_zip import unpack

if find_spec("openvino") is None:  # asked, not imported: it would tell its makers
    pytest.skip("OpenVINO is an extra", allow_module_level=True)


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "mine"))


# --- comparing --------------------------------------------------------------------------------------------------------

REFERENCE = np.array([[0.6, 0.3, 0.1], [0.34, 0.36, 0.3]])


def test_the_same_agrees():
    assert compared(REFERENCE, REFERENCE, 0.05) == {"difference": 0.0, "agreements": 2}


def test_another_genre_does_not_agree_unless_float32_is_nearly_as_sure_of_it():
    given = np.array([[0.3, 0.6, 0.1], [0.37, 0.33, 0.3]])  # the second: 0.34 of 0.36 is within 0.05, and not in 0.01
    assert compared(REFERENCE, given, 0.05) == {"difference": pytest.approx(0.3), "agreements": 1}
    assert compared(REFERENCE, given, 0.01)["agreements"] == 0


def test_what_is_no_number_is_a_fault():
    assert compared(REFERENCE, REFERENCE * np.nan, 0.05)["fault"]


# --- clips ------------------------------------------------------------------------------------------------------------


def test_clips_are_of_as_many_tracks_as_there_are(folder: Path, synthetic_catalogue: Path, tmp_path: Path):
    model, paths = load_model(folder), find(synthetic_catalogue)
    bad = tmp_path / "bad.mp3"
    bad.write_bytes(b"no sound")
    few = heard([bad, *paths], model, 10, seed=3)
    assert few.shape == (10, 3 * 22050)
    assert len(np.unique(few[:, :64], axis=0)) == 10
    np.testing.assert_array_equal(few, heard([bad, *paths], model, 10, seed=3))
    assert not np.array_equal(few, heard([bad, *paths], model, 10, seed=4))
    assert len(heard(paths, model, 1000)) == 2 * len(paths)  # each lasts two clips
    with pytest.raises(CatalogueInvalid, match="at least 8 clips of 3 s that can be decoded, and found 6"):
        heard(paths[:3], model, 20)


@pytest.mark.parametrize(("there", "parts"), [(100, (60, 40)), (50, (30, 20)), (200, (60, 40)), (10, (6, 4))])
def test_few_clips_are_shared_out_in_proportion(there: int, parts: tuple[int, int]):
    own, others = shared_out(np.arange(there), 60, 40)
    assert (len(own), len(others)) == parts
    assert not set(own) & set(others)


# --- the whole --------------------------------------------------------------------------------------------------------


def test_every_engine_is_measured_and_the_fastest_is_taken(folder: Path, synthetic_catalogue: Path, tmp_path: Path):
    model = load_model(folder)
    clips = heard(find(synthetic_catalogue), model, 20)
    found = tune(model, clips[:12], clips[12:], device="cpu", cache_path=tmp_path / "cache", rounds=2)
    assert set(found.engines) == set(ON_CPU)
    assert report.read(folder, model.version) == found
    assert weights_digest(folder) == model.version
    for name, engine in found.engines.items():
        assert bool(engine.fault) != bool(engine.milliseconds), name
    assert found.engines["torch-float32"].difference == 0
    assert found.engines["openvino-float32"].difference < 1e-4
    assert found.engines["openvino-float32"].agreements == found.clips == 12
    costs = {name: np.mean(list(found.engines[name].milliseconds.values())) for name in ON_CPU if found.passes(name)}
    assert found.chosen == min(costs, key=costs.get)
    predictor = Predictor.from_folder(folder, device="cpu", cache_path=tmp_path / "cache")
    assert (predictor.engine.name, predictor.engine_fault) == (found.chosen, None)
    assert predictor.engine.compiled_in is None


def test_it_takes_a_folder_and_a_probability(folder: Path):
    model = load_model(folder)
    with pytest.raises(ConfigurationError, match=r"a tolerance between 0 and 1; got .* and 5"):
        tune(model, np.zeros((8, 9)), np.zeros((8, 9)), tolerance=5)
    model.folder = None
    with pytest.raises(ConfigurationError, match="a model in a folder"):
        tune(model, np.zeros((8, 9)), np.zeros((8, 9)))


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_measures_and_show_tells(folder: Path, synthetic_catalogue: Path, capsys: pytest.CaptureFixture):
    assert main(["models", "show", str(folder)]) == 0
    assert "torch-float32; not measured here: genre models tune mine --data-path MUSIC" in capsys.readouterr().out
    arguments = ["--data-path", str(synthetic_catalogue), "--clips", "8", "--calibration", "8"]
    assert main(["models", "tune", str(folder), *arguments]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in ON_CPU)
    assert "8 clips, milliseconds each" in told
    assert main(["models", "show", str(folder)]) == 0
    assert "times as fast as torch-float32" in capsys.readouterr().out
    track = str(find(synthetic_catalogue)[0])
    for engine in ("auto", "openvino-float32"):
        assert main(["predict", "--model", str(folder), track, "--engine", engine]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--clips", "2"], "--clips"),
        (["--tolerance", "1.5"], "--tolerance is a probability between 0 and 1, and is 1.5."),
        (["--data-path", "/nowhere/at/all"], "There is nothing at /nowhere/at/all"),
    ],
)
def test_wrong_input_is_a_sentence(arguments: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture):
    assert main(["models", "tune", str(folder), *arguments]) in (1, 2)
    assert said in capsys.readouterr().err
    assert not (folder / REPORT).exists()


def test_an_unknown_engine_is_a_sentence(folder: Path, synthetic_catalogue: Path, capsys: pytest.CaptureFixture):
    track = str(find(synthetic_catalogue)[0])
    assert main(["predict", "--model", str(folder), track, "--engine", "onnx"]) == 2
    assert "error: --engine: expected one of auto, torch, openvino" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["engine.json", "Engine.JSON"])
def test_an_upload_brings_no_measurements(name: str, tmp_path: Path):
    packed, folder = io.BytesIO(), tmp_path / "unpacked"
    folder.mkdir()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in ("config.json", name):
            archive.writestr(f"mine/{file}", '{"chosen": "openvino-int8"}')
    unpack(packed, folder, 1000)
    assert [path.name for path in folder.iterdir()] == ["config.json"]
