"""Small random models on small synthetic music: the same tracks for all, and what is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from genre_lib import evaluation, side_by_side
from genre_lib.comparison import difference
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.opening import open_catalogue
from genre_lib.data.synthetic_tracks import SYNTH_GENRES
from genre_lib.errors import CatalogueInvalid, ConfigurationError, ModelNotFound
from genre_lib.models.cnn import GenreCNNConfig, GenreCNNForAudioClassification
from genre_lib.models.folder import GenreModel, InferenceSettings, save
from genre_lib.models.logmel import LogMelFeatureExtractor
from genre_lib.runs import Run

TRAINED = {
    "method": "head",
    "trainable_parameters": 120,
    "seconds": 4.0,
    "peak_memory_mib": 200.0,
    "clips_per_second": 31.5,
    "device": "cpu",
}


def made(folder: Path, seed: int, genres: list[str], **training: object) -> Path:
    torch.manual_seed(seed)
    network = GenreCNNForAudioClassification(GenreCNNConfig.tiny(labels=genres)).eval()
    place = save(GenreModel(network, LogMelFeatureExtractor(), InferenceSettings(3.0, 3.0)), folder).folder
    if training:
        (place / "metrics.json").write_text(json.dumps({"training": training}))
    return place


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A base of more genres than the tracks have, two models of theirs, and one that knows none of them."""
    root, genres = tmp_path_factory.mktemp("models"), list(SYNTH_GENRES)
    return {
        "base": made(root / "base", 0, [*genres, "polka", "ska"]),
        "head": made(root / "head", 1, genres, **TRAINED),
        "full": made(root / "full", 2, genres, method="full", seconds=90.0),
        "strange": made(root / "strange", 3, ["polka", "ska"]),
    }


@pytest.fixture(scope="module")
def catalogue(synthetic_catalogue) -> Catalogue:
    return open_catalogue(synthetic_catalogue)


@pytest.fixture(scope="module")
def found(folders, catalogue) -> side_by_side.SideBySide:
    models = [folders[name] for name in ("base", "head", "full")]
    return side_by_side.side_by_side(models, catalogue, "all", device="cpu", rounds=3)


def row(found: side_by_side.SideBySide, name: str) -> dict:
    return next(row for row in found.content["models"] if row["model"] == name)


def test_the_first_is_the_base_and_scores_are_those_of_evaluation(found, folders, catalogue):
    assert [(row["model"], row["is_base"]) for row in found.content["models"]] == [
        ("base", True),
        ("head", False),
        ("full", False),
    ]
    for name in ("base", "head", "full"):
        alone = evaluation.evaluate(folders[name], catalogue, "all", device="cpu").metrics
        assert row(found, name)["accuracy"] == alone["accuracy"]
        assert row(found, name)["macro_f1"] == alone["macro_f1"]
        assert row(found, name)["calibration_error"] == alone["calibration"]["ece_after"]
        assert row(found, name)["f1"]["rock"] == alone["per_genre"]["rock"]["f1"]


def test_differences_are_paired_by_track_and_asked_two_ways(found, folders, catalogue):
    against = [(pair["model"], pair["against"]) for pair in found.content["differences"]]
    assert against == [("head", "base"), ("full", "base")]
    tables = {
        name: evaluation.evaluate(folders[name], catalogue, "all", device="cpu").tracks["right"].to_numpy(dtype=bool)
        for name in ("base", "head")
    }
    expected = difference(tables["head"], tables["base"], seed=0)
    told = found.differences().query("model == 'head' and asked == 'all genres'").iloc[0]
    assert (told.better, told.worse, told.tracks) == (expected["better"], expected["worse"], 24)
    assert told.difference == expected["difference"]["value"] == tables["head"].mean() - tables["base"].mean()
    only = found.differences().query("model == 'head' and asked == 'these genres only'").iloc[0]
    restricted = [row(found, name)["accuracy_restricted"]["value"] for name in ("head", "base")]
    assert only.difference == pytest.approx(restricted[0] - restricted[1])


def test_training_is_what_the_folder_tells_and_nothing_else(found):
    assert row(found, "head")["training"] == TRAINED
    assert row(found, "full")["training"] == dict.fromkeys(TRAINED) | {"method": "full", "seconds": 90.0}
    table = found.table().set_index("model")
    assert table.loc["head", "training_seconds"] == 4.0 and np.isnan(table.loc["base", "training_seconds"])
    assert table.loc["head", "trainable_parameters"] == 120


def test_points_and_figures(found):
    assert [point.name for point in found.points("training")] == ["head", "full"]
    assert [point.cost for point in found.points("training")] == [4.0, 90.0]
    prediction = found.points()
    assert [point.score.value for point in prediction] == [row["accuracy"]["value"] for row in found.content["models"]]
    assert all(point.spread[0] <= point.cost <= point.spread[1] for point in prediction)
    assert set(found.figures()) == {"accuracy_against_prediction", "accuracy_against_training"}
    with pytest.raises(ConfigurationError, match="prediction or training, and is 'money'"):
        found.figure("money")


def test_several_bases(folders, catalogue):
    bases = [folders["base"], folders["full"]]
    found = side_by_side.side_by_side([folders["head"]], catalogue, "test", bases, device="cpu", rounds=3)
    pairs = [(pair["model"], pair["against"]) for pair in found.content["differences"]]
    assert pairs == [("head", "base"), ("head", "full")]
    (scored,) = found.evaluations
    assert (scored.metrics["model"], scored.metrics["comparison"]["model"]) == ("head", "base")


def test_a_base_that_knows_none_of_the_genres_has_no_score(folders, catalogue, tmp_path):
    models = [folders["strange"], folders["head"]]
    found = side_by_side.side_by_side(models, catalogue, device="cpu", rounds=3)
    assert row(found, "strange")["accuracy"] is None and row(found, "strange")["parameters"] > 0
    assert found.differences().empty
    assert [point.name for point in found.points()] == ["head"]
    side_by_side.write(found, Run.create(tmp_path, "strange"))
    report = next(tmp_path.glob("*/report.html")).read_text()
    assert "strange knows none of these genres" in report


def test_what_cannot_be(folders, catalogue, tmp_path):
    head = folders["head"]
    with pytest.raises(CatalogueInvalid, match="Expected genres that strange knows"):
        side_by_side.side_by_side([head, folders["strange"]], catalogue, device="cpu")
    with pytest.raises(CatalogueInvalid, match="no tracks in the split 'train'"):
        side_by_side.side_by_side([head, folders["base"]], catalogue.split("valid"), "train", device="cpu")
    with pytest.raises(ModelNotFound):
        side_by_side.side_by_side([head, tmp_path / "gone"], catalogue)
    with pytest.raises(ConfigurationError, match=r"head .* is named twice"):
        side_by_side.side_by_side([head, head], catalogue)
    with pytest.raises(ConfigurationError, match="no models"):
        side_by_side.side_by_side([], catalogue)


def test_tracks_that_cannot_be_decoded_are_in_nobodys_score(folders, catalogue, tmp_path):
    (tmp_path / "noise.mp3").write_text("no audio at all")
    bad = pd.DataFrame({"path": [str(tmp_path / "noise.mp3")], "genre": "rock", "split": "test"})
    music = Catalogue(pd.concat([bad, catalogue.split("test").tracks], ignore_index=True))
    found = side_by_side.side_by_side([folders["base"], folders["head"]], music, device="cpu", rounds=3)
    assert (found.content["tracks"], found.content["failed"]) == (len(music) - 1, 1)


def test_one_that_is_scored_keeps_its_own_report(folders, catalogue, tmp_path):
    run = Run.create(tmp_path, "one")
    models = [folders["head"]]
    side_by_side.write(side_by_side.side_by_side(models, catalogue, "test", [folders["base"]], device="cpu"), run)
    report = run.report.read_text()
    assert "<h1>head</h1>" in report and "Side by side" in report and "Against base" in report
    assert {path.name for path in run.path.iterdir()} >= {"metrics.json", "predictions.csv", "side_by_side.json"}
    assert (run.figures / "accuracy_against_prediction.png").is_file()


def test_several_have_a_page_together_and_one_each(found, tmp_path):
    run = Run.create(tmp_path, "several")
    side_by_side.write(found, run)
    report = run.report.read_text()
    assert "<p>base, head, full</p>" in report and report.count("data:image/png;base64,") == 3
    for name in ("head", "full"):
        assert f'href="models/{name}/report.html"' in report
        assert (run.path / "models" / name / "report.html").is_file()
    assert json.loads((run.path / "side_by_side.json").read_text()) == found.content
    table = pd.read_csv(run.path / "side_by_side.csv").set_index("model")
    assert table.loc["head", "accuracy"] == row(found, "head")["accuracy"]["value"]
    assert len(pd.read_csv(run.path / "differences.csv")) == 4
