"""LoRA's matrices: added, learned and merged."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForAudioClassification

from genre_lib.errors import ConfigurationError
from genre_lib.models import adapters, untrained
from genre_lib.models.folder import load_base

RANK = 2
WIDTH, LAYERS = 16, 2  # of the tiny networks


@pytest.fixture(params=["ast", "hubert", "wav2vec2"])
def model(request, tmp_path):
    torch.manual_seed(0)  # of the head
    found = load_base(untrained.make(request.param, "tiny", tmp_path / request.param))
    with torch.no_grad():
        for parameter in found.network.parameters():
            parameter.mul_(4 if parameter.ndim == 2 else 1)  # random weights are small, and all else drowns in biases
    return found


def inputs(model) -> dict[str, torch.Tensor]:
    noise = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0)).numpy()
    return dict(model.extractor(list(noise), sampling_rate=16000, return_tensors="pt"))


@torch.no_grad()
def logits(model) -> torch.Tensor:
    return model.network.eval()(**inputs(model)).logits


def learn(network: torch.nn.Module) -> None:
    """What learning would do: the second matrices, which begin at zero, are no zeros any more."""
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=2.0)


def test_at_first_nothing_is_other_than_before(model):
    before = logits(model)
    adapters.add(model.network, RANK, None, 0.1)
    assert torch.equal(logits(model), before)


def test_merged_is_unmerged_and_a_plain_folder(model, tmp_path):
    before, names = logits(model), set(model.network.state_dict())
    adapters.add(model.network, RANK, None, 0.1)
    learn(model.network)
    unmerged = logits(model)
    assert (unmerged - before).abs().max() > 1e-2
    adapters.merge(model.network)
    assert set(model.network.state_dict()) == names
    assert torch.allclose(logits(model), unmerged, atol=1e-5)
    model.network.save_pretrained(tmp_path / "plain")
    plain = AutoModelForAudioClassification.from_pretrained(tmp_path / "plain").eval()
    with torch.no_grad():
        assert torch.allclose(plain(**inputs(model)).logits, unmerged, atol=1e-5)


def test_gradients_go_to_the_matrices_and_the_head_alone(model):
    adapters.add(model.network, RANK, None, 0.0)
    learn(model.network)
    model.network(**inputs(model)).logits.sum().backward()
    moved = {name: parameter for name, parameter in model.network.named_parameters() if parameter.grad is not None}
    inside = [name for name in moved if name.startswith(f"{model.network.base_model_prefix}.")]
    assert all("lora_" in name for name in inside)
    assert sum(moved[name].numel() for name in inside) == LAYERS * 2 * 2 * RANK * WIDTH  # queries, values; A, B
    heads = {name for name, _ in model.network.named_parameters()} - {
        name for name, _ in model.network.named_parameters() if name.startswith(f"{model.network.base_model_prefix}.")
    }
    assert heads <= set(moved)


def test_alpha_is_the_scale_times_the_rank(model):
    """A change that is W = alpha / rank · B A, of matrices of ones."""
    adapters.add(model.network, RANK, 6.0, 0.0, ["k_proj"])
    layer = next(module for name, module in model.network.named_modules() if name.endswith("k_proj"))
    before = layer.get_base_layer().weight.clone()
    for part in (layer.lora_A["default"], layer.lora_B["default"]):
        torch.nn.init.ones_(part.weight)
    adapters.merge(model.network)
    after = next(module for name, module in model.network.named_modules() if name.endswith("k_proj")).weight
    assert torch.allclose(after - before, torch.full_like(before, 6.0 / RANK * RANK), atol=1e-5)


def test_layers_that_are_not_there_are_told(model):
    with pytest.raises(ConfigurationError, match=r"lora_targets names query, which .* does not have; .* q_proj"):
        adapters.add(model.network, RANK, None, 0.0, ["query"])


def test_nothing_is_merged_where_nothing_was_added(model):
    before = logits(model)
    adapters.merge(model.network)
    assert torch.equal(logits(model), before)
