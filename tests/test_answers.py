"""Genres are matched by name, and an answer knows which tracks were heard."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genre_lib.answers import UNKNOWN, Answers, answer, display_name, match_genres, require_something_to_score
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.opening import open_catalogue
from genre_lib.errors import CatalogueInvalid
from genre_lib.models.folder import load


@pytest.fixture
def answers() -> Answers:
    """Three genres; the third track could not be decoded, the fourth has a genre that the model does not know."""
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [np.nan] * 3, [0.0, 3.0, 1.0]])
    return Answers("m", ["rock", "pop", "jazz"], logits, np.array([0, 1, 0, UNKNOWN]), [None, None, "no audio", None])


def test_same_name_first_then_the_canonical_one():
    assert match_genres(["electronic", "techno"], ["techno", "house"]) == {"techno": 1, "house": 0}
    assert match_genres(["Hip-Hop", "Rock"], ["hiphop", "alternative rock", "polka"]) == {
        "hiphop": 0,
        "alternative rock": 1,
        "polka": UNKNOWN,
    }


def test_right_and_wrong(answers):
    assert answers.heard.tolist() == [True, True, False, True]
    assert answers.predicted().tolist() == [0, 2, UNKNOWN, 1]
    assert answers.names() == ["rock", "jazz", None, "pop"]
    assert answers.right().tolist() == [True, False, False, False]


def test_asked_only_for_the_catalogues_genres(answers):
    assert answers.of_catalogue().tolist() == [0, 1]
    assert answers.predicted(answers.of_catalogue()).tolist() == [0, 1, UNKNOWN, 1]
    assert answers.right(answers.of_catalogue()).tolist() == [True, True, False, False]


def test_every_track_is_answered(tiny_model, synthetic_catalogue):
    chosen = open_catalogue(synthetic_catalogue).split("valid")
    answers = answer(load(tiny_model), chosen, "cpu")
    assert answers.logits.shape == (len(chosen), 4)
    assert answers.heard.all()
    genres = [answers.genres[target] for target in answers.targets]
    assert genres == chosen.tracks["genre"].tolist()


def test_nothing_in_common_is_an_error(answers):
    polka = Catalogue(pd.DataFrame({"path": ["/a", "/b", "/c", "/d"], "genre": "polka"}))
    unknown = Answers("m", answers.genres, answers.logits, np.full(4, UNKNOWN), answers.errors)
    with pytest.raises(CatalogueInvalid, match=r"Expected genres that m knows \(rock, pop, jazz\); came only polka"):
        require_something_to_score(unknown, polka)
    deaf = Answers("m", answers.genres, answers.logits, answers.targets, ["/a is empty"] * 4)
    with pytest.raises(CatalogueInvalid, match="None of the 4 tracks could be decoded, first /a: /a is empty"):
        require_something_to_score(deaf, polka)


def test_a_model_in_a_run_is_called_as_the_run(tiny_model, tmp_path):
    model = load(tiny_model)
    assert display_name(model) == tiny_model.name
    model.folder = tmp_path / "20261123-head" / "model"
    assert display_name(model) == "20261123-head"
