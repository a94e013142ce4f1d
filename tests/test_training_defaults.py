"""What a fine-tuning is told where nobody says otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genre_lib.errors import ModelNotFound
from genre_lib.job_request import FIELDS
from genre_lib.settings import REPOSITORY
from genre_lib.training_config import TrainingConfig, load_experiment
from genre_lib.training_defaults import (
    EMBEDDINGS,
    EXPERIMENT,
    FEATURES_ALONE,
    FULL,
    HEAD,
    LORA,
    WITH_FEATURES,
    completed,
)


def test_our_networks_get_the_experiments_fields_and_what_was_given_wins(tiny_model: Path):
    found = completed({"num_epochs": 2, "learning_rate": 0.5}, tiny_model)
    assert found == load_experiment(EXPERIMENT) | {"num_epochs": 2, "learning_rate": 0.5}
    assert TrainingConfig(**found).freeze == "front"
    starter = REPOSITORY / "pretrained" / "genre_classifier"
    assert completed({"num_epochs": 2}, starter)["learning_rate"] > 1e-4
    assert completed({}, starter) == load_experiment(HEAD)


@pytest.fixture
def transformer(tiny_model: Path, tmp_path: Path) -> Path:
    """A folder that says it holds AST."""
    other = tmp_path / "ast"
    other.mkdir()
    for file in tiny_model.iterdir():
        if file.is_file():
            (other / file.name).write_bytes(file.read_bytes())
    config = json.loads((other / "config.json").read_text()) | {"model_type": "audio-spectrogram-transformer"}
    (other / "config.json").write_text(json.dumps(config))
    return other


@pytest.mark.parametrize(
    ("given", "experiment"),
    [
        ({}, EMBEDDINGS),
        ({"num_epochs": 2, "seed": 1}, EMBEDDINGS),
        ({"method": "head", "batch_size": 4}, EMBEDDINGS),
        ({"method": "lora", "lora_rank": 4}, LORA),
        ({"method": "full", "freeze": "none"}, FULL),
    ],
)
def test_transformers_have_an_experiment_for_each_method(transformer: Path, given: dict, experiment: Path):
    found = completed(given, transformer)
    assert found == load_experiment(experiment) | given
    TrainingConfig(**found)


@pytest.mark.parametrize("given", [{"freeze": "backbone"}, {"freeze": "none", "num_epochs": 2}])
def test_transformers_of_which_it_is_said_what_rests_keep_the_plain_defaults(transformer: Path, given: dict):
    assert completed(given, transformer) == given
    assert TrainingConfig(**given).learning_rate == 2e-5


def test_the_head_of_a_transformer_can_be_solved_for(transformer: Path):
    found = completed({"method": "head", "solver": "lbfgs"}, transformer)
    assert TrainingConfig(**found).num_epochs == 1


@pytest.mark.parametrize("given", [{"method": "full"}, {"method": "head"}, {"method": "head", "num_epochs": 3}])
def test_our_networks_know_methods_too(tiny_model: Path, given: dict):
    found = completed(given, tiny_model)
    assert TrainingConfig(**found).method == given["method"]


def test_without_validation_nothing_is_there_to_stop_by(tiny_model: Path):
    found = completed({"evaluation_strategy": "no", "num_epochs": 2}, tiny_model)
    assert TrainingConfig(**found).early_stopping_patience is None


@pytest.mark.parametrize("experiment", [HEAD, EXPERIMENT, WITH_FEATURES, FEATURES_ALONE, EMBEDDINGS, LORA, FULL])
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
