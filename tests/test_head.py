from __future__ import annotations

import numpy as np
import pytest
import torch
from test_folder import make_foreign

from genre_lib.errors import ConfigurationError
from genre_lib.models.cnn import GenreCNNConfig, GenreCNNForAudioClassification
from genre_lib.models.folder import load, save
from genre_lib.models.head import freeze_backbone, is_tagger, rest_frozen, with_genres, with_genres_of_tags


@pytest.mark.parametrize("kind", ["ast", "hubert", "wav2vec2"])
def test_shared_genres_keep_their_rows(kind, tmp_path):
    make_foreign(kind, tmp_path / kind)
    model = load(tmp_path / kind)
    clip = model.extractor(np.random.default_rng(0).normal(size=16000).astype(np.float32), sampling_rate=16000,
                           return_tensors="pt")  # fmt: skip
    before = model.network(**clip).logits[0]
    assert with_genres(model.network, ["hiphop", "polka", "rock"]) == ["hiphop", "rock"]
    after = model.network(**clip).logits[0]
    assert torch.allclose(after[[0, 2]], before[[2, 1]], atol=1e-6)
    assert load(save(model, tmp_path / "new").folder).genres == ["hiphop", "polka", "rock"]


def test_a_frozen_backbone_does_not_move(tiny_model):
    network = load(tiny_model).network
    freeze_backbone(network)
    network.train()
    rest_frozen(network)
    before = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    network(torch.randn(4, 128, 30), labels=torch.tensor([0, 1, 2, 3])).loss.backward()
    assert all(torch.equal(value, before[name]) for name, value in network.backbone.state_dict().items())
    assert [name for name, p in network.named_parameters() if p.grad is not None] == [
        "classifier.weight",
        "classifier.bias",
    ]


def test_sub_classes_of_a_shared_genre_stay_together():
    torch.manual_seed(0)
    config = GenreCNNConfig.tiny(labels=["jazz", "rock", "pop"], num_mel_bins=16, subclass_genre=[0, 1, 1, 2])
    network = GenreCNNForAudioClassification(config).eval()
    clip = torch.randn(1, 16, 8)
    before = network.subclass_logits(clip)[0]
    assert with_genres(network, ["Rock", "polka"]) == ["Rock"]
    assert network.config.subclass_genre == [0, 0, 1]
    assert torch.allclose(network.subclass_logits(clip)[0, :2], before[1:3], atol=1e-6)
    assert with_genres(network, ["polka", "pop"]) == ["polka"]
    assert network.config.subclass_genre is None and network(clip).logits.shape == (1, 2)


@pytest.fixture
def tagger() -> GenreCNNForAudioClassification:
    torch.manual_seed(0)
    tags = ["rock", "guitar", "Hip-Hop", "classic rock", "electronica"]
    config = GenreCNNConfig.tiny(labels=tags, num_mel_bins=16)
    config.problem_type = "multi_label_classification"
    return GenreCNNForAudioClassification(config).eval()


def test_genres_start_as_the_tags_of_their_names(tagger):
    clip = torch.randn(1, 16, 8)
    before = tagger(clip).logits[0]
    assert is_tagger(tagger)
    assert with_genres_of_tags(tagger, ["hiphop", "polka", "rock"]) == ["hiphop", "rock"]
    assert torch.allclose(tagger(clip).logits[0], torch.stack([before[2], torch.tensor(0.0), before[0]]), atol=1e-6)
    assert not is_tagger(tagger)


def test_genres_start_as_the_mean_of_the_tags_that_are_given(tagger):
    clip = torch.randn(1, 16, 8)
    before = tagger(clip).logits[0]
    related = {"Rock": ["guitar", "classic rock"], "polka": ["Electronica"], "hiphop": []}
    assert with_genres_of_tags(tagger, ["hiphop", "polka", "rock"], related) == ["polka", "rock"]
    expected = torch.stack([torch.tensor(0.0), before[4], before[[1, 3]].mean()])
    assert torch.allclose(tagger(clip).logits[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("related", "message"),
    [({"tango": ["guitar"]}, "tango, which is no genre"), ({"rock": ["tuba"]}, "tuba, .*its tags are rock, guitar")],
)
def test_tags_and_genres_that_are_none_are_named(tagger, related, message):
    with pytest.raises(ConfigurationError, match=message):
        with_genres_of_tags(tagger, ["rock", "polka"], related)
