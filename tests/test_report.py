"""The report holds its numbers, escapes what it is given, and needs nothing beside it."""

from __future__ import annotations

import base64
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genre_lib import plots, report


def score(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


@pytest.fixture
def metrics() -> dict[str, Any]:
    difference = {
        "difference": {"value": 0.117, "low": 0.03, "high": 0.2},
        "better": 9,
        "worse": 2,
        "mcnemar_p": 0.0654,
    }
    return {
        **{"model": "mine", "model_version": "ab12", "split": "test", "tracks": 60, "failed": 0, "not_covered": {}},
        **{"accuracy": score(0.825), "macro_f1": score(0.7)},
        "per_genre": {"rock": {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 30}},
        "per_source": {"emotify": {"tracks": 60, **score(0.825)}},
        "calibration": {"temperature": 1.5, "ece_before": 0.2, "ece_after": 0.1, "cross_fitted": False, "bins": 15},
        "comparison": {
            **{"model": "base", "tracks": 60, "accuracy": score(0.7), "accuracy_restricted": score(0.75)},
            **difference,
            **{"restricted": {"accuracy": score(0.825), **difference}, "not_covered": 0},
        },
        **{"created": "2026-11-23T00:00:00+00:00", "genre_lib_version": "0.1.0"},
    }


@pytest.fixture
def tracks() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "path": [
                "/music/right.mp3",
                '/music/<script>alert("x")</script>.mp3',
                "/music/sure.mp3",
                "/music/broken.mp3",
            ],
            "genre": ["rock", "rock", "rock & roll", "rock"],
            "predicted": ["rock", "pop", "pop", None],
            "confidence": [0.9, 0.6, 0.8, np.nan],
            "right": pd.Series([True, False, False, None], dtype=object),
            "error": [None, None, None, "broken.mp3 is no audio"],
        }
    )


def test_headline_comparison_and_tables(metrics, tracks):
    html = report.render(metrics, tracks, {}, {"learning_rate": 2e-5, "freeze": None})
    assert "<title>mine: 82.5 % of 60 tracks right</title>" in html
    assert "95 % interval 72.5 % to 92.5 %" in html
    assert "Better on 9, worse on 2 of the same 60 tracks" in html
    assert "<td>rock</td>" in html and "66.7 %" in html
    assert "2e-05" in html
    assert "broken.mp3 is no audio" in html and "1 file could not be decoded" in html


def test_names_are_escaped_and_the_surest_error_comes_first(metrics, tracks):
    html = report.render(metrics | {"model": "<b>mine</b>"}, tracks, {})
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert "<b>mine" not in html and "rock &amp; roll" in html
    assert html.index("sure.mp3") < html.index("&lt;script&gt;")
    assert "2 of 2 wrong predictions" in html


def test_nothing_is_fetched(metrics, tracks):
    figure = plots.confusion_matrix(np.array([[1]]), ["rock"])
    html = report.render(metrics, tracks, {"confusion": figure})
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    assert html.count("data:image/png;base64,") == 1


def test_the_page_shows_the_drawing_that_is_kept_as_a_file(tmp_path):
    figure = plots.confusion_matrix(np.array([[1]]), ["rock"])
    shown = report.picture(figure)
    kept = plots.save(figure, tmp_path / "confusion.png")
    assert base64.b64decode(shown["address"].removeprefix("data:image/png;base64,")) == kept.read_bytes()
    assert shown["width"] == round(96 * figure.get_figwidth())


@pytest.mark.parametrize(
    ("low", "high", "p", "said"),
    [
        (-0.1, 0.2, 0.5, "do not tell which"),
        (0.03, 0.2, 0.01, "mine is better than base"),
        (0.03, 0.2, 0.07, "mine looks better than base, but"),
        (-0.3, -0.1, 0.01, "base is better than mine"),
    ],
)
def test_verdict(low, high, p, said):
    comparison = {"model": "base", "difference": {"value": 0, "low": low, "high": high}, "mcnemar_p": p}
    assert said in report.verdict("mine", comparison)


def test_notes_of_caution(metrics, tracks):
    said = report.render(metrics | {"split": "valid", "not_covered": {"polka": 3}, "comparison": None}, tracks, {})
    assert "somewhat optimistic" in said
    assert "polka (3 tracks)" in said
    assert "Few tracks" in said
    assert "Against" not in said
    clean = report.render(metrics | {"tracks": 500, "comparison": None}, tracks[:1], {})
    assert 'class="note"' not in clean
    assert "No track was predicted wrong" in clean


def test_a_temperature_of_few_tracks_is_told_to_be_a_guess(metrics, tracks):
    few = metrics | {"calibration": metrics["calibration"] | {"fitted_on": 12}}
    assert "The temperature was fitted on 12 tracks; on fewer than 30 it is a guess" in report.render(few, tracks, {})
    some = metrics | {"calibration": metrics["calibration"] | {"fitted_on": 31}}
    assert "The temperature was fitted on 31 tracks; on fewer than 100 it may be off" in report.render(some, tracks, {})
    enough = metrics | {"calibration": metrics["calibration"] | {"fitted_on": 100}}
    for told in (report.render(enough, tracks, {}), report.render(metrics, tracks, {})):
        assert "it is a guess" not in told and "may be off" not in told
    none = metrics | {"calibration": metrics["calibration"] | {"fitted_on": 31, "temperature": 1.0}}
    page = report.render(none, tracks, {})
    assert "No temperature that was fitted on 31 tracks made others of them likelier, so none is used; whether" in page


def test_what_the_calibration_error_is_by_chance_is_told_beside_it(metrics, tracks):
    more = {"ece_by_chance": {"low": 0.11, "high": 0.29}, "nll_before": 0.9711, "nll_after": 0.9588}
    page = report.render(metrics | {"calibration": metrics["calibration"] | more}, tracks, {})
    assert "by chance alone 11.0 % to 29.0 %" in page
    assert "which is 0.971 nats as trained and 0.959 with it" in page
    assert "by chance alone" not in report.render(metrics, tracks, {})


def test_a_base_that_knows_none_of_the_genres(metrics, tracks):
    html = report.render(metrics | {"comparison": {"model": "base", "tracks": 0, "difference": None}}, tracks, {})
    assert "base knows none of these genres" in html


def test_only_parameters_that_the_run_used_are_listed(metrics, tracks):
    from genre_lib.training_config import TrainingConfig

    solved = TrainingConfig(solver="lbfgs", freeze="backbone", num_epochs=1, name="mine").model_dump()
    found = report.used(solved)
    assert {"solver": "lbfgs", "freeze": "backbone", "name": "mine", "seed": 0}.items() <= found.items()
    absent = {"learning_rate", "batch_size", "lora_rank", "features_dropout", "layer_decay", "overwrite", "output_path"}
    assert not absent & found.keys() and len(found) < 25
    stepped = report.used(TrainingConfig(method="lora", num_epochs=3).model_dump())
    assert {"learning_rate", "lora_rank", "num_epochs"} <= stepped.keys() and "head_penalty" not in stepped
    assert report.used({"model": "mine", "split": None, "learning_rate": 1}) == {"model": "mine", "learning_rate": 1}
    page = report.render(metrics, tracks, {}, solved)
    assert "<th>freeze</th>" in page and "<th>learning_rate</th>" not in page
