"""What a fine-tuning is told where nobody says otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genre_lib.errors import ModelNotFound
from genre_lib.job_request import FIELDS
from genre_lib.settings import REPOSITORY
from genre_lib.training_config import TrainingConfig, load_experiment
from genre_lib.training_defaults import EXPERIMENT, FEATURES_ALONE, HEAD, WITH_FEATURES, completed


def test_our_networks_get_the_experiments_fields_and_what_was_given_wins(tiny_model: Path):
    found = completed({"num_epochs": 2, "learning_rate": 0.5}, tiny_model)
    assert found == load_experiment(EXPERIMENT) | {"num_epochs": 2, "learning_rate": 0.5}
    assert TrainingConfig(**found).freeze == "front"
    starter = REPOSITORY / "pretrained" / "genre_classifier"
    assert completed({"num_epochs": 2}, starter)["learning_rate"] > 1e-4
    assert completed({}, starter) == load_experiment(HEAD)


def test_transformers_networks_keep_the_defaults_that_suit_them(tiny_model: Path, tmp_path: Path):
    other = tmp_path / "ast"
    other.mkdir()
    for file in tiny_model.iterdir():
        if file.is_file():
            (other / file.name).write_bytes(file.read_bytes())
    config = json.loads((other / "config.json").read_text()) | {"model_type": "audio-spectrogram-transformer"}
    (other / "config.json").write_text(json.dumps(config))
    assert completed({"num_epochs": 2}, other) == {"num_epochs": 2}
    assert TrainingConfig().learning_rate == 2e-5


def test_without_validation_nothing_is_there_to_stop_by(tiny_model: Path):
    found = completed({"evaluation_strategy": "no", "num_epochs": 2}, tiny_model)
    assert TrainingConfig(**found).early_stopping_patience is None


@pytest.mark.parametrize("experiment", [HEAD, EXPERIMENT, WITH_FEATURES, FEATURES_ALONE])
def test_every_field_of_it_may_be_set_over_http_too(experiment: Path):
    assert set(load_experiment(experiment)) <= set(FIELDS.values())


def test_a_base_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ModelNotFound):
        completed({}, tmp_path / "none")


@pytest.mark.parametrize(
    ("given", "experiment"),
    [
        ({}, HEAD),
        ({"seed": 3, "class_balance": "none"}, HEAD),
        ({"features": "none", "audio_dropout": 1}, HEAD),
        ({"freeze": "backbone", "solver": "lbfgs"}, HEAD),
        ({"num_epochs": 3}, EXPERIMENT),
        ({"mixup": 0.1}, EXPERIMENT),
        ({"freeze": "backbone"}, EXPERIMENT),
        ({"features": "descriptors"}, WITH_FEATURES),
        ({"features": "catalogue"}, WITH_FEATURES),
        ({"features": "catalogue", "audio_dropout": 1.0}, FEATURES_ALONE),
    ],
)
def test_what_suits_features(tiny_model: Path, given: dict[str, object], experiment: Path):
    advice = load_experiment(experiment)
    assert completed(given, tiny_model) == advice | given
    TrainingConfig(**advice)
