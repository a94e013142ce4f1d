"""Two models on the same tracks, counted by hand."""

from __future__ import annotations

import doctest

import numpy as np
import pandas as pd
import pytest

from genre_lib import comparison
from genre_lib.answers import UNKNOWN, Answers
from genre_lib.comparison import compare, compare_pairs, intervals_of, read_metrics
from genre_lib.errors import RunError
from genre_lib.runs import Run


def one_hot(predicted: list[int], classes: int) -> np.ndarray:
    return np.eye(classes)[predicted]


def answers(name: str, predicted: list[int], targets: list[int], classes: int = 2) -> Answers:
    genres = ["rock", "pop", "jazz"][:classes]
    return Answers(name, genres, one_hot(predicted, classes), np.array(targets), [None] * len(targets))


def test_counts_and_difference():
    """Ten tracks: mine has 8 right, the base 5; mine alone 4, the base alone 1."""
    targets = [0] * 10
    mine = answers("mine", [0] * 8 + [1] * 2, targets)
    base = answers("base", [1] * 4 + [0] * 4 + [0] + [1], targets)
    content, intervals = compare(mine, base, seed=0)
    assert (content["better"], content["worse"], content["tracks"]) == (4, 1, 10)
    assert content["accuracy"]["value"] == 0.5
    assert content["difference"]["value"] == pytest.approx(0.3)
    assert content["difference"]["low"] < 0.3 < content["difference"]["high"]
    assert content["mcnemar_p"] == pytest.approx(2 * 6 / 32)
    assert intervals["base, all its genres"].value == 0.5


def test_a_base_of_more_genres_is_also_asked_for_these_only():
    """It calls a track jazz, which the catalogue does not have; the second best is right."""
    logits = np.array([[2.0, 0.0, 3.0], [0.0, 2.0, 1.0]])
    base = Answers("base", ["rock", "pop", "jazz"], logits, np.array([0, 1]), [None, None])
    content, _ = compare(answers("mine", [0, 1], [0, 1]), base, seed=0)
    assert content["accuracy"]["value"] == 0.5
    assert content["accuracy_restricted"]["value"] == 1.0
    assert content["restricted"]["difference"]["value"] == 0.0
    assert (content["better"], content["restricted"]["better"]) == (1, 0)


def test_only_tracks_that_both_heard_count():
    deaf = Answers("base", ["rock", "pop"], np.array([[1.0, 0], [np.nan] * 2]), np.array([0, 0]), [None, "broken"])
    content, _ = compare(answers("mine", [0, 0], [0, 0]), deaf, seed=0)
    assert content["tracks"] == 1
    assert content["difference"]["value"] == 0.0


def test_a_base_that_knows_some_of_the_genres_or_none():
    mine = answers("mine", [0, 1], [0, 1])
    some, _ = compare(mine, answers("base", [0, 1], [0, UNKNOWN]), seed=0)
    assert (some["not_covered"], some["accuracy"]["value"]) == (1, 0.5)
    none, _ = compare(mine, answers("base", [0, 1], [UNKNOWN, UNKNOWN]), seed=0)
    assert none["difference"] is None
    assert comparison.sentence(none) == "base knows none of these genres, so there is nothing to compare."


def test_sentence():
    assert doctest.testmod(comparison).failed == 0
    assert comparison.sentence(None) == "Not compared with another model."


def scored_run(folder, name: str, right: list[bool | None]) -> Run:
    run = Run.create(folder, name)
    rows = {"path": [f"/music/{i}.mp3" for i in range(len(right))], "right": right}
    pd.DataFrame(rows).to_csv(run.path / comparison.PREDICTIONS, index=False)
    return run


def test_pairs_of_runs_meet_on_the_tracks_that_both_scored(tmp_path):
    runs = [
        scored_run(tmp_path, "a", [True, True, True, False, None]),
        scored_run(tmp_path, "b", [True, False, False, False]),
        Run.create(tmp_path, "not-evaluated"),
    ]
    table = compare_pairs(runs)
    assert len(table) == 1
    row = table.iloc[0]
    assert (row.tracks, row.first_better, row.second_better) == (4, 2, 0)
    assert row.difference == pytest.approx(0.5)
    assert row.mcnemar_p == pytest.approx(0.5)


@pytest.mark.parametrize("count", [0, 1])
def test_no_pairs_of_hardly_any_runs(tmp_path, count):
    runs = [scored_run(tmp_path, "a", [True])][:count]
    assert compare_pairs(runs).empty
    assert "difference" in compare_pairs(runs)


def test_metrics_of_runs(tmp_path):
    run, bare = Run.create(tmp_path, "a"), Run.create(tmp_path, "b")
    (run.path / "metrics.json").write_text('{"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}')
    scores = read_metrics([run, bare])
    assert list(scores) == [run.id]
    assert intervals_of(scores)[run.id].high == 0.6


def test_a_table_that_is_none(tmp_path):
    runs = [scored_run(tmp_path, name, [True]) for name in "ab"]
    (runs[0].path / comparison.PREDICTIONS).write_text("nothing\n")
    with pytest.raises(RunError, match="is no table of predictions"):
        compare_pairs(runs)
