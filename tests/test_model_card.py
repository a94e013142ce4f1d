"""The card's front matter is what the Hub reads, and its fair use follows from the audio's licences."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from genre_lib import model_card


def score(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def data(*sources: str, inherited: tuple[str, ...] = (), licences: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        **{"tracks": 300, "artists": 12, "sources": {name: {"train": 240, "valid": 60} for name in sources}},
        **{"inherited_sources": list(inherited), "licences": list(licences)},
    }


@pytest.fixture
def metrics() -> dict[str, Any]:
    return {
        **{"model": "mine", "model_version": "ab12", "split": "valid", "tracks": 60, "failed": 1},
        **{"not_covered": {"polka": 3}, "accuracy": score(0.825), "macro_f1": score(0.7), "comparison": None},
        "per_genre": {"rock|pop": {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 30}},
        "per_source": {"emotify": {"tracks": 40, **score(0.9)}, "gtzan": {"tracks": 20, **score(0.6)}},
        "calibration": {"temperature": 1.5, "ece_before": 0.2, "ece_after": 0.1, "cross_fitted": True, "bins": 15},
        "data": data("emotify", "gtzan"),
        **{"created": "2026-11-23T00:00:00+00:00", "genre_lib_version": "0.1.0"},
    }


@pytest.fixture
def folder(tmp_path):
    config = {"model_type": "genre_cnn", "id2label": {"10": "rock", "9": "pop"}, "base_model": "genre_classifier"}
    config["inference"] = {"clip_seconds": 3.0, "hop_seconds": 1.5, "temperature": 1.5}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_a_temperature_of_few_tracks_is_told_to_be_a_guess(metrics, folder):
    guess, uncertain = "on fewer than 30 it is a guess", "on fewer than 100 it may be off"
    for tracks, said in (
        *((1, f"fitted on 1 track; {guess}"), (29, f"fitted on 29 tracks; {guess}")),
        *((30, f"fitted on 30 tracks; {uncertain}"), (100, ""), (None, "")),
    ):
        card = model_card.render(folder, metrics | {"calibration": metrics["calibration"] | {"fitted_on": tracks}})
        assert (guess in card or uncertain in card) is bool(said)
        assert f"\n\nThe temperature was {said}" in card or not said
    assert "it is a guess" not in model_card.render(folder, metrics)


def test_front_matter_is_yaml_with_the_scores(metrics, folder):
    front = yaml.safe_load(model_card.render(folder, metrics).split("---")[1])
    assert front["license"] == "other"
    assert front["pipeline_tag"] == "audio-classification"
    assert "music-genre" in front["tags"] and "genre_cnn" in front["tags"]
    result = front["model-index"][0]["results"][0]
    assert result["dataset"] == {"name": "emotify, gtzan", "type": "catalogue", "split": "valid"}
    assert [score["value"] for score in result["metrics"]] == [0.825, 0.7]


def test_scores_data_and_cautions(metrics, folder):
    card = model_card.render(
        folder,
        metrics
        | {
            "training": model_card.training(
                {"init": "pretrained", "learning_rate": 2e-5, "data_path": "/home/me/secret"}
            )
        },
    )
    assert "| accuracy | 82.5 % | 72.5 % | 92.5 % |" in card
    assert "| accuracy on Emotify (40 tracks) | 90.0 % | 80.0 % | 100.0 % |" in card
    assert "one of 2: pop, rock." in card
    assert "somewhat optimistic" in card
    assert "polka (3)" in card and "1 file could not be decoded" in card
    assert "rock\\|pop" in card
    assert "| GTZAN genre collection |" in card and "| 240 | 60 | 0 |" in card
    assert "| learning_rate | 2e-05 |" in card
    assert "secret" not in card


@pytest.mark.parametrize(
    ("told", "kind", "licence"),
    [
        (data("emotify"), "research", "other"),
        (data("my music", inherited=("gtzan",)), "research", "other"),
        (data("my music", licences=("CC BY-NC 4.0",)), "research", "other"),
        (data("my music"), "unknown", "other"),
        (data("my music", licences=("CC0",)), "stated", "other"),
        (data("synthetic-1"), "free", "mit"),
        (data("synthetic-1", "my music"), "unknown", "other"),
    ],
)
def test_fair_use(told, kind, licence):
    assert model_card.fair_use(told)["kind"] == kind
    assert model_card.licence(told)["license"] == licence


def test_research_audio_forbids_trade_and_is_named(metrics, folder):
    card = model_card.render(folder, metrics | {"data": data("my music", inherited=("gtzan",))})
    assert "not for commercial use" in card
    assert "had learned from GTZAN genre collection" in card


def test_inherited_sources_of_a_base(tmp_path):
    told = {"data": {"sources": {"gtzan": {}}, "inherited_sources": ["emotify"]}}
    (tmp_path / "metrics.json").write_text(json.dumps(told))
    assert model_card.inherited_sources(tmp_path) == ["emotify", "gtzan"]
    assert model_card.inherited_sources(tmp_path / "none") == []
    (tmp_path / "metrics.json").write_text("[]")
    assert model_card.inherited_sources(tmp_path) == []


@pytest.mark.parametrize(
    ("source", "audio", "says", "says_not"),
    [
        ("descriptors", {"model_type": "genre_cnn"}, ("clips of 3.0 s", "computed of its sound", "track.mp3"), "alone"),
        ("catalogue", {"model_type": "genre_cnn"}, ("clips of 3.0 s", "whoever asks brings", "track.mp3"), "alone"),
        ("descriptors", None, ("features alone", "computed of its sound", "predict track.mp3"), "clips of"),
        ("catalogue", None, ("features alone", "whoever asks brings", "predict --features songs.csv"), "track.mp3"),
    ],
)
def test_features_are_told(metrics, folder, source: str, audio: dict | None, says: tuple[str, ...], says_not: str):
    config = json.loads((folder / "config.json").read_text())
    kind = {"model_type": "genre_fusion", "features_source": source, "audio": audio}
    (folder / "config.json").write_text(json.dumps(config | kind))
    card = model_card.render(folder, metrics)
    assert all(words in card for words in says)
    assert says_not not in card
    assert "\n\n\n" not in card


def test_of_training_a_card_tells_what_was_done_and_no_place():
    shown = {"init": "pretrained", "freeze": "backbone"}
    asked = shown | {"learning_rate": 2e-5, "mixup": 0.3, "run_path": "/home/me/run", "head_penalty": None}
    assert model_card.training(asked) == shown | {"learning_rate": 2e-5, "mixup": 0.3}
    solved = model_card.training(asked | {"solver": "lbfgs", "head_penalty": 30.0, "start_tags": {}})
    assert solved == shown | {"solver": "lbfgs", "head_penalty": 30.0}
    assert model_card.training({"model": "mine", "seed": 0}) == {}


@pytest.mark.parametrize(
    ("licence", "kind"), [("cc-by-nc-4.0", "research"), ("apache-2.0", "unknown"), ("", "unknown")]
)
def test_the_licence_of_a_downloaded_base_is_told(tmp_path, licence, kind):
    (tmp_path / "source.json").write_text(json.dumps({"repo": "ann/base", "licence": licence}))
    names = model_card.inherited_sources(tmp_path)
    assert names == [f"ann/base ({licence or 'not stated'})"]
    told = model_card.fair_use(data("my music", inherited=tuple(names)))
    assert told["kind"] == kind and (kind == "unknown" or told["because"] == ["the data of ann/base"])
    (tmp_path / "metrics.json").write_text('{"data": {"sources": {"gtzan": {}}}}')
    assert model_card.inherited_sources(tmp_path) == [*names, "gtzan"]
