"""Cells by hand: numbers of a made-up comparison, and dashes where nothing is known."""

from __future__ import annotations

from typing import Any

import pytest

from genre_lib import side_by_side_tables as tables


def score(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def model(name: str, **more: Any) -> dict[str, Any]:
    told = ("method", "trainable_parameters", "seconds", "peak_memory_mib", "clips_per_second", "device")
    untold = dict.fromkeys(told)
    known = {
        **{"model": name, "version": "ab", "kind": "genre_cnn", "base_model": None, "is_base": name == "base"},
        **{"genres": 2, "accuracy": score(0.5), "accuracy_restricted": score(0.6), "macro_f1": score(0.4)},
        **{"calibration_error": 0.05, "f1": {"rock": 0.25}, "not_covered": {}, "training": untold},
        **{"milliseconds": {"value": 12.5, "low": 12.0, "high": 13.25}, "tracks_per_second": 80.0},
        **{"memory_bytes": 3 * 2**20, "peak_bytes": None, "parameters": 786_432, "file_bytes": 3 * 2**20 + 99},
    }
    return known | more


def paired(value: float, better: int, worse: int) -> dict[str, Any]:
    return {"difference": score(value), "better": better, "worse": worse, "mcnemar_p": 0.25}


@pytest.fixture
def content() -> dict[str, Any]:
    told = {
        "method": "lora",
        "trainable_parameters": 294_912,
        "seconds": 125.0,
        "peak_memory_mib": 1536.0,
        "clips_per_second": 31.46,
        "device": "cuda",
    }
    strange = dict.fromkeys(("accuracy", "accuracy_restricted", "macro_f1", "calibration_error", "f1", "not_covered"))
    return {
        **{"split": "test", "tracks": 60, "failed": 0, "genres": ["jazz", "rock"]},
        "models": [
            model("base", not_covered={"jazz": 1, "polka": 2}),
            model("lora", training=told),
            model("strange", **strange),
        ],
        "differences": [
            {"model": "lora", "against": "base", "tracks": 60, **paired(0.1, 9, 3), "restricted": paired(0.0, 4, 4)}
        ],
        "measured": {
            **{
                "device": "cpu",
                "processor": "a CPU, 2 cores",
                "threads": 1,
                "torch": "2.11",
                "engine": "torch-float32",
                "batch_size": 16,
            },
            **{"seconds": 30.0, "rounds": 9, "warm_up": 1},
        },
    }


def test_quality(content):
    columns, (base, _, strange) = tables.quality(content)
    assert dict(zip(columns[:5], base[:5], strict=True)) == {
        "Model": "base",
        "Accuracy": "50.0 %",
        "95 % interval": "40.0 % to 60.0 %",
        "These genres only": "60.0 %",
        "Macro-F1": "40.0 %",
    }
    assert base[-1] == "5.0 %"
    assert strange == ["strange", *["–"] * 6]
    assert tables.not_comparable(content) == ["strange"]
    assert tables.partly(content) == {"base": "jazz (1 track), polka (2 tracks)"}


def test_prediction_and_training(content):
    columns, rows = tables.prediction(content)
    assert rows[0] == ["base", "12.5", "12.0 to 13.2", "80.0", "3.00 MiB", "786 k", "3.00 MiB"]
    assert len(columns) == 7
    columns, rows = tables.training(content)
    assert rows[0] == ["base", *["–"] * 6]
    assert rows[1] == ["lora", "lora", "295 k", "2 min 5 s", "1.50 GiB", "31.5", "cuda"]


def test_a_gpu_tells_its_peak(content):
    content["models"][0]["peak_bytes"] = 2**30
    content["measured"] |= {"device": "cuda", "processor": "a GPU"}
    columns, rows = tables.prediction(content)
    assert (columns[5], rows[0][5], rows[1][5]) == ("Peak on the GPU", "1.00 GiB", "–")
    assert "on cuda (a GPU), torch 2.11, engine torch-float32." in tables.measured(content)


def test_pairs_once_where_both_ways_to_ask_give_the_same(content):
    _, rows = tables.paired(content)
    assert rows[0] == ["lora", "base", "all genres", "9", "3", "+10.0", "+0.0 to +20.0", "0.25"]
    assert rows[1][2:6] == ["these genres only", "4", "4", "+0.0"]
    content["differences"][0]["restricted"] = paired(0.1, 9, 3)
    assert [row[2] for row in tables.paired(content)[1]] == ["all genres"]
    assert len(tables.differences(content)) == 2


def test_genres_and_what_was_measured(content):
    columns, rows = tables.genres(content)
    assert columns == ["Genre", "base", "lora", "strange"]
    assert rows == [["jazz", "–", "–", "–"], ["rock", "25.0 %", "25.0 %", "–"]]
    said = tables.measured(content)
    assert "30 s of decoded sound" in said and "median of 9 rounds" in said
    assert "on cpu (a CPU, 2 cores, 1 thread), torch 2.11, engine torch-float32." in said
    assert tables.scored(content) == "60 tracks of the test split"
    assert tables.scored(content | {"split": "all"}) == "all 60 tracks"


def test_summary_has_a_column_for_each_model(content):
    table = tables.summary(content)
    assert table.columns.tolist() == ["base", "lora", "strange"]
    assert table["lora"]["Accuracy"] == "50.0 %" and table["lora"]["Training time"] == "2 min 5 s"
    assert len(table) == 6 + 6 + 6


def test_plain_numbers(content):
    table = tables.models_table(content).set_index("model")
    assert table.loc["lora", ["accuracy", "accuracy_low", "milliseconds_high"]].tolist() == [0.5, 0.4, 13.25]
    assert table.loc["lora", ["training_seconds", "training_peak_mib"]].tolist() == [125.0, 1536.0]
    assert table["accuracy"].isna().tolist() == [False, False, True]
