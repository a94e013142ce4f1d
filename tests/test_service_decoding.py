"""Tracks that are decoded before they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genre_lib import audio
from genre_lib.audio import Limits
from genre_lib.inference import Predictor
from genre_lib.service import decoding
from genre_lib.service.batch import BatchPredictor
from genre_lib.service.decoding import Decoder
from genre_lib.service.messages import PredictRequest
from genre_lib.service.model_cache import ModelCache
from genre_lib.service.prediction_cache import PredictionCache
from genre_lib.service.status import WorkerStatus
from genre_lib.settings import get_settings

RATE = 16000


@pytest.fixture
def loaded(monkeypatch) -> list[str]:
    """Paths in the order in which they were decoded, each as often as it was."""
    paths: list[str] = []
    load = audio.load

    def counting(path: str, *args, **options):
        paths.append(path)
        return load(path, *args, **options)

    monkeypatch.setattr(audio, "load", counting)
    return paths


@pytest.fixture
def requests(tmp_path: Path, tone, write_wav) -> dict[int, PredictRequest]:
    paths = [write_wav(tmp_path / f"{n}.wav", tone(1.0 * n, 220.0 * n)) for n in range(1, 8)]
    return {i: PredictRequest(str(path), path.name) for i, path in enumerate(paths)}


@pytest.fixture
def decoder() -> Decoder:
    return Decoder(Limits(max_seconds=20))


def seconds(decoder: Decoder, requests: dict[int, PredictRequest]) -> list[float]:
    tracks = dict(decoder.tracks(requests, RATE))
    assert list(tracks) == list(requests)
    return [track.duration for track in tracks.values()]  # type: ignore[union-attr]


@pytest.mark.parametrize("begun", [[], [0], [6, 2], range(7)])
def test_each_is_decoded_once_in_the_order_asked_for(decoder: Decoder, requests, loaded: list[str], begun):
    for i in begun:
        decoder.ahead(requests[i], RATE)
    assert seconds(decoder, requests) == pytest.approx([1, 2, 3, 4, 5, 6, 7])
    assert sorted(loaded) == sorted(request.path for request in requests.values())
    decoder.threads.shutdown()  # room is made after whoever waits for a track goes on
    assert (decoder.begun, decoder.seconds) == ({}, pytest.approx(0))


def test_beyond_what_may_wait_a_track_is_decoded_in_its_turn(
    decoder: Decoder, requests, loaded: list[str], monkeypatch
):
    monkeypatch.setattr(decoding, "SECONDS_AHEAD", 6.0)
    for request in requests.values():
        decoder.ahead(request, RATE)
    for future in list(decoder.begun.values()):
        future.result()
    assert 6.0 <= decoder.seconds <= 6.0 + decoder.workers * 7
    assert seconds(decoder, requests) == pytest.approx([1, 2, 3, 4, 5, 6, 7])
    assert len(loaded) == 7
    decoder.threads.shutdown()
    assert decoder.seconds == pytest.approx(0)


def test_what_is_not_asked_for_is_dropped(decoder: Decoder, requests):
    for request in requests.values():
        decoder.ahead(request, RATE)
    decoder.forget(list(requests.values())[1:])
    assert [path for path, _ in decoder.begun] == [requests[0].path]
    decoder.threads.shutdown(wait=True)
    assert decoder.seconds == pytest.approx(1.0)


def test_another_rate_than_was_guessed(decoder: Decoder, requests):
    decoder.ahead(requests[0], 8000)
    track = dict(decoder.tracks({0: requests[0]}, RATE))[0]
    assert isinstance(track, audio.Audio) and track.sample_rate == RATE


@pytest.mark.parametrize("room", [600.0, 0.0])
def test_an_error_is_what_became_of_the_track(decoder: Decoder, tmp_path: Path, requests, monkeypatch, room: float):
    monkeypatch.setattr(decoding, "SECONDS_AHEAD", room)
    broken = PredictRequest(str(tmp_path / "gone.wav"), "gone.wav")
    decoder.ahead(broken, RATE)
    found = dict(decoder.tracks({0: broken, 1: requests[0]}, RATE))
    assert type(found[0]).__name__ == "AudioNotFound"
    assert isinstance(found[1], audio.Audio)


@pytest.fixture
def batch(tiny_model: Path, tmp_path: Path) -> BatchPredictor:
    settings = get_settings(model_path=tiny_model, models_path=tmp_path / "models", device="cpu")
    models = ModelCache(settings, lambda folder: Predictor.from_folder(folder, device="cpu"))
    models.start()
    return BatchPredictor(models, Limits(max_seconds=20), WorkerStatus(), PredictionCache(10**6))


def test_answers_are_the_same_with_tracks_begun_ahead(batch: BatchPredictor, requests, loaded: list[str]):
    asked = list(requests.values())
    expected = [answer.content for answer in batch.answers(asked)]
    loaded.clear()
    for request in asked:
        batch.ahead(request)
    assert [answer.content for answer in batch.answers(asked)] == expected
    assert len(loaded) == 7 and batch.decoder.begun == {}


def test_what_is_cached_or_for_another_model_is_not_begun(batch: BatchPredictor, requests):
    known = PredictRequest(requests[0].path, "one", digest="0" * 64)
    batch.answers([known])
    batch.ahead(known)
    batch.ahead(PredictRequest(requests[1].path, "two", model_name="another"))
    assert batch.decoder.begun == {}


def test_what_comes_twice_leaves_nothing_behind(batch: BatchPredictor, requests):
    twice = [PredictRequest(requests[i].path, "x", digest="0" * 64) for i in (0, 1)]
    for request in twice:
        batch.ahead(request)
    assert [answer.status for answer in batch.answers(twice)] == [200, 200]
    assert batch.decoder.begun == {}


def test_a_pass_that_fails_leaves_nothing_behind(batch: BatchPredictor, requests, monkeypatch):
    def fail(*_: object) -> Callable:
        raise RuntimeError("no")

    monkeypatch.setattr(Predictor, "clip_logits", fail)
    batch.ahead(requests[0])
    assert batch.answers([requests[0]])[0].status == 500
    batch.decoder.threads.shutdown()
    assert batch.decoder.begun == {} and np.isclose(batch.decoder.seconds, 0)
