"""Which scores may be recorded as a model's own, asked of real model folders; nothing is heard for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genre_lib.data.catalogue import Catalogue
from genre_lib.data.opening import open_catalogue
from genre_lib.data_description import describe_data
from genre_lib.errors import ConfigurationError
from genre_lib.own_score import place_to_record


@pytest.fixture(scope="module")
def catalogue(synthetic_catalogue: Path) -> Catalogue:
    return open_catalogue(synthetic_catalogue)


@pytest.fixture
def folder(tmp_path: Path, catalogue: Catalogue) -> Path:
    (tmp_path / "metrics.json").write_text(json.dumps({"data": describe_data(catalogue)}))
    return tmp_path


@pytest.mark.parametrize("split", [None, "valid", "test"])
def test_valid_and_test_tracks_of_its_own_music_may_be_the_model_s(folder: Path, catalogue: Catalogue, split):
    assert place_to_record(folder, catalogue, split) == folder


@pytest.mark.parametrize("split", ["train", "all"])
def test_tracks_that_it_was_trained_on_may_not(folder: Path, catalogue: Catalogue, split: str):
    with pytest.raises(ConfigurationError, match=f"this is one on {split}"):
        place_to_record(folder, catalogue, split)


def test_other_music_may_not(folder: Path, catalogue: Catalogue):
    with pytest.raises(ConfigurationError, match="of another, or split otherwise"):
        place_to_record(folder, catalogue.split("test"), "test")


def test_a_model_that_does_not_say_what_it_learned_from_has_none(tmp_path: Path, catalogue: Catalogue):
    with pytest.raises(ConfigurationError, match="tells what it was trained on"):
        place_to_record(tmp_path, catalogue, "test")
