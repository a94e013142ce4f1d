from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transformers import ASTFeatureExtractor, EncodecFeatureExtractor, Wav2Vec2FeatureExtractor

from genre_lib import audio
from genre_lib.cache import ArrayCache
from genre_lib.clips import cut
from genre_lib.data.features import FeatureStore
from genre_lib.errors import AudioError
from genre_lib.models.logmel import LogMelFeatureExtractor
from genre_lib.networks.front_ends import SHORTEST_SECONDS

RATE = 8000


@pytest.fixture
def extractor() -> LogMelFeatureExtractor:
    return LogMelFeatureExtractor(feature_size=16, sampling_rate=RATE, n_fft=256, hop_length=80)


@pytest.fixture
def make_store(extractor, tmp_path):
    def make(**options) -> FeatureStore:
        options = {"clip_seconds": 1.0} | options
        return FeatureStore(extractor, ArrayCache(tmp_path / "cache", 10**8), **options)

    return make


@pytest.fixture
def song(tmp_path, write_wav):
    def make(seconds: float, name: str = "song.wav") -> Path:
        noise = np.random.default_rng(list(name.encode())).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
        return write_wav(tmp_path / name, noise, RATE)

    return make


def test_clips_are_those_that_serving_cuts(make_store, song, extractor):
    path = song(3.0)
    waveform = audio.load(path, RATE).waveform
    served = extractor(cut(waveform, RATE, 1.0), return_tensors="np").input_values
    kept = make_store().track(path).clips()
    assert kept.shape[1:] == served.shape[1:] == (16, extractor.frames(1.0))
    assert np.allclose(kept[:3], served[:3], atol=5e-3)  # kept with 11 bits


def test_a_track_shorter_than_a_clip_is_repeated_as_serving_does(make_store, song, extractor):
    path = song(0.4)
    served = extractor(cut(audio.load(path, RATE).waveform, RATE, 1.0), return_tensors="np").input_values
    track = make_store().track(path)
    assert track.fitting == 1
    assert np.allclose(track.clips(), served, atol=5e-3)
    assert track.random(np.random.default_rng(0), margin=0.5).shape == (16, int(np.ceil(extractor.frames(1.0) * 1.5)))


def test_random_clips_lie_in_the_track(make_store, song, extractor):
    track = make_store().track(song(5.0))
    assert track.fitting == 5
    whole = track.logmel.astype(np.float32)
    rng = np.random.default_rng(1)
    clips = [track.random(rng) for _ in range(20)]
    places = {
        int(np.argmax([np.array_equal(whole[i : i + c.shape[1]].T, c) for i in range(len(whole))])) for c in clips
    }
    assert len(places) > 10 and all(c.dtype == np.float32 and c.shape == (16, extractor.frames(1.0)) for c in clips)


def test_nothing_is_decoded_twice(make_store, song, monkeypatch):
    paths = [str(song(2.0, f"{i}.wav")) for i in range(3)]
    assert (make_store().prepare(paths).computed, make_store().prepare(paths).kept) == (3, 3)
    monkeypatch.setattr(audio, "load", lambda *_, **__: pytest.fail("decoded again"))
    monkeypatch.setattr("genre_lib.data.features.content_digest", _counting(calls := []))
    store = make_store()
    for _ in range(2):
        for path in paths:
            store.track(path).clips()
    assert sorted(calls) == sorted(paths)  # each file was read for its key once


def test_the_same_recording_elsewhere_is_the_same(make_store, song):
    path = song(2.0)
    copy = path.with_name("copy.wav")
    copy.write_bytes(path.read_bytes())
    make_store().prepare([str(path)])
    assert make_store().prepare([str(copy)]).kept == 1


def test_other_settings_are_other_features(make_store, song, tmp_path):
    path = str(song(2.0))
    make_store().prepare([path])
    finer = LogMelFeatureExtractor(feature_size=16, sampling_rate=RATE, n_fft=256, hop_length=40)
    assert FeatureStore(finer, ArrayCache(tmp_path / "cache", 10**8), 1.0).prepare([path]).computed == 1


def test_a_broken_file_is_reported_and_the_others_go_on(make_store, song, tmp_path):
    bad = tmp_path / "bad.mp3"
    bad.write_text("no audio")
    good = str(song(1.0))
    report = make_store().prepare([str(bad), good, str(tmp_path / "absent.mp3")])
    assert set(report.failed) == {str(bad), str(tmp_path / "absent.mp3")}
    assert report.computed == 1
    with pytest.raises(AudioError):
        make_store().track(bad)


def test_an_evicted_track_is_computed_again(extractor, song, tmp_path):
    store = FeatureStore(extractor, ArrayCache(tmp_path / "tiny", 1), 1.0)
    assert store.track(song(2.0)).clips().shape[0] == 2


def filterbank(**settings) -> ASTFeatureExtractor:
    return ASTFeatureExtractor(num_mel_bins=16, max_length=120, sampling_rate=RATE, **settings)


def waves(**settings) -> Wav2Vec2FeatureExtractor:
    return Wav2Vec2FeatureExtractor(sampling_rate=RATE, **settings)


def served(path: Path, extractor, clip: float, hop: float | None = None) -> np.ndarray:
    """What prediction gives the network, by the extractor of transformers."""
    clips = cut(audio.load(path, RATE).waveform, RATE, clip, hop, SHORTEST_SECONDS)
    return extractor(list(clips), sampling_rate=RATE, return_tensors="np")["input_values"]


@pytest.mark.parametrize("make", [filterbank, waves, lambda: waves(do_normalize=False)], ids=["ast", "waves", "plain"])
@pytest.mark.parametrize("seconds", [3.0, 2.4567, 1.0, 0.4, 0.05])
@pytest.mark.parametrize("hop", [None, 0.3333])
def test_clips_of_pretrained_networks_are_those_that_serving_cuts(make, seconds, hop, song, tmp_path):
    extractor = make()
    store = FeatureStore(extractor, ArrayCache(tmp_path / "cache", 10**8), 1.0, hop)
    path = song(seconds)
    expected = served(path, extractor, 1.0, hop)
    track = store.track(path)
    assert track.clips().shape == expected.shape and track.fitting == max(int(seconds), 1)
    assert np.allclose(track.clips(), expected, atol=5e-3)


@pytest.mark.parametrize("make", [filterbank, waves])
def test_pretrained_networks_train_on_clips_from_anywhere(make, song, tmp_path):
    extractor = make(do_normalize=False)
    track = FeatureStore(extractor, ArrayCache(tmp_path / "cache", 10**8), 1.0).track(song(5.0))
    rng = np.random.default_rng(1)
    clips = [track.random(rng) for _ in range(20)]
    length = track.clip
    places = [next(i for i in range(len(track.rows)) if np.array_equal(track.rows[i : i + length], clip[:length]))
              for clip in clips]  # fmt: skip
    assert len(set(places)) > 10 and len({clip.shape for clip in clips}) == 1


def test_a_short_track_is_repeated_where_a_batch_must_be_of_one_length(song, tmp_path):
    path, rng = song(0.4), np.random.default_rng(0)
    cache = ArrayCache(tmp_path / "cache", 10**8)
    clip = FeatureStore(waves(do_normalize=False), cache, 1.0).track(path).random(rng)
    assert clip.shape == (RATE,) and np.array_equal(clip[: RATE // 2], clip[3200 : 3200 + RATE // 2])
    filled = FeatureStore(filterbank(), cache, 1.0).track(path)
    assert np.array_equal(filled.random(rng), filled.clips()[0])


def test_what_is_heard_whole_is_decoded_once(song, tmp_path, monkeypatch):
    paths = [str(song(2.3456, f"{i}.wav")) for i in range(2)]
    store = FeatureStore(filterbank(), ArrayCache(tmp_path / "cache", 10**8), 1.0)
    assert store.prepare(paths, heard_whole=paths[:1]).computed == 2
    monkeypatch.setattr(audio, "load", lambda *_, **__: pytest.fail("decoded again"))
    store.track(paths[0]).clips()
    for path in paths:
        store.track(path).random(np.random.default_rng(0))


def test_statistics_of_the_normalisation_are_not_in_what_is_kept(song, tmp_path):
    path, cache = str(song(2.0)), ArrayCache(tmp_path / "cache", 10**8)
    FeatureStore(filterbank(), cache, 1.0).prepare([path])
    other = FeatureStore(filterbank(mean=0.0, std=1.0), cache, 1.0)
    assert other.prepare([path]).kept == 1
    assert np.allclose(other.track(path).clips(), served(Path(path), filterbank(mean=0.0, std=1.0), 1.0), atol=5e-3)


def test_other_extractors_keep_features_of_clips(song, tmp_path):
    extractor = EncodecFeatureExtractor(sampling_rate=RATE)
    path = song(2.5)
    track = FeatureStore(extractor, ArrayCache(tmp_path / "cache", 10**8), 1.0).track(path)
    clips = cut(audio.load(path, RATE).waveform, RATE, 1.0)
    assert track.fitting == 3 and track.clips().shape == (3, 1, RATE)
    assert np.allclose(track.clips()[:, 0], clips, atol=5e-3)
    assert any(np.array_equal(track.random(np.random.default_rng(0)), clip) for clip in track.clips())


def _counting(calls: list[str]):
    from genre_lib.cache import content_digest

    def digest(path: str) -> str:
        calls.append(path)
        return content_digest(path)

    return digest
