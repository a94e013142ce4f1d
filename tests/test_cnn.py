from __future__ import annotations

import pytest
import torch

from genre_lib.models.cnn import GenreCNNConfig, GenreCNNForAudioClassification
from genre_lib.networks.cnn import normalise_clip, pool_image


def test_fewer_than_a_million_parameters():
    network = GenreCNNForAudioClassification(GenreCNNConfig.for_labels([str(i) for i in range(11)]))
    assert sum(parameter.numel() for parameter in network.parameters()) < 1_000_000


@pytest.mark.parametrize("pooling", ["avg", "avgmax", "avgstd"])
@pytest.mark.parametrize("frames", [1, 7, 64])
def test_any_number_of_frames(pooling, frames):
    network = GenreCNNForAudioClassification(GenreCNNConfig.tiny(labels="abc", pooling=pooling, num_mel_bins=40)).eval()
    assert network(torch.randn(2, 40, frames)).logits.shape == (2, 3)


def test_labels_give_the_cross_entropy():
    network = GenreCNNForAudioClassification(GenreCNNConfig.tiny(labels="ab", num_mel_bins=16)).eval()
    output = network(torch.randn(4, 16, 8), labels=torch.tensor([0, 1, 1, 0]))
    chosen = output.logits.log_softmax(-1)[torch.arange(4), torch.tensor([0, 1, 1, 0])]
    assert torch.allclose(output.loss, -chosen.mean(), atol=1e-6)


def test_bands_beyond_the_used_do_not_matter():
    network = GenreCNNForAudioClassification(GenreCNNConfig.tiny(num_mel_bins=16, used_mel_bins=12)).eval()
    clip = torch.randn(1, 16, 8)
    other = clip.clone()
    other[:, 12:] = 9.0
    assert torch.equal(network(clip).logits, network(other).logits)


def test_loudness_does_not_matter_once_the_mean_is_taken_out():
    network = GenreCNNForAudioClassification(GenreCNNConfig.tiny(num_mel_bins=16, clip_norm="mean")).eval()
    clip = torch.randn(1, 16, 8)
    assert torch.allclose(network(clip).logits, network(clip + 3).logits, atol=1e-5)


def test_dynamic_range_is_counted_from_the_maximum():
    clip = torch.tensor([[[0.0, -1.0, -9.0]]])
    assert normalise_clip(clip, "none", dynamic_range=4.0).tolist() == [[[0.0, -1.0, -4.0]]]


def test_poolings_by_arithmetic():
    hidden = torch.tensor([[[[1.0, 3.0], [3.0, 5.0]]]])  # one channel, two bands, two frames; means over bands: 2, 4
    assert pool_image(hidden, "avg").tolist() == [[3.0]]
    assert pool_image(hidden, "avgmax").tolist() == [[3.0, 4.0]]
    assert torch.allclose(pool_image(hidden, "avgstd"), torch.tensor([[3.0, 1.0]]), atol=1e-3)


def test_a_genre_is_as_likely_as_its_sub_classes_together():
    config = GenreCNNConfig.tiny(labels=["jazz", "rock"], num_mel_bins=16, subclass_genre=[1, 0, 1])
    network = GenreCNNForAudioClassification(config).eval()
    outputs = torch.log(torch.tensor([[0.5, 0.2, 0.3]]))
    assert torch.allclose(network.genre_logits(outputs).exp(), torch.tensor([[0.2, 0.8]]), atol=1e-6)
    clip = torch.randn(3, 16, 8)
    assert network.subclass_logits(clip).shape == (3, 3) and network(clip).logits.shape == (3, 2)
    assert torch.allclose(network(clip).logits.exp().sum(1), torch.ones(3), atol=1e-5)


def test_a_fixed_filter_is_taken_out_in_part():
    torch.manual_seed(0)
    clip, tilt = torch.randn(1, 16, 8), torch.linspace(-1, 1, 16)[None, :, None]
    network = GenreCNNForAudioClassification(GenreCNNConfig.tiny(num_mel_bins=16, band_relax=1.0)).eval()
    assert torch.allclose(network(clip).logits, network(clip + tilt).logits, atol=1e-5)


@pytest.mark.parametrize("field", ["pooling", "clip_norm"])
def test_unknown_choices_are_named(field):
    with pytest.raises(ValueError, match=f"GenreCNNConfig.{field} must be one of"):
        GenreCNNConfig(**{field: "no"})
