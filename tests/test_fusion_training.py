"""Training with features beside the sound: whence they come, what is learned of them, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genre_lib.audio import Limits
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_table import read
from genre_lib.data.features import given_features
from genre_lib.errors import ConfigurationError
from genre_lib.evaluation import evaluate
from genre_lib.inference import Predictor
from genre_lib.models.folder import load
from genre_lib.networks.fusion_features import FEATURES
from genre_lib.training import TrainingConfig, fit

SMALL = {
    "clips_per_epoch": 16,
    "batch_size": 8,
    "accelerator": "cpu",
    "devices": 1,
    "num_epochs": 1,
    "learning_rate": 5e-3,
    "feature_network": {"width": 8, "members": 2},
}


@pytest.fixture(scope="module")
def cache_path(tmp_path_factory) -> str:
    """One cache for all, so that the catalogue is decoded once."""
    return str(tmp_path_factory.mktemp("features"))


@pytest.fixture
def asked(tiny_model, cache_path) -> dict:
    return SMALL | {"base_model": str(tiny_model), "cache_path": cache_path}


@pytest.fixture
def tracks(synthetic_catalogue) -> Catalogue:
    return read(synthetic_catalogue / "catalogue.csv")


@pytest.fixture
def with_columns(tracks) -> Catalogue:
    """The catalogue with an energy that gives the genre away, as text as from a CSV, and without it for one track."""
    table = tracks.tracks.assign(energy=tracks.tracks["genre"].factorize()[0].astype(str), tempo="")
    table.loc[0, "energy"] = ""
    return replace(tracks, tracks=table)


def test_columns_are_features_by_their_names(tracks, with_columns):
    assert given_features(tracks.tracks) == {}
    given = given_features(with_columns.tracks)
    assert given[with_columns.tracks["path"][1]] == {"energy": "0", "tempo": ""}


def test_descriptors_are_computed_once(asked, tracks, cache_path):
    result = fit(asked | {"features": "descriptors"}, tracks)
    (told,) = result.run.events("features_known")
    assert told["source"] == "descriptors" and set(told["shares"]) == set(FEATURES)
    assert told["shares"]["energy"] == 1.0
    learned = tracks.tracks["split"].isin(["train", "valid"]).sum()
    assert len(list(Path(cache_path, "descriptors").rglob("*.json"))) == learned
    config = load(result.model_folder).network.config
    assert (config.model_type, config.features_source, config.width) == ("genre_fusion", "descriptors", 8)
    assert len(config.edges["energy"]) >= 2


def test_the_catalogue_comes_first_where_it_knows_something(asked, tracks, with_columns):
    result = fit(asked | {"features": "auto"}, with_columns)
    (told,) = result.run.events("features_known")
    train = with_columns.split("train").tracks
    assert told["source"] == "catalogue"
    assert told["shares"]["energy"] == pytest.approx((train["energy"] != "").mean(), abs=1e-4)
    assert told["shares"]["tempo"] == 0
    assert list(load(result.model_folder).network.config.edges) == ["energy"]


def test_a_model_of_features_alone_learns_what_they_tell(asked, with_columns):
    longer = {"num_epochs": 12, "clips_per_epoch": 64, "learning_rate": 0.02, "keep": "last"}
    result = fit(asked | longer | {"features": "catalogue", "audio_dropout": 1}, with_columns)
    assert load(result.model_folder).network.config.audio is None
    valid = with_columns.split("valid").tracks
    assert result.metrics["valid_accuracy"] >= 1 - (valid["energy"] == "").mean()
    scored = evaluate(result.model_folder, with_columns, "valid", device="cpu")  # which gives it the columns, too
    assert scored.metrics["accuracy"]["value"] == result.metrics["valid_accuracy"]
    predictor = Predictor.from_folder(result.model_folder, device="cpu")
    sounds = [np.zeros(30000, np.float32), np.ones(30000, np.float32)]
    first, second = predictor.waveforms(sounds, features=[{"energy": 1}] * 2)
    assert np.array_equal(first.logits, second.logits)


def test_a_model_with_features_is_fine_tuned_as_it_is(asked, tracks):
    first = fit(asked | {"features": "descriptors", "num_epochs": 1}, tracks)
    again = fit(asked | {"base_model": str(first.model_folder), "freeze": "backbone", "audio_dropout": 0.1}, tracks)
    before, after = (load(result.model_folder).network for result in (first, again))
    assert (after.config.features_source, after.config.audio_dropout) == ("descriptors", 0.1)
    assert after.config.edges == before.config.edges
    assert after.backbone.stem.weight.equal(before.backbone.stem.weight)
    assert not after.encoder.layers[0].weight.equal(before.encoder.layers[0].weight)


def test_the_scores_of_training_are_those_of_prediction(asked, tracks):
    result = fit(asked | {"features": "descriptors"}, tracks)
    scored = evaluate(result.model_folder, tracks, "valid", device="cpu")
    assert scored.metrics["accuracy"]["value"] == result.metrics["valid_accuracy"]
    path = tracks.split("valid").tracks["path"][0]
    predictor = Predictor.from_folder(result.model_folder, device="cpu")
    described = predictor.beside.of_file(path, Limits())
    assert np.array_equal(predictor.file(path).logits, predictor.file(path, features=described).logits)


@pytest.mark.parametrize("freeze", ["front", "norms"])
def test_a_network_from_a_base_can_rest_in_part(asked, tracks, freeze):
    result = fit(asked | {"features": "descriptors", "freeze": freeze, "mixup": 0.3}, tracks)
    old, new = load(asked["base_model"]).network, load(result.model_folder).network
    assert old.backbone.stem.weight.equal(new.backbone.stem.weight) is (freeze == "front")
    assert old.backbone.input_norm.running_mean.equal(new.backbone.input_norm.running_mean)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"features": "catalogue"}, "Set features to descriptors"),
        ({"features": "descriptors", "feature_network": {"widht": 8}}, "did you mean width"),
        ({"features": "descriptors", "feature_network": {"width": 0}}, "feature_network cannot be built"),
    ],
)
def test_what_cannot_be_is_a_sentence(asked, tracks, fields, message):
    with pytest.raises(ConfigurationError, match=message):
        fit(asked | fields, tracks)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"features": "lyrics"}, "features: .*'lyrics'"),
        ({"audio_dropout": 0.6, "features_dropout": 0.6}, "not above 1 together"),
        ({"init": "scratch", "subclasses": "source", "features": "auto"}, "for sound alone"),
    ],
)
def test_settings_that_contradict_each_other(fields, message):
    with pytest.raises(ConfigurationError, match=message):
        TrainingConfig(**fields)
