from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from genre_lib.models.classifier import GenreClassifier, Recipe, inverse_frequency
from genre_lib.models.cnn import GenreCNNConfig, GenreCNNForAudioClassification
from genre_lib.models.fusion import GenreFusionConfig, GenreFusionForAudioClassification
from genre_lib.models.parameter_groups import learning_rate_factor, parameter_groups
from genre_lib.models.track_logits import track_logits, track_scores


@pytest.fixture
def network() -> GenreCNNForAudioClassification:
    torch.manual_seed(0)
    return GenreCNNForAudioClassification(GenreCNNConfig.tiny(labels="abc", num_mel_bins=8))


def test_the_schedule_by_arithmetic():
    assert [learning_rate_factor(step, 4, 12) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert learning_rate_factor(8, 4, 12) == pytest.approx(0.5)
    assert learning_rate_factor(12, 4, 12) == pytest.approx(0.0)
    assert learning_rate_factor(12, 4, 12, final=0.1) == pytest.approx(0.1)
    assert learning_rate_factor(0, 0, 1) == 1.0


def test_only_tensors_of_two_dimensions_decay(network):
    decaying, others = parameter_groups(network, 0.1)
    assert decaying["weight_decay"] == 0.1 and others["weight_decay"] == 0.0
    assert all(p.ndim >= 2 for p in decaying["params"]) and all(p.ndim < 2 for p in others["params"])
    assert len(decaying["params"]) + len(others["params"]) == len(list(network.parameters()))


def test_the_network_over_features_may_learn_faster():
    config = GenreFusionConfig.for_labels("abc", edges={"energy": [0.0, 1.0]}, width=4, members=2, depth=1)
    network = GenreFusionForAudioClassification(config)
    groups = parameter_groups(network, 0.1, 0.5)
    assert [group.get("lr") for group in groups] == [None, None, 0.5, 0.5]
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
    assert {id(p) for group in groups[2:] for p in group["params"]} == {id(p) for p in network.encoder.parameters()}
    assert len(parameter_groups(network, 0.1)) == 2


def test_the_loss_is_the_smoothed_cross_entropy(network):
    logits, target = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    smoothed = torch.tensor([0.8 + 0.2 / 3, 0.2 / 3, 0.2 / 3])
    expected = -(smoothed * logits[0].log_softmax(0)).sum()
    assert GenreClassifier(network, Recipe(label_smoothing=0.2)).loss(logits, target) == pytest.approx(expected.item())


def test_the_logit_adjustment_asks_more_of_frequent_genres(network):
    shares = np.array([0.5, 0.25, 0.25])
    module = GenreClassifier(network, Recipe(logit_adjustment=1.0), class_shares=shares)
    loss = module.loss(torch.zeros(1, 3), torch.eye(3)[:1])
    assert loss.item() == pytest.approx(-np.log(0.5))
    loss = module.loss(torch.zeros(1, 3), torch.eye(3)[1:2])
    assert loss.item() == pytest.approx(-np.log(0.25))


def test_weights_make_genres_count_the_same():
    weights = inverse_frequency(np.array([0, 0, 0, 1]), 2)
    assert weights.tolist() == [4 / 6, 2.0]


def test_scores_by_track():
    logits = np.log(np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]]))
    scores = track_scores(logits, np.array([0, 1, 1]))
    assert scores["valid_accuracy"] == pytest.approx(2 / 3)
    assert scores["valid_loss"] == pytest.approx(-(np.log(0.5) + np.log(0.75) + np.log(0.1)) / 3)
    assert scores["valid_macro_f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_a_track_is_the_mean_of_its_clips(network):
    network.eval()
    clips = torch.randn(5, 8, 16)
    logits, targets = track_logits(network, [{"inputs": clips, "targets": torch.tensor(2)}])
    with torch.no_grad():
        expected = network(clips).logits.mean(0)
    assert np.allclose(logits[0], expected, atol=1e-6) and targets.tolist() == [2]


def test_a_frozen_backbone_stays_at_rest(network):
    module = GenreClassifier(network, Recipe(freeze="backbone"))
    module.train()
    module.on_train_batch_start(None, 0)
    assert not network.backbone.training and network.dropout.training
    assert [name for name, p in module.named_parameters() if p.requires_grad] == [
        "network.classifier.weight",
        "network.classifier.bias",
    ]


def test_a_network_that_was_loaded_to_predict_learns_in_training_mode(network, tmp_path):
    """Lightning leaves the mode of each layer as it finds it: without dropout, and with norms that learn nothing."""
    module = GenreClassifier(network.eval(), Recipe(warmup_steps=0))
    batches = [{"inputs": torch.randn(4, 8, 16), "targets": torch.tensor([0, 1, 2, 0])}] * 3
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "barebones": False}
    trainer = Trainer(max_epochs=1, accelerator="cpu", enable_checkpointing=False, default_root_dir=tmp_path, **quiet)
    trainer.fit(module, DataLoader(batches, batch_size=None))
    norms = [layer for layer in network.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    assert norms and all(int(norm.num_batches_tracked) == 3 for norm in norms)
    assert network.dropout.training


def test_one_step_of_the_module_is_a_step_of_torch(network):
    module = GenreClassifier(network, Recipe())
    module.log = lambda *_, **__: None
    batch = {"inputs": torch.randn(4, 8, 16), "targets": torch.tensor([0, 1, 2, 0])}
    network.eval()
    expected = functional.cross_entropy(network(batch["inputs"]).logits, batch["targets"])
    assert module.training_step(batch, 0).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_resting_front_keeps_its_weights_and_every_norm_its_statistics(network):
    module = GenreClassifier(network, Recipe(freeze="front"))
    module.train()
    module.on_train_batch_start(None, 0)
    norms = [part for part in network.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    assert norms and not any(part.training for part in norms)
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert not any(name.startswith(("backbone.stem", "backbone.input_norm")) for name in learning)
    assert {"classifier.weight", "backbone.stages.0.conv1.weight"} <= learning


def test_a_compiled_network_keeps_the_names_of_its_weights(network):
    names = set(network.state_dict())
    module = GenreClassifier(network, Recipe(), compiled=True)
    assert set(module.state_dict()) == {f"network.{name}" for name in names}


def test_a_checkpoint_leaves_out_what_rests_and_takes_it_from_the_network(network):
    module = GenreClassifier(network, Recipe(freeze="backbone"))
    checkpoint = {"state_dict": dict(module.state_dict())}
    module.on_save_checkpoint(checkpoint)
    left = {name for name in checkpoint["state_dict"] if not name.startswith("network.backbone.")}
    assert left == {"network.classifier.weight", "network.classifier.bias"}
    assert not {name for name, _ in module.named_parameters()} & set(checkpoint["state_dict"]) - left
    module.on_load_checkpoint(checkpoint)
    assert set(checkpoint["state_dict"]) == set(module.state_dict())
