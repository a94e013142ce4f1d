"""The second half of the first is the whole: logits of embeddings beside the network's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    UniSpeechSatConfig,
    UniSpeechSatForSequenceClassification,
    WhisperConfig,
    WhisperForAudioClassification,
)

from genre_lib.errors import ModelInvalid
from genre_lib.models.cnn import GenreCNNConfig, GenreCNNForAudioClassification
from genre_lib.models.embedding import classify, embed, last_inputs
from genre_lib.models.folder import load
from genre_lib.models.head import last_layer
from genre_lib.models.untrained import FAMILIES, TINY_SPEECH, make
from genre_lib.networks.reading import read

SPEECH = ["hubert", "distilhubert", "wav2vec2"]
GENRES = ["jazz", "polka", "rock"]
LENGTHS = (16000, 9000, 5000)


def stirred(network: Any) -> Any:
    """The network with weights so far from zero that its logits differ, and layers that weigh differently."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network.eval()


def ready(folder: Path) -> tuple[Any, Any]:
    """Network and extractor."""
    model = load(folder)
    return stirred(model.network), model.extractor


def clips(*lengths: int) -> list[np.ndarray]:
    """Sounds of different colours."""
    rng = np.random.default_rng(0)
    noises = [rng.normal(0, 0.1, length) for length in lengths]
    return [np.convolve(noise, np.ones(1 + 8 * i), "same").astype(np.float32) for i, noise in enumerate(noises)]


def assert_two_halves(network: Any, inputs: Any) -> torch.Tensor:
    """The embedding, which gives the network's own logits."""
    with torch.no_grad():
        embedding = embed(network, inputs)
        logits, whole = classify(network, embedding), network(**inputs).logits
    assert whole.std(0).min() > 1e-3  # clips are told apart, or equality would say nothing
    assert torch.allclose(logits, whole, atol=1e-5)
    last = last_layer(network)[1]
    assert torch.allclose(last(last_inputs(network, embedding)), whole, atol=1e-5)
    return embedding


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_clips(family, tmp_path):
    network, extractor = ready(make(family, "tiny", tmp_path / family, GENRES))
    inputs = extractor(clips(16000, 16000, 16000), sampling_rate=16000, return_tensors="pt")
    expected = {"ast": (3, 16)}.get(family, (3, 3, 16))  # what goes into two layers, and what comes from each
    assert assert_two_halves(network, inputs).shape == expected


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("family", ["hubert", "wav2vec2"])
def test_logits_of_clips_of_several_lengths_with_a_mask(family, norm, tmp_path):
    network, extractor = ready(make(family, "tiny", tmp_path / family, GENRES, feat_extract_norm=norm))
    inputs = extractor(
        clips(*LENGTHS), sampling_rate=16000, padding=True, return_attention_mask=True, return_tensors="pt"
    )
    assert inputs["attention_mask"].sum(1).tolist() == list(LENGTHS)
    assert assert_two_halves(network, inputs).shape == (3, 3, 16)


def test_what_stands_where_nothing_is_heard_counts_for_nothing(tmp_path):
    network, extractor = ready(make("hubert", "tiny", tmp_path / "m", GENRES, feat_extract_norm="layer"))
    own = [embed(network, extractor(clip, sampling_rate=16000, return_tensors="pt")) for clip in clips(*LENGTHS)]
    padded = extractor(clips(*LENGTHS), sampling_rate=16000, padding=True, return_tensors="pt")
    assert torch.allclose(embed(network, padded), torch.cat(own), atol=1e-4)


@pytest.mark.parametrize("family", SPEECH)
def test_a_head_over_the_last_layer_alone(family, tmp_path):
    network, extractor = ready(make(family, "tiny", tmp_path / family, GENRES))
    network.config.use_weighted_layer_sum = False
    inputs = extractor(clips(16000, 16000), sampling_rate=16000, return_tensors="pt")
    assert assert_two_halves(network, inputs).shape == (2, 1, 16)


@pytest.mark.parametrize("subclasses", [None, [0, 1, 1, 2, 0]])
def test_our_own_networks(subclasses, tmp_path):
    torch.manual_seed(0)
    config = GenreCNNConfig.tiny(labels=GENRES, num_mel_bins=16, subclass_genre=subclasses)
    network = GenreCNNForAudioClassification(config).eval()
    inputs = {"input_values": torch.randn(4, 16, 20)}
    embedding = embed(network, inputs)
    assert embedding.shape == (4, network.backbone.dim)
    assert torch.allclose(classify(network, embedding), network(**inputs).logits, atol=1e-6)


def test_the_network_that_predicts_too(tiny_model):
    network: Any = read(tiny_model).network
    inputs = {"input_values": torch.randn(2, 128, 30)}
    with torch.no_grad():
        assert torch.equal(classify(network, embed(network, inputs)), network(**inputs).logits)


def test_classifiers_of_the_same_make():
    torch.manual_seed(0)
    config = UniSpeechSatConfig(**TINY_SPEECH, use_weighted_layer_sum=True)
    speech = stirred(UniSpeechSatForSequenceClassification(config))
    assert assert_two_halves(speech, {"input_values": torch.randn(2, 16000)}).shape == (2, 3, 16)


def test_a_network_of_another_kind_is_refused():
    shape = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16}
    whisper = WhisperForAudioClassification(WhisperConfig(**shape))
    with pytest.raises(ModelInvalid, match="WhisperForAudioClassification does not fall into"):
        embed(whisper, {"input_features": torch.randn(1, 80, 3000)})


def test_the_head_learns_by_embeddings(tmp_path):
    network, extractor = ready(make("hubert", "tiny", tmp_path / "m", GENRES))
    inputs = extractor(clips(16000, 16000), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        embedding = embed(network, inputs)
    torch.nn.functional.cross_entropy(classify(network, embedding), torch.tensor([0, 2])).backward()
    learned = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert learned == {"layer_weights", "projector.weight", "projector.bias", "classifier.weight", "classifier.bias"}
