"""The network over sound and features: what it says with either, both and neither, and its folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import pipeline

import genre_lib
from genre_lib import registry
from genre_lib.audio import Limits
from genre_lib.errors import ConfigurationError, ModelInvalid
from genre_lib.inference import Predictor, load_model
from genre_lib.models.folder import GenreModel, InferenceSettings, load, save
from genre_lib.models.fusion import GenreFusionConfig, GenreFusionForAudioClassification, with_features
from genre_lib.networks.files import is_plain
from genre_lib.networks.fusion import FusionConfig, GenreFusion
from genre_lib.networks.fusion_encoder import FeatureEncoder, MemberLinear, piecewise_linear
from genre_lib.networks.fusion_features import FEATURES, bin_edges, feature_row
from genre_lib.service.batch import BatchPredictor
from genre_lib.service.messages import PredictRequest
from genre_lib.service.model_cache import ModelCache
from genre_lib.service.prediction_cache import PredictionCache
from genre_lib.service.status import WorkerStatus
from genre_lib.settings import get_settings

STARTER = Path(genre_lib.__file__).resolve().parents[1] / "pretrained" / "genre_classifier"
EDGES = {"energy": [0.0, 0.5, 1.0], "tempo": [60.0, 120.0, 200.0]}
RATE = 22050
TRACK = {"energy": 0.9, "tempo": 128, "key": 9, "mode": 0}


def noise(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * rate)).astype(np.float32)


def stirred(network: GenreFusionForAudioClassification) -> GenreFusionForAudioClassification:
    """The network, with a head that listens to the features as much as to the sound."""
    torch.nn.init.normal_(network.classifier.weight, std=0.3)
    return network


@pytest.fixture(scope="module", params=["musicnn", "cnn", "features alone"])
def fused(request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> GenreModel:
    """A saved model of each kind, that wants descriptors."""
    torch.manual_seed(0)
    base = load(STARTER if request.param == "musicnn" else tiny_model)
    shape = {"audio": None} if request.param == "features alone" else {}
    network = with_features(base.network, "descriptors", EDGES, width=8, members=3, **shape)
    model = GenreModel(stirred(network).eval(), base.extractor, base.inference)
    return save(model, tmp_path_factory.mktemp("fused") / "m")


# --- rows of features -------------------------------------------------------------------------------------------------


def test_there_are_thirteen():
    assert len(FEATURES) == len(set(FEATURES)) == 13


def test_what_says_nothing_is_missing():
    row = feature_row({"key": -1, "mode": 1, "tempo": 0.0, "energy": "0.5", "loudness": None, "valence": "loud"})
    assert {name for name, value in zip(FEATURES, row, strict=True) if np.isfinite(value)} == {"energy"}
    assert row[FEATURES.index("energy")] == 0.5
    assert np.isfinite(feature_row({"energy": float("inf"), "mode": 1, "key": 3, "title": "x"})).sum() == 2


def test_bins_hold_equally_many_tracks():
    rows = np.full((8, 13), np.nan, np.float32)
    rows[:, FEATURES.index("energy")] = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    rows[:, FEATURES.index("tempo")] = 120.0  # one value tells nothing
    edges = bin_edges(rows, 2)
    assert edges == {"energy": pytest.approx([0, 0.35, 0.7])}


def test_a_value_fills_the_bins_below_it():
    filled = piecewise_linear(torch.tensor([-1.0, 0.25, 0.5, 0.75, 9.0]), [0.0, 0.5, 1.0])
    assert filled.tolist() == [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1]]


def test_each_member_scales_the_shared_weight():
    layer = MemberLinear(2, 1, 1)
    layer.weight.data, layer.bias.data = torch.tensor([[3.0]]), torch.tensor([[0.0], [1.0]])
    layer.before.data, layer.after.data = torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0], [2.0]])
    one, other = layer(torch.tensor([[[2.0]]])).flatten().tolist()
    assert (one, other) == (2 * 3, -2 * 3 * 2 + 1)


def test_a_missing_feature_is_zeros_and_is_known_to_miss():
    encoder = FeatureEncoder(EDGES, 4, 1, 1, 0.0)
    rows = torch.from_numpy(
        np.stack([feature_row({"key": 2, "mode": 1, "energy": 0.25, "valence": 0.4}), feature_row({})])
    )
    full, empty = encoder.encode(rows)
    # Half of energy's first bin; D; major; D major; and three known features: valence, without edges, is passed over.
    assert full.sum().item() == pytest.approx(0.5 + 1 + 1 + 1 + 3)
    assert full[:2].tolist() == [0.5, 0.0]
    assert not empty.any()


# --- the network ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["starter", "cnn"])
def test_before_it_has_learned_it_says_what_the_sound_alone_says(folder, tiny_model):
    base = load(STARTER if folder == "starter" else tiny_model)
    clips = base.extractor(list(noise(9.0).reshape(3, -1)), return_tensors="pt")["input_values"]
    features = torch.from_numpy(np.stack([feature_row(TRACK)] * 3))
    said = with_features(base.network, "descriptors", EDGES).eval()(clips, features).logits.log_softmax(-1)
    assert torch.allclose(said, base.network(clips).logits.log_softmax(-1), atol=1e-5)


def test_what_takes_features_already_keeps_what_it_knows(fused):
    network = load(fused.folder).network
    assert with_features(network, "descriptors", {}) is network
    assert with_features(network, "catalogue", EDGES).config.features_source == "catalogue"


def test_another_makers_network_is_refused(tiny_model):
    network = load(tiny_model).network
    network.config.model_type = "audio-spectrogram-transformer"
    with pytest.raises(ConfigurationError, match="set features to none"):
        with_features(network, "descriptors", EDGES)


def test_either_may_be_missing_and_both_change_the_answer(fused):
    network = load(fused.folder).network
    clip = fused.extractor(noise(3.0), return_tensors="pt")["input_values"]
    features = torch.from_numpy(feature_row(TRACK))[None]
    both, heard, told = network(clip, features).logits, network(clip).logits, network(None, features).logits
    unknown = network(clip, torch.full((1, 13), torch.nan)).logits
    assert torch.equal(heard, unknown)
    assert not torch.allclose(both, heard, atol=1e-4)
    assert torch.allclose(both, told, atol=1e-4) is (fused.network.config.audio is None)
    with pytest.raises(ValueError, match="features or both"):
        network()


def test_all_members_answer_together():
    config = GenreFusionConfig.for_labels("abc", edges=EDGES, width=4, members=2)
    network = stirred(GenreFusionForAudioClassification(config)).eval()
    row = torch.from_numpy(feature_row(TRACK))[None]
    hidden = network.encoder(row, torch.tensor([False]))
    probabilities = network.classifier(hidden).softmax(-1).mean(1)
    assert torch.allclose(network(features=row).logits.softmax(-1), probabilities, atol=1e-6)


def test_in_training_each_member_learns_by_itself():
    config = GenreFusionConfig.for_labels("abc", edges=EDGES, width=4, members=2, dropout=0, one_dropout=0)
    network = stirred(GenreFusionForAudioClassification(config)).train()
    row, target = torch.from_numpy(feature_row(TRACK))[None], torch.tensor([2])
    output = network(features=row, labels=target)
    assert output.logits.shape == (1, 2, 3)
    losses = [-member.log_softmax(-1)[2] for member in output.logits[0]]
    assert losses[0] != losses[1]
    assert output.loss.item() == pytest.approx(sum(losses).item() / 2, rel=1e-5)


def test_edges_in_another_order_are_the_same_network():
    """As a configuration has them that was written with its names sorted."""
    unsorted = {"tempo": EDGES["tempo"], "energy": EDGES["energy"], "danceability": [0.0, 0.3, 1.0]}
    encoders = [FeatureEncoder(edges, 4, 1, 1, 0.0) for edges in (unsorted, dict(sorted(unsorted.items())))]
    row = torch.from_numpy(feature_row(TRACK | {"danceability": 0.7}))[None]
    one, other = (encoder.encode(row) for encoder in encoders)
    assert one.equal(other)


@pytest.mark.parametrize(
    ("shares", "deaf", "blind"),
    [((1.0, 0.0, 0.0), True, False), ((0.0, 1.0, 0.0), False, True), ((0.0, 0.0, 0.0), False, False)],
)
def test_training_hides_the_sound_or_the_features_and_never_both(shares, deaf, blind):
    names = ("audio_dropout", "features_dropout", "one_dropout")
    network = GenreFusion(FusionConfig(id2label={0: "a"}, edges=EDGES, **dict(zip(names, shares, strict=True))))
    rows = torch.from_numpy(np.stack([feature_row(TRACK), feature_row({})]))
    known, features = network.hidden(torch.tensor([True, True]), rows)
    assert known.tolist() == [not deaf, True]  # of the second nothing else is known
    assert features.isfinite().any(1).tolist() == [not blind, False]


def test_single_features_are_hidden_by_their_share():
    torch.manual_seed(0)
    network = GenreFusion(
        FusionConfig(id2label={0: "a"}, edges=EDGES, audio_dropout=0, features_dropout=0, one_dropout=0.3)
    )
    _, features = network.hidden(torch.ones(2000, dtype=torch.bool), torch.zeros(2000, 13))
    assert features.isnan().float().mean().item() == pytest.approx(0.3, abs=0.01)  # four standard deviations


# --- its folder -------------------------------------------------------------------------------------------------------


def test_read_with_transformers_and_without(fused):
    assert is_plain(fused.folder)
    plain, full = load_model(fused.folder), load(fused.folder)
    assert isinstance(plain.network, GenreFusion)
    waveform = noise(7.0, plain.sample_rate)
    ours, theirs = (Predictor(model, device="cpu").waveform(waveform, features=TRACK) for model in (plain, full))
    assert np.allclose(ours.logits, theirs.logits, atol=1e-5)
    assert plain.network.config.edges == full.network.config.edges == EDGES


def test_the_pipeline_hears_the_sound_alone(fused):
    clip = noise(3.0, fused.sample_rate)
    expected = fused.network(fused.extractor(clip, return_tensors="pt")["input_values"]).logits.softmax(-1)[0]
    rows = pipeline("audio-classification", model=str(fused.folder))(clip, top_k=None)
    assert {row["label"]: row["score"] for row in rows} == pytest.approx(
        dict(zip(fused.genres, expected.tolist(), strict=True)), abs=1e-5
    )


@pytest.mark.parametrize(
    "fault",
    [
        {"edges": {"energy": [1.0, 0.0]}},
        {"edges": {"key": [0.0, 1.0]}},
        {"edges": [1.0]},
        {"features_source": "elsewhere"},
        {"members": 0},
        {"audio": {"model_type": "bert"}},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(fused, tmp_path, fault):
    folder = Path(shutil.copytree(fused.folder, tmp_path / "m"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | fault))
    for read in (load, load_model):
        with pytest.raises(ModelInvalid, match="could not be read"):
            read(folder)


# --- prediction -------------------------------------------------------------------------------------------------------


def test_a_file_is_described_and_given_features_count_instead(fused, tmp_path, write_wav, tone):
    from genre_lib.descriptors import analyze_file

    path = write_wav(tmp_path / "a.wav", tone(7.0))
    predictor = Predictor.from_folder(fused.folder, device="cpu")
    described = analyze_file(path).to_json()
    alone, given, other = (predictor.file(path, features=told) for told in (None, described, TRACK))
    assert np.array_equal(alone.logits, given.logits)
    assert not np.allclose(alone.logits, other.logits, atol=1e-4)
    rows = predictor.files([path, path], features={"elsewhere": TRACK})
    assert all(np.allclose(row.logits, alone.logits, atol=1e-5) for row in rows)
    (told,) = predictor.files([path], features={str(path): TRACK})
    assert np.allclose(told.logits, other.logits, atol=1e-5)


def test_each_track_has_its_own_features(fused):
    predictor = Predictor.from_folder(fused.folder, device="cpu")
    waveforms = [noise(seconds, predictor.model.sample_rate) for seconds in (3.0, 10.0)]
    together = predictor.waveforms(waveforms, features=[TRACK, {}])
    for row, waveform, features in zip(together, waveforms, [TRACK, {}], strict=True):
        assert np.allclose(row.logits, predictor.waveform(waveform, features=features).logits, atol=1e-5)


def test_a_model_of_catalogue_features_gets_none_of_ours(tiny_model):
    base = load(tiny_model)
    network = stirred(with_features(base.network, "catalogue", EDGES)).eval()
    predictor = Predictor(GenreModel(network, base.extractor, InferenceSettings(3.0, 3.0)), device="cpu")
    assert predictor.beside.of_file("nowhere.wav") is None
    waveform = noise(3.0)
    assert np.array_equal(predictor.waveform(waveform).logits, predictor.waveform(waveform, features={}).logits)


def test_features_alone_are_enough_for_any_that_takes_them(fused, tiny_model):
    predictor = Predictor(fused, device="cpu")
    (track, other) = predictor.told([TRACK, {}])
    expected = predictor.network(features=torch.from_numpy(feature_row(TRACK))[None]).logits[0]
    assert np.allclose(track.logits, expected.detach(), atol=1e-5)
    assert (track.duration, track.error) == (None, None)
    assert not np.allclose(other.logits, track.logits, atol=1e-4)
    with pytest.raises(ConfigurationError, match="takes no features"):
        Predictor.from_folder(tiny_model, device="cpu").told([TRACK])


def test_features_known_to_be_missing_are_not_computed(fused, tmp_path, write_wav, tone):
    path = write_wav(tmp_path / "a.wav", tone(4.0))
    predictor = Predictor(fused, device="cpu")
    (row,) = predictor.files([path], features={str(path): {}})
    assert np.allclose(row.logits, predictor.file(path, features={}).logits, atol=1e-5)
    assert not np.allclose(row.logits, predictor.file(path).logits, atol=1e-4)


@pytest.fixture
def served(fused, tmp_path, tiny_model) -> BatchPredictor:
    settings = get_settings(model_path=fused.folder, models_path=tmp_path / "models", device="cpu")
    registry.publish(tiny_model, "sound", settings)
    models = ModelCache(settings, lambda folder: Predictor.from_folder(folder, device="cpu"))
    models.start()
    return BatchPredictor(models, Limits(), WorkerStatus(), PredictionCache(2**20))


def test_the_service_takes_features_and_keeps_answers_apart_by_them(served, tmp_path, write_wav, tone):
    path = write_wav(tmp_path / "a.wav", tone(4.0))
    asked = [PredictRequest(str(path), "a", digest="0" * 64, features=known) for known in (None, TRACK, {}, TRACK)]
    answers = served.answers(asked)
    assert [answer.status for answer in answers] == [200] * 4
    predictor = served.models.active
    for request, answer in zip(asked, answers, strict=True):
        (expected,) = predictor.file(path, features=request.features).top(1)
        assert answer.content["predictions"][0]["confidence"] == pytest.approx(expected.confidence, abs=1e-5)
    assert answers[3].headers == {"X-Cache": "hit"}
    refused, fine = served.answers([replace(asked[n], model_name="sound") for n in (1, 0)])
    assert (refused.status, refused.content["code"], fine.status) == (422, "features_refused", 200)


def test_the_service_describes_what_it_predicts(served, tmp_path, write_wav, tone):
    models = served.models
    paths = [write_wav(tmp_path / f"{n}.wav", tone(4.0, 220.0 * n)) for n in (1, 2)]
    broken = tmp_path / "broken.wav"
    broken.write_text("no audio at all")
    answers = served.answers([PredictRequest(str(path), path.name, top_k=1) for path in (*paths, broken)])
    assert [answer.status for answer in answers] == [200, 200, 415]
    for path, answer in zip(paths, answers, strict=False):
        (expected,) = models.active.file(path).top(1)
        assert answer.content["predictions"][0]["confidence"] == pytest.approx(expected.confidence, abs=1e-5)
