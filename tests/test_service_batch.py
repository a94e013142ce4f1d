"""Requests that are predicted together: each as alone, and a bad one fails alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from genre_lib import registry
from genre_lib.audio import Limits
from genre_lib.inference import Predictor
from genre_lib.service.batch import BatchPredictor
from genre_lib.service.messages import PredictRequest
from genre_lib.service.model_cache import ModelCache
from genre_lib.service.schemas import PredictAnswer
from genre_lib.service.status import WorkerStatus
from genre_lib.settings import Settings, get_settings


@pytest.fixture
def settings(tiny_model: Path, tmp_path: Path) -> Settings:
    return get_settings(model_path=tiny_model, models_path=tmp_path / "models", device="cpu")


@pytest.fixture
def models(settings: Settings) -> ModelCache:
    cache = ModelCache(settings, lambda folder: Predictor.from_folder(folder, device="cpu"))
    cache.start()
    return cache


@pytest.fixture
def batch(models: ModelCache) -> BatchPredictor:
    return BatchPredictor(models, Limits(max_seconds=20), WorkerStatus())


@pytest.fixture
def tracks(tmp_path: Path, tone, write_wav) -> list[Path]:
    return [write_wav(tmp_path / f"{n}.wav", tone(seconds, 220.0 * n)) for n, seconds in ((1, 2.0), (2, 4.0), (3, 7.0))]


def ask(path: Path, **fields) -> PredictRequest:
    return PredictRequest(str(path), f"my {path.name}", **fields)


def test_a_batch_answers_as_each_track_alone(batch: BatchPredictor, tracks: list[Path], tiny_model: Path):
    answers = batch.answers([ask(path, top_k=4) for path in tracks])
    alone = Predictor.from_folder(tiny_model, device="cpu")
    for path, answer in zip(tracks, answers, strict=True):
        expected = alone.file(path).to_json(4)
        assert answer.status == 200
        assert answer.content["duration"] == expected["duration"]
        for got, want in zip(answer.content["predictions"], expected["predictions"], strict=True):
            assert got["confidence"] == pytest.approx(want["confidence"], abs=1e-5)
    assert [answer.headers["X-Batch-Size"] for answer in answers] == ["3", "3", "3"]
    assert (batch.status.passes, batch.status.tracks, batch.status.mean_batch) == (1, 3, 3.0)


def test_one_bad_upload_fails_alone(batch: BatchPredictor, tracks: list[Path], tmp_path: Path):
    text, empty, gone = tmp_path / "text.mp3", tmp_path / "empty.mp3", tmp_path / "gone.mp3"
    text.write_bytes(b"no audio at all " * 50)
    empty.touch()
    answers = batch.answers([ask(path) for path in (tracks[0], text, empty, tracks[1], gone)])
    assert [answer.status for answer in answers] == [200, 415, 422, 200, 422]
    assert [answer.content.get("code") for answer in answers] == [
        None,
        "not_audio",
        "empty_audio",
        None,
        "audio_not_found",
    ]
    assert answers[1].content["detail"].startswith("my text.mp3 is not audio")
    assert str(tmp_path) not in "".join(answer.content.get("detail", "") for answer in answers)


def test_a_track_beyond_the_limit_is_refused(batch: BatchPredictor, tmp_path: Path, tone, write_wav):
    answer = batch.answers([ask(write_wav(tmp_path / "long.wav", tone(21.0)))])[0]
    assert (answer.status, answer.content["code"]) == (422, "audio_too_long")


def test_a_timeline_is_for_those_who_asked(batch: BatchPredictor, tracks: list[Path]):
    with_it, without = batch.answers([ask(tracks[2], timeline=True, top_k=1), ask(tracks[2])])
    assert with_it.content["timeline"][-1]["end"] == pytest.approx(7.0)
    assert all(len(segment["predictions"]) == 1 for segment in with_it.content["timeline"])
    assert "timeline" not in without.content
    PredictAnswer.model_validate(with_it.content)


def test_requests_for_different_models_share_a_batch(batch: BatchPredictor, tracks, settings, tiny_model):
    registry.publish(tiny_model, "other", settings)
    asked = [ask(tracks[0]), ask(tracks[0], model_name="other"), ask(tracks[1], model_name="absent"), ask(tracks[2])]
    answers = batch.answers(asked)
    assert [answer.status for answer in answers] == [200, 200, 404, 200]
    assert [answer.content.get("model_name") for answer in answers] == ["tiny", "other", None, "tiny"]
    assert [answer.headers.get("X-Batch-Size") for answer in answers] == ["2", "1", None, "2"]
    assert "tiny" in answers[2].content["detail"]


def test_a_name_is_never_a_path(batch: BatchPredictor, tracks: list[Path], tiny_model: Path):
    for name in (str(tiny_model), "../tiny", ".", ""):
        answer = batch.answers([ask(tracks[0], model_name=name)])[0]
        assert answer.content["code"] == "model_not_found"


def test_where_a_pass_fails_only_the_culprit_does(batch: BatchPredictor, tracks, models, monkeypatch):
    real = models.active.clip_logits

    def fails_on_seven_seconds(waveforms):
        if any(len(waveform) == 7 * 22050 for waveform in waveforms):
            raise RuntimeError("no")
        return real(waveforms)

    monkeypatch.setattr(models.active, "clip_logits", fails_on_seven_seconds)
    answers = batch.answers([ask(path) for path in tracks])
    assert [answer.status for answer in answers] == [200, 200, 500]
    assert answers[2].content["code"] == "internal_server_error"


def test_a_long_batch_goes_in_parts(batch: BatchPredictor, tracks: list[Path], monkeypatch):
    monkeypatch.setattr("genre_lib.service.batch.SECONDS_A_PASS", 5.0)
    answers = batch.answers([ask(path) for path in tracks])  # 2 s + 4 s, then 7 s
    assert [answer.headers["X-Batch-Size"] for answer in answers] == ["2", "2", "1"]


def test_what_was_cut_off_is_predicted_with_a_warning(batch: BatchPredictor, real_data: Path):
    answer = batch.answers([ask(real_data / "odd_files" / "corrupt_truncated.mp3")])[0]
    assert answer.status == 200
    assert answer.content["warning"].startswith("my corrupt_truncated.mp3 claims 4.00 s")
