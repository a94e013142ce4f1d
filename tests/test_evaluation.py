"""A small random model on small synthetic music: what is counted, and what is written where."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genre_lib import evaluation
from genre_lib.comparison import compare_pairs
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.opening import open_catalogue
from genre_lib.errors import CatalogueInvalid, ModelNotFound
from genre_lib.inference import Predictor
from genre_lib.models.folder import GenreModel, InferenceSettings, load, save
from genre_lib.registry import describe
from genre_lib.runs import Run


@pytest.fixture(scope="module")
def catalogue(synthetic_catalogue) -> Catalogue:
    return open_catalogue(synthetic_catalogue)


@pytest.fixture(scope="module")
def scored(tiny_model, catalogue) -> evaluation.Evaluation:
    return evaluation.evaluate(tiny_model, catalogue, split="all", compare_to=tiny_model, device="cpu")


def with_temperature(folder: Path, place: Path, temperature: float) -> GenreModel:
    model = load(folder)
    model.inference = InferenceSettings(3.0, 3.0, temperature, 12)
    return save(model, place)


def test_accuracy_is_that_of_the_predictor(scored, tiny_model, catalogue):
    found = Predictor.from_folder(tiny_model, device="cpu").files(catalogue.tracks["path"])
    right = [row.top(1)[0].genre == genre for row, genre in zip(found, catalogue.tracks["genre"], strict=True)]
    assert scored.metrics["accuracy"]["value"] == pytest.approx(np.mean(right))
    assert scored.tracks["right"].tolist() == right
    assert scored.metrics["tracks"] == len(catalogue) == 24


def test_the_parts_agree(scored):
    matrix = np.array(scored.metrics["confusion"]["matrix"])
    assert matrix.sum() == 24
    assert np.trace(matrix) / 24 == pytest.approx(scored.metrics["accuracy"]["value"])
    assert sum(row["support"] for row in scored.metrics["per_genre"].values()) == 24
    assert scored.per_genre()["support"].sum() == 24
    assert scored.summary().loc["accuracy", "value"] == scored.metrics["accuracy"]["value"]
    assert len(scored.errors(100)) == (~scored.tracks["right"].astype(bool)).sum()


def test_against_itself_nothing_differs(scored):
    assert scored.metrics["comparison"]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert scored.metrics["comparison"]["mcnemar_p"] == 1.0
    assert "better on 0, worse on 0 of 24; difference +0.0 points" in scored.sentence()


def test_default_split_is_test_then_valid_then_all(catalogue):
    tracks = catalogue.tracks
    assert evaluation.default_split(catalogue) == "test"
    assert evaluation.default_split(Catalogue(tracks[tracks["split"] != "test"])) == "valid"
    assert evaluation.default_split(Catalogue(tracks.assign(split=""))) == "all"


def test_bad_files_are_named_and_counted_and_not_scored(tiny_model, catalogue, tmp_path):
    (tmp_path / "noise.mp3").write_text("no audio at all")
    bad = pd.DataFrame(
        {"path": [str(tmp_path / "noise.mp3"), str(tmp_path / "gone.wav")], "genre": "rock", "split": "test"}
    )
    found = evaluation.evaluate(tiny_model, Catalogue(pd.concat([catalogue.split("test").tracks, bad])), device="cpu")
    assert found.metrics["failed"] == 2
    assert found.metrics["tracks"] == len(catalogue.split("test"))
    assert found.failed()["path"].tolist() == bad["path"].tolist()
    assert found.failed()["error"].str.len().min() > 10


def test_genres_that_the_model_does_not_know_are_wrong_and_named(tiny_model, catalogue):
    tracks = catalogue.split("valid").tracks
    renamed = tracks.assign(genre=tracks["genre"].replace({"rock": "polka"}))
    found = evaluation.evaluate(tiny_model, Catalogue(renamed), split="valid", compare_to=tiny_model, device="cpu")
    count = int((renamed["genre"] == "polka").sum())
    assert found.metrics["not_covered"] == {"polka": count}
    assert found.metrics["per_genre"]["polka"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": count}
    assert not found.tracks.loc[found.tracks["genre"] == "polka", "right"].any()
    assert found.metrics["comparison"]["not_covered"] == count


def test_an_empty_split_or_strange_genres_or_no_model(tiny_model, catalogue, tmp_path):
    with pytest.raises(CatalogueInvalid, match="no tracks in the split 'train'"):
        evaluation.evaluate(tiny_model, catalogue.split("valid"), split="train", device="cpu")
    with pytest.raises(CatalogueInvalid, match="Expected genres that tiny knows"):
        evaluation.evaluate(tiny_model, Catalogue(catalogue.tracks.assign(genre="polka")), device="cpu")
    with pytest.raises(ModelNotFound):
        evaluation.evaluate(tmp_path / "nothing", catalogue)


def test_calibration_is_cross_fitted_where_it_was_fitted(tiny_model, catalogue, tmp_path):
    sharp = with_temperature(tiny_model, tmp_path / "sharp", 0.3)
    fitted = {
        split: evaluation.evaluate(sharp, catalogue, split=split, device="cpu").metrics["calibration"]
        for split in ("valid", "test")
    }
    assert fitted["valid"]["cross_fitted"] and not fitted["test"]["cross_fitted"]
    assert (fitted["test"]["temperature"], fitted["test"]["fitted_on"]) == (0.3, 12)
    assert fitted["test"]["ece_after"] != fitted["test"]["ece_before"]
    plain = evaluation.evaluate(tiny_model, catalogue, split="valid", device="cpu").metrics["calibration"]
    assert not plain["cross_fitted"]
    assert plain["ece_after"] == plain["ece_before"]


def test_confidence_is_the_models(scored, tiny_model):
    row = scored.tracks.iloc[0]
    top = Predictor.from_folder(tiny_model, device="cpu").file(row.path).top(1)[0]
    assert (row.predicted, row.confidence) == (top.genre, pytest.approx(top.confidence, abs=1e-5))


def test_written_beside_the_model_and_in_the_run(scored, tiny_model, tmp_path):
    folder = save(load(tiny_model), tmp_path / "model").folder
    run = Run.create(tmp_path / "runs", "evaluate")
    run.write_parameters({"init": "pretrained", "learning_rate": 2e-5})
    for epoch in (1, 2):
        run.event("epoch_ended", epoch=epoch, train_loss=1.0, valid_loss=1.2, valid_accuracy=0.5)
    evaluation.write(scored, folder, run=run)
    training = {"init": "pretrained", "learning_rate": 2e-5}
    assert json.loads((folder / "metrics.json").read_text()) == {**scored.metrics, "training": training}
    assert json.loads((run.path / "metrics.json").read_text()) == scored.metrics
    assert (folder / "README.md").read_text().startswith("---\nlicense:")
    assert "2e-05" in run.report.read_text() and "| learning_rate | 2e-05 |" in (folder / "README.md").read_text()
    evaluation.write(scored, folder)
    assert json.loads((folder / "metrics.json").read_text())["training"] == training
    assert len(pd.read_csv(run.path / "predictions.csv")) == 24
    names = {path.stem for path in run.figures.iterdir()}
    assert names == {"accuracy", "confusion", "reliability", "class_balance", "learning_curves"}
    assert not list(folder.glob(".*")) and not list(run.path.glob(".*"))
    assert load(folder).genres == load(tiny_model).genres


def test_only_the_run_is_written_when_no_model_folder_is_named(scored, tiny_model, tmp_path):
    before = {path.name for path in tiny_model.iterdir()}
    evaluation.write(scored, run=Run.create(tmp_path, "evaluate"))
    assert {path.name for path in tiny_model.iterdir()} == before


def test_tracks_whose_names_are_no_text_are_written_as_they_are_called(tiny_model, catalogue, tmp_path):
    table = catalogue.tracks.copy()
    for number, path in enumerate(table["path"]):
        odd = tmp_path / os.fsdecode(b"caf\xe9 %d.wav" % number)
        odd.symlink_to(path)
        table.loc[number, "path"] = str(odd)
    runs = [Run.create(tmp_path, f"evaluate-{number}") for number in range(2)]
    for run in runs:
        evaluation.write(evaluation.evaluate(tiny_model, Catalogue(table), split="all", device="cpu"), run=run)
    assert b"caf\xe9 0.wav" in (runs[0].path / "predictions.csv").read_bytes()
    assert "caf\\udce9" in runs[0].report.read_text(encoding="utf-8")
    assert compare_pairs(runs)["tracks"].tolist() == [24]


def test_the_run_hears_of_it(tiny_model, catalogue, tmp_path):
    run = Run.create(tmp_path, "evaluate")
    evaluation.evaluate(tiny_model, catalogue, run=run, device="cpu")
    assert [event["kind"] for event in run.events()] == ["evaluation_started", "evaluation_ended"]


def test_data_is_described(scored):
    data = scored.metrics["data"]
    assert data["tracks"] == 24 == sum(data["splits"].values())
    assert sum(sum(splits.values()) for splits in data["sources"].values()) == 24
    assert sum(score["tracks"] for score in scored.metrics["per_source"].values()) == 24


def test_a_later_score_leaves_the_day_of_the_weights_and_their_training(tiny_model, catalogue, tmp_path):
    folder = save(load(tiny_model), tmp_path / "mine").folder
    trained = Run.create(tmp_path, "mine")
    trained.write_parameters({"learning_rate": 2e-5})
    evaluation.write(evaluation.evaluate(folder, catalogue, split="valid", device="cpu"), folder, run=trained)
    before = json.loads((folder / "metrics.json").read_text())
    before["created"] = "2020-01-02T03:04:05+00:00"
    (folder / "metrics.json").write_text(json.dumps(before))
    later = evaluation.evaluate(folder, catalogue, split="test", device="cpu")
    evaluation.write(later, folder, run=Run.create(tmp_path, "evaluate"))
    now = json.loads((folder / "metrics.json").read_text())
    assert (now["split"], now["created"], now["training"]) == ("test", before["created"], before["training"])
    assert now["scored"] == later.metrics["created"]
    assert f"| scored | {now['scored'][:10]}, by" in (folder / "README.md").read_text()
    assert describe(folder).created == before["created"]


def test_base_of(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELS_PATH", str(tmp_path))
    base = save(load(tiny_model), tmp_path / "base").folder
    (base / "metrics.json").write_text('{"data": {"sources": {"gtzan": {}}, "inherited_sources": ["emotify"]}}')
    tuned = load(base)
    assert evaluation.base_of(base) is None
    tuned.network.config.base_model = "base"
    save(tuned, tmp_path / "tuned")
    assert evaluation.base_of(tmp_path / "tuned") == base
    tuned.network.config.base_model = "gone"
    save(tuned, tmp_path / "lost")
    assert evaluation.base_of(tmp_path / "lost") is None


def test_what_the_base_had_learned_from_is_inherited(tiny_model, catalogue, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELS_PATH", str(tmp_path))
    base = save(load(tiny_model), tmp_path / "base").folder
    (base / "metrics.json").write_text('{"data": {"sources": {"gtzan": {}}, "inherited_sources": ["emotify"]}}')
    tuned = load(base)
    tuned.network.config.base_model = "base"
    found = evaluation.evaluate(save(tuned, tmp_path / "tuned"), catalogue, device="cpu")
    assert found.metrics["data"]["inherited_sources"] == ["emotify", "gtzan"]
    (base / "metrics.json").unlink()
    found = evaluation.evaluate(tmp_path / "tuned", catalogue, device="cpu")
    assert found.metrics["data"]["inherited_sources"] == ["the music of base"]
    tuned.network.config.trained_on = ["million-song"]
    found = evaluation.evaluate(save(tuned, tmp_path / "carried"), catalogue, device="cpu")
    assert found.metrics["data"]["inherited_sources"] == ["million-song"]
