"""What a small model takes: bytes by arithmetic, and who is measured when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genre_lib import costs
from genre_lib.errors import AudioNotFound
from genre_lib.inference import Predictor


@pytest.fixture
def predictor(tiny_model: Path) -> Predictor:
    return Predictor.from_folder(tiny_model, device="cpu")


@pytest.fixture
def paths(tmp_path: Path, tone, write_wav) -> list[str]:
    return [str(write_wav(tmp_path / f"{seconds}.wav", tone(seconds))) for seconds in (2.0, 40.0)]


def test_bytes_are_those_of_weights_and_files(predictor, paths, tiny_model):
    (cost,) = costs.measure([predictor], paths, rounds=3)
    network = predictor.network
    assert cost.parameters == sum(np.prod(parameter.shape) for parameter in network.parameters())
    assert cost.memory_bytes == sum(t.numel() * t.element_size() for t in network.state_dict().values())
    assert cost.file_bytes == (tiny_model / "model.safetensors").stat().st_size
    assert cost.peak_bytes is None
    assert cost.milliseconds.shape == (3,) and (cost.milliseconds > 0).all()


def test_median_and_quartiles():
    told = costs.Cost(np.array([10.0, 20, 30, 40, 50]), 1, None, 1, None).to_json()
    assert told["milliseconds"] == {"value": 30.0, "low": 20.0, "high": 40.0}
    assert told["tracks_per_second"] == pytest.approx(1000 / 30)


def test_sound_is_thirty_seconds_of_each_track_that_can_be_decoded(predictor, paths, tmp_path):
    rate = predictor.model.sample_rate
    short, long = costs.decoded([str(tmp_path / "gone.wav"), *paths], predictor)
    assert len(short) == len(long) == 30 * rate
    assert np.array_equal(short[: 2 * rate], short[2 * rate : 4 * rate])
    assert len(costs.decoded(paths * 4, predictor)) == costs.TRACKS


def test_nothing_that_can_be_decoded(predictor, tmp_path):
    with pytest.raises(AudioNotFound, match=r"gone\.wav"):
        costs.measure([predictor], [str(tmp_path / "gone.wav")])


def test_models_take_turns_after_a_warm_up_each(tiny_model, paths, monkeypatch):
    called: list[tuple[str, int]] = []

    class Watched(Predictor):
        def waveform(self, waveform, **options):
            called.append((self.label, len(waveform)))
            return super().waveform(waveform, **options)

    predictors = [Watched.from_folder(tiny_model, device="cpu") for _ in "ab"]
    for label, each in zip("ab", predictors, strict=True):
        each.label = label
    costs.measure(predictors, paths, rounds=3)
    assert "".join(label for label, _ in called) == "ab" + "ab" + "ba" + "ab"


def test_no_round_is_begun_after_the_longest_time(predictor, paths, monkeypatch):
    monkeypatch.setattr(costs, "MOST_SECONDS", 0.0)
    (cost,) = costs.measure([predictor], paths, rounds=9)
    assert len(cost.milliseconds) == costs.FEWEST_ROUNDS


def test_conditions_name_where_and_how(predictor, paths):
    told = costs.conditions([predictor], costs.measure([predictor], paths, rounds=3))
    assert (told["device"], told["batch_size"], told["seconds"], told["rounds"]) == ("cpu", 16, 30.0, 3)
    assert told["engine"] == predictor.engine.name
    assert told["processor"] and told["threads"] >= 1
