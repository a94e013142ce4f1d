"""What a resting encoder hears, kept by content."""

from __future__ import annotations

import numpy as np
import pytest

from genre_lib.cache import ArrayCache
from genre_lib.data.embeddings import CLIPS_TOGETHER, EmbeddingStore
from genre_lib.data.features import FeatureStore
from genre_lib.models.logmel import LogMelFeatureExtractor


@pytest.fixture
def music(tmp_path, tone, write_wav) -> list[str]:
    """Tracks of two clips, and one of one."""
    seconds = {"a": 2.0, "b": 2.0, "c": 1.0}
    return [
        str(write_wav(tmp_path / f"{name}.wav", tone(length, 300.0 + 100 * number)))
        for number, (name, length) in enumerate(seconds.items())
    ]


class Encoder:
    """Bands' means over time: [clips, mels, frames] → [clips, mels]; counts what it heard."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        self.batches.append(len(clips))
        return clips.mean(-1)


@pytest.fixture
def features(tmp_path) -> FeatureStore:
    return FeatureStore(LogMelFeatureExtractor(), ArrayCache(tmp_path / "cache", 2**26), clip_seconds=1.0)


def test_every_clip_is_heard_once_and_together(features, music):
    encoder = Encoder()
    store = EmbeddingStore(features, encoder, "weights")
    told: list[int] = []
    report = store.prepare(music, progress=told.append)
    assert (report.computed, report.kept, report.failed) == (3, 0, {})
    assert encoder.batches == [5] and sum(encoder.batches) < CLIPS_TOGETHER
    assert told[-1] == 3
    for path in music:
        assert np.allclose(store.track(path).clips(), features.track(path).clips().mean(-1), atol=1e-6)
    assert store.track(music[0]).fitting == 2 and encoder.batches == [5]


def test_another_process_hears_nothing_but_with_other_weights_all(features, music):
    EmbeddingStore(features, Encoder(), "weights").prepare(music)
    same, other = Encoder(), Encoder()
    report = EmbeddingStore(features, same, "weights").prepare(music)
    assert (report.computed, report.kept, same.batches) == (0, 3, [])
    report = EmbeddingStore(features, other, "other weights").prepare(music[:2])
    assert (report.computed, report.kept, other.batches) == (2, 0, [4])


def test_what_cannot_be_decoded_is_reported(features, music, tmp_path):
    (tmp_path / "bad.mp3").write_text("no audio")
    missing, bad = str(tmp_path / "none.mp3"), str(tmp_path / "bad.mp3")
    encoder = Encoder()
    report = EmbeddingStore(features, encoder, "weights").prepare([bad, *music, missing])
    assert set(report.failed) == {bad, missing} and report.computed == 3 and sum(encoder.batches) == 5


def test_what_was_forgotten_is_heard_again(features, music):
    encoder = Encoder()
    store = EmbeddingStore(features, encoder, "weights")
    store.prepare(music)
    for file in features.cache.root.rglob("*.npy"):
        file.unlink()
    assert store.track(music[2]).clips().shape == (1, 128)
    assert encoder.batches == [5, 1]
