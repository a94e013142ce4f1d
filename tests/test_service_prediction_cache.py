from __future__ import annotations

import gc
import hashlib
import json
import tracemalloc
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from genre_lib import registry
from genre_lib.audio import Audio, Limits
from genre_lib.cache import content_digest
from genre_lib.inference import Predictor
from genre_lib.service import batch as batches
from genre_lib.service.batch import BatchPredictor
from genre_lib.service.messages import PredictRequest
from genre_lib.service.model_cache import ModelCache
from genre_lib.service.prediction_cache import ENTRY_BYTES, Heard, PredictionCache, fingerprint
from genre_lib.service.status import WorkerStatus
from genre_lib.settings import Settings, get_settings

MIB = 1024**2


@pytest.fixture
def settings(tiny_model: Path, tmp_path: Path) -> Settings:
    return get_settings(model_path=tiny_model, models_path=tmp_path / "models", device="cpu")


@pytest.fixture
def models(settings: Settings) -> ModelCache:
    cache = ModelCache(settings, lambda folder: Predictor.from_folder(folder, device="cpu"))
    cache.start()
    return cache


def predictor_with(models: ModelCache, max_bytes: int) -> BatchPredictor:
    return BatchPredictor(models, Limits(max_seconds=20), WorkerStatus(), PredictionCache(max_bytes))


@pytest.fixture
def batch(models: ModelCache) -> BatchPredictor:
    return predictor_with(models, MIB)


@pytest.fixture
def tracks(tmp_path: Path, tone, write_wav) -> list[Path]:
    return [write_wav(tmp_path / f"{n}.wav", tone(seconds, 220.0 * n)) for n, seconds in ((1, 2.0), (2, 7.0))]


def ask(path: Path, **fields) -> PredictRequest:
    return PredictRequest(str(path), path.name, digest=content_digest(path), **fields)


def test_the_bound_is_of_memory_as_it_is_taken(models: ModelCache):
    cache, predictor = PredictionCache(MIB), models.named(None)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(3000):
            digest = hashlib.sha256(str(number).encode()).hexdigest()
            cache.put((digest, fingerprint(predictor)), Heard(480_000 + number, np.zeros((5, 4), np.float32)))
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert cache.bytes <= MIB
    assert taken == pytest.approx(cache.bytes, rel=0.15)


def test_the_same_content_is_answered_the_same_without_a_pass(batch: BatchPredictor, models, tracks: list[Path]):
    wanted = [ask(tracks[1], top_k=2), ask(tracks[1], top_k=4, timeline=True), ask(tracks[1], top_k=1)]
    uncached = predictor_with(models, 0)
    for request in wanted:
        fresh, cached = uncached.answers([request])[0], batch.answers([request])[0]
        assert json.dumps(cached.content) == json.dumps(fresh.content)
    assert (batch.status.passes, uncached.status.passes) == (1, 3)


def test_an_answer_says_whether_it_took_a_pass(batch: BatchPredictor, tracks: list[Path]):
    assert batch.answers([ask(tracks[0])])[0].headers == {"X-Batch-Size": "1"}
    headers = [answer.headers for answer in batch.answers([ask(tracks[0]), ask(tracks[1])])]
    assert headers == [{"X-Cache": "hit"}, {"X-Batch-Size": "1"}]


def test_what_comes_twice_in_a_batch_is_decoded_once(models: ModelCache, tracks: list[Path], monkeypatch):
    decoded = []
    real = batches.audio.load

    def load(path, *rest, **options):
        decoded.append(path)
        return real(path, *rest, **options)

    monkeypatch.setattr(batches.audio, "load", load)
    again = tracks[0].with_name("again.wav")
    again.write_bytes(tracks[0].read_bytes())
    answers = predictor_with(models, 0).answers([ask(tracks[0]), ask(tracks[1]), ask(again), ask(tracks[0], top_k=1)])
    assert sorted(decoded) == sorted(map(str, tracks))
    assert answers[0].content == answers[2].content
    assert len(answers[3].content["predictions"]) == 1
    assert [answer.headers for answer in answers[2:]] == [{"X-Cache": "hit"}] * 2


def test_each_of_the_same_broken_uploads_is_told_by_its_own_name(batch: BatchPredictor, tmp_path: Path):
    paths = [tmp_path / name for name in ("one.mp3", "two.mp3")]
    for path in paths:
        path.write_bytes(b"no audio " * 50)
    answers = batch.answers([replace(ask(path), filename=f"my {path.name}") for path in paths])
    assert [answer.status for answer in answers] == [415, 415]
    for path, answer in zip(paths, answers, strict=True):
        assert answer.content["detail"].startswith(f"my {path.name} is not audio")
        assert str(tmp_path) not in answer.content["detail"]


def test_what_comes_without_a_digest_is_predicted_anew(batch: BatchPredictor, tracks: list[Path]):
    for _ in range(2):
        assert "X-Cache" not in batch.answers([PredictRequest(str(tracks[0]), "x")])[0].headers
    assert batch.status.passes == 2


def test_another_model_is_another_prediction(batch: BatchPredictor, tracks: list[Path], settings, tiny_model):
    folder = registry.publish(tiny_model, "other", settings)
    batch.answers([ask(tracks[1])])
    assert "X-Cache" in batch.answers([ask(tracks[1], model_name="other")])[0].headers  # the same weights
    config = json.loads((folder / "config.json").read_text())
    config["inference"]["clip_seconds"] = 2.0
    (folder / "config.json").write_text(json.dumps(config))
    assert "X-Cache" not in batch.answers([ask(tracks[1], model_name="other")])[0].headers  # cut otherwise


def test_a_doubt_is_said_of_the_name_at_hand(batch: BatchPredictor, tmp_path: Path, write_wav):
    silence = write_wav(tmp_path / "silence.wav", np.zeros(44100, np.float32))
    for name in ("first.wav", "second.wav"):
        answer = batch.answers([replace(ask(silence), filename=name)])[0]
        assert answer.content["warning"] == f"{name} is silent, so its genres mean nothing."


def heard(clips: int) -> Heard:
    return Heard(1, np.zeros((clips, 4), np.float32))


def test_what_was_unused_for_longest_is_forgotten():
    one = heard(0).size
    assert one == ENTRY_BYTES
    cache = PredictionCache(3 * one)
    for key in "abc":
        cache.put(key, heard(0))
    cache.get("a")
    cache.put("d", heard(0))
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]
    assert cache.bytes == 3 * one
    cache.put("a", heard(0))
    assert cache.bytes == 3 * one


def test_the_bound_is_kept_whatever_comes():
    cache = PredictionCache(10_000)
    for clips in range(1, 700):
        cache.put(clips, heard(clips))
        assert cache.bytes <= 10_000
    assert cache.get(699) is None  # 699 × 4 × 4 bytes: larger than all
    assert PredictionCache(0).get("a") is None


def test_logits_are_kept_without_the_pass_that_they_came_from():
    of_the_pass = np.zeros((1000, 4), np.float32)
    kept = Heard.of(Audio(np.ones(100, np.float32), 22050), of_the_pass[:2])
    assert kept.clip_logits.base is None
    assert kept.size == 2 * 4 * 4 + ENTRY_BYTES


def test_a_fingerprint_tells_models_apart(models: ModelCache, tiny_model: Path):
    same = Predictor.from_folder(tiny_model, device="cpu")
    assert fingerprint(models.active) == fingerprint(same)
    other = Predictor(replace(same.model, version="0"), device="cpu")
    assert fingerprint(same) != fingerprint(other)


def test_a_fingerprint_tells_engines_apart(tiny_model: Path, tmp_path: Path):
    if find_spec("openvino") is None:  # asked, not imported: it would tell its makers
        pytest.skip("OpenVINO is an extra", allow_module_level=True)
    by_torch = Predictor.from_folder(tiny_model, device="cpu")
    by_openvino = Predictor.from_folder(tiny_model, device="cpu", engine="openvino-float32", cache_path=tmp_path)
    assert fingerprint(by_torch) != fingerprint(by_openvino)
