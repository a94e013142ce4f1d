"""The layers of a transformer, and the learning rate of each."""

from __future__ import annotations

import pytest

from genre_lib.errors import ConfigurationError
from genre_lib.models import untrained
from genre_lib.models.folder import load, load_base
from genre_lib.models.layers import depths, rests_in_front, unfreeze
from genre_lib.models.parameter_groups import layered_groups

LAST = 3  # behind the two layers of the tiny networks


@pytest.fixture
def network(request, tmp_path):
    return load_base(untrained.make(request.param, "tiny", tmp_path / request.param)).network


of = pytest.mark.parametrize


@of("network", ["ast", "hubert", "wav2vec2"], indirect=True)
def test_depths_grow_from_the_sound_to_the_head(network):
    found = depths(network)
    body = f"{network.base_model_prefix}."
    assert set(found) == {name for name, _ in network.named_parameters()}
    assert {depth for name, depth in found.items() if ".layers.0." in name} == {1}
    assert {depth for name, depth in found.items() if ".layers.1." in name} == {2}
    assert {depth for name, depth in found.items() if not name.startswith(body)} == {LAST}
    before = [name for name, depth in found.items() if depth == 0]
    assert before and all(name.startswith(body) and ".layers." not in name for name in before)


@of(("network", "name", "depth"), [
    ("ast", "audio_spectrogram_transformer.layernorm.weight", LAST),
    ("ast", "audio_spectrogram_transformer.embeddings.cls_token", 0),
    ("hubert", "hubert.encoder.layer_norm.weight", 0),
    ("wav2vec2", "wav2vec2.feature_projection.projection.weight", 0),
], indirect=["network"])  # fmt: skip
def test_a_norm_belongs_to_what_comes_after_it(network, name, depth):
    assert depths(network)[name] == depth


def test_a_norm_behind_stable_layers_belongs_to_the_head(tmp_path):
    folder = untrained.make("hubert", "tiny", tmp_path / "h", do_stable_layer_norm=True, feat_extract_norm="layer")
    assert depths(load_base(folder).network)["hubert.encoder.layer_norm.weight"] == LAST


@of("network", ["ast"], indirect=True)
def test_rates_decay_by_layer_from_the_head_on(network):
    groups = layered_groups(network, 0.1, 1.0, 0.5)
    assert groups[0]["lr"] == 1.0
    assert sorted({group["lr"] for group in groups}) == [0.125, 0.25, 0.5, 1.0]
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    layer = network.audio_spectrogram_transformer.layers[1]
    assert rate[id(layer.mlp.fc1.weight)] == 0.5 and decay[id(layer.mlp.fc1.weight)] == 0.1
    assert rate[id(layer.mlp.fc1.bias)] == 0.5 and decay[id(layer.mlp.fc1.bias)] == 0.0
    assert rate[id(network.audio_spectrogram_transformer.embeddings.cls_token)] == 0.125


@of("network", ["hubert"], indirect=True)
def test_what_rests_is_in_no_group(network):
    network.freeze_feature_encoder()
    named = {id(p): name for name, p in network.named_parameters()}
    learning = [named[id(p)] for group in layered_groups(network, 0.1, 1.0, 0.5) for p in group["params"]]
    assert learning and not any(".feature_extractor." in name for name in learning)


@of("network", ["ast"], indirect=True)
def test_a_layer_more_learns_every_so_many_epochs(network):
    found = depths(network)
    lowest = []
    for epoch in range(8):
        unfreeze(network, found, LAST, epoch, every=2)
        lowest.append(min(found[name] for name, p in network.named_parameters() if p.requires_grad))
    assert lowest == [3, 3, 2, 2, 1, 1, 0, 0]


@of("network", ["ast", "hubert", "wav2vec2"], indirect=True)
def test_whose_convolutions_rest(network):
    assert rests_in_front(network) is (network.config.model_type != "audio-spectrogram-transformer")


def test_our_networks_have_no_such_layers(tiny_model):
    network = load(tiny_model).network
    with pytest.raises(ConfigurationError, match="layer_decay and unfreeze_every go by a transformer's layers"):
        depths(network)
    assert not rests_in_front(network)
