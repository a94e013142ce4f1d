"""The three ways to fine-tune a pretrained transformer: its head, LoRA, and all of its layers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import SMALL
from transformers import AutoModelForAudioClassification

from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_table import read
from genre_lib.errors import ConfigurationError, RunStopped
from genre_lib.models import untrained
from genre_lib.models.folder import load
from genre_lib.training import TrainingConfig, fit, keep_best
from genre_lib.training_rules import contradictions

PLAIN = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, str]:
    """Folders of tiny networks as the hub has them, with genres for none of them but AST."""
    root = tmp_path_factory.mktemp("bases")
    families = {"ast": {"max_length": 160, **PLAIN}, "hubert": {}, "wav2vec2": {}}
    return {name: str(untrained.make(name, "tiny", root / name, **fields)) for name, fields in families.items()}


@pytest.fixture(scope="module")
def cache_path(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("features"))


@pytest.fixture
def asked(synthetic_catalogue, cache_path, bases) -> dict:
    return SMALL | {"data_path": str(synthetic_catalogue), "cache_path": cache_path, "base_model": bases["ast"]}


@pytest.fixture
def tracks(synthetic_catalogue) -> Catalogue:
    return read(synthetic_catalogue / "catalogue.csv")


def weights(folder: Path | str) -> dict[str, torch.Tensor]:
    return AutoModelForAudioClassification.from_pretrained(folder).state_dict()


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in after.items() if name not in before or not value.equal(before[name])}


def stop_in(monkeypatch, epoch: int) -> None:
    """Interrupt the next training at the start of an epoch, which counts from one."""
    from genre_lib.models.classifier import GenreClassifier

    began = GenreClassifier.on_train_epoch_start

    def interrupt(self):
        if self.current_epoch + 1 == epoch:
            raise KeyboardInterrupt
        began(self)

    monkeypatch.setattr(GenreClassifier, "on_train_epoch_start", interrupt)


# ---- the configuration


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "heads"}, "method: .*'heads'"),
        ({"method": "head", "freeze": "front"}, "method='head' and freeze='front' contradict each other"),
        ({"method": "lora", "freeze": "backbone"}, "method='lora' and freeze='backbone' contradict each other"),
        ({"method": "full", "freeze": "backbone"}, "method='full' and freeze='backbone' contradict each other"),
        ({"method": "full", "solver": "lbfgs"}, "set freeze='backbone', or method='head'"),
        ({"method": "full", "init": "scratch"}, "leave it out with init='scratch'"),
        ({"lora_rank": 4}, "lora_rank is for method='lora'"),
        ({"method": "full", "lora_rank": 4, "lora_alpha": 1}, "lora_rank and lora_alpha are for method='lora'"),
        ({"method": "lora", "lora_targets": []}, "lora_targets"),
        ({"method": "lora", "layer_decay": 0.9}, "layer_decay is for method='full'"),
        ({"unfreeze_every": 1}, "unfreeze_every is for method='full'"),
        ({"method": "head", "augmentation": {"noise": 0.1}}, "heard once, as it is; leave augmentation out"),
        ({"method": "head", "features": "descriptors"}, "leave features out"),
        ({"method": "head", "gradient_checkpointing": True}, "gradient_checkpointing is for layers that learn"),
        ({"method": "head", "solver": "lbfgs", "accumulate": 2}, "takes no steps; leave accumulate out"),
        ({"accumulate": 0}, "accumulate: .*greater than or equal to 1"),
        ({"layer_decay": 0.0}, "layer_decay: .*greater than 0"),
    ],
)
def test_what_contradicts_a_method_is_explained(fields, message):
    with pytest.raises(ConfigurationError, match=message):
        TrainingConfig(**fields)


def test_methods_go_with_what_does_not_contradict_them():
    for fields in ({"method": "head", "freeze": "backbone"}, {"method": "head", "solver": "lbfgs", "num_epochs": 1}):
        assert contradictions(TrainingConfig(**fields)) == []
    for freeze in ("none", "norms", "front"):
        assert contradictions(TrainingConfig(method="full", freeze=freeze, layer_decay=0.8, unfreeze_every=1)) == []


# ---- the head


@pytest.mark.parametrize("family", ["ast", "hubert"])
def test_only_the_head_learns_and_scores_are_those_of_the_whole_network(family, asked, bases, tracks):
    from genre_lib import audio, metrics
    from genre_lib.clips import cut, pool

    found = fit(asked | {"base_model": bases[family], "method": "head"})
    model = load(found.model_folder)
    valid, logits = tracks.split("valid").tracks, []
    for path in valid["path"]:
        clips = cut(audio.load(path, model.sample_rate).waveform, model.sample_rate, 1.5)
        inputs = model.extractor(list(clips), sampling_rate=model.sample_rate, return_tensors="pt")
        with torch.no_grad():
            logits.append(pool(model.network(**inputs).logits).numpy())
    targets = np.array([model.genres.index(genre) for genre in valid["genre"]])
    whole = metrics.negative_log_likelihood(np.stack(logits), targets)
    assert found.metrics["valid_loss"] == pytest.approx(whole, abs=2e-3)  # features are kept in float16
    learned = changed(weights(bases[family]) if family == "ast" else {}, weights(found.model_folder))
    heads = {"ast": "classifier.", "hubert": ("classifier.", "projector.", "layer_weights", "hubert.")}
    assert learned and all(name.startswith(heads[family]) for name in learned)


def test_a_second_run_on_the_same_music_hears_nothing(asked, tmp_path, monkeypatch):
    import genre_lib.training_inputs as inputs

    heard = []
    embed = inputs.embed
    monkeypatch.setattr(inputs, "embed", lambda network, given: heard.append(1) or embed(network, given))
    asked = asked | {"method": "head", "cache_path": str(tmp_path / "cache")}
    first = fit(asked)
    assert heard and first.run.events("features_ready")[0]["computed"] > 0
    heard.clear()
    second = fit(asked)
    assert not heard and second.run.events("features_ready")[0]["computed"] == 0
    assert second.metrics == first.metrics
    fit(asked | {"clip_seconds": 1.25, "num_epochs": 1})
    assert heard


def test_a_checkpoint_of_the_head_holds_no_encoder(asked):
    found = fit(asked | {"method": "head", "ema_decay": 0.5})
    state = torch.load(found.run.checkpoints / "last.ckpt", weights_only=True)
    assert (
        set(state["state_dict"])
        == {
            f"network.classifier.{name}"
            for name in ("layernorm.weight", "layernorm.bias", "dense.weight", "dense.bias")
        }
        == set(state["current_model_state"])
    )


def test_the_head_may_be_solved_for_on_what_was_heard(asked, bases):
    solve = {"method": "head", "solver": "lbfgs", "num_epochs": 1, "learning_rate": 2e-5, "batch_size": 16}
    solve |= {"clips_per_epoch": None}
    kept = fit(asked | solve)
    whole = fit({name: value for name, value in (asked | solve).items() if name != "method"} | {"freeze": "backbone"})
    assert kept.metrics["valid_loss"] == pytest.approx(whole.metrics["valid_loss"], rel=1e-3)
    with pytest.raises(ConfigurationError, match="method='head' learns these weights too"):
        fit(asked | solve | {"base_model": bases["hubert"]})


# ---- LoRA


@pytest.mark.parametrize("family", ["ast", "wav2vec2"])
def test_lora_leaves_a_plain_folder_with_other_queries_and_values(family, asked, bases):
    found = fit(asked | {"base_model": bases[family], "method": "lora", "lora_rank": 2})
    model = AutoModelForAudioClassification.from_pretrained(found.model_folder)
    assert not [name for name in model.state_dict() if "lora" in name]
    if family == "ast":
        learned = changed(weights(bases[family]), model.state_dict())
        assert {name.split(".")[-2] for name in learned if not name.startswith("classifier")} == {"q_proj", "v_proj"}
    cost = found.run.result()["training"]
    assert cost["method"] == "lora" and 0 < cost["trainable_parameters"] < cost["parameters"]


@pytest.mark.parametrize(
    ("method", "family"), [("head", "hubert"), ("lora", "ast"), ("lora", "hubert"), ("full", "wav2vec2")]
)
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(method, family, asked, bases, tmp_path, monkeypatch):
    asked = asked | {"base_model": bases[family], "method": method, "keep": "last"}
    whole = fit(asked)
    run = {"run_path": str(tmp_path / "run")}
    with monkeypatch.context() as patch:
        stop_in(patch, epoch=2)
        with pytest.raises(RunStopped):
            fit(asked | run)
    found = fit(asked | run | {"resume": True})
    assert found.history["epoch"].tolist() == [1, 2]
    a, b = weights(whole.model_folder), weights(found.model_folder)
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)


def test_what_a_stopped_lora_leaves_is_plain_too(asked, tmp_path, monkeypatch):
    asked = asked | {"method": "lora", "run_path": str(tmp_path / "run")}
    stop_in(monkeypatch, epoch=2)
    with pytest.raises(RunStopped):
        fit(asked)
    kept = keep_best(TrainingConfig(**asked))
    assert kept is not None and kept.epoch == 1
    assert set(weights(kept.model_folder)) == set(weights(asked["base_model"]))


def test_networks_without_attention_cannot_have_lora(asked, tiny_model):
    with pytest.raises(ConfigurationError, match="take method='head' or method='full'"):
        fit(asked | {"base_model": str(tiny_model), "method": "lora"})
    with pytest.raises(ConfigurationError, match="its linear layers are q_proj"):
        fit(asked | {"method": "lora", "lora_targets": ["query"]})


# ---- all layers


def test_convolutions_rest_in_full_where_they_made_the_features_of_speech(asked, bases):
    found = fit(asked | {"base_model": bases["hubert"], "method": "full", "num_epochs": 1, "keep": "last"})
    before, after = load_encoder(bases["hubert"]), weights(found.model_folder)
    learned = {name for name in before if not after[f"hubert.{name}"].equal(before[name])}
    assert any(name.startswith("encoder.layers.0.") for name in learned)
    assert not any(name.startswith("feature_extractor.") for name in learned)


def load_encoder(folder: str) -> dict[str, torch.Tensor]:
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder).state_dict()


def test_no_layer_is_left_out_where_the_head_weighs_all(asked, tmp_path):
    """With LayerDrop at 0.9 both layers are left out of most steps, and the head would have one output of three."""
    base = untrained.make("hubert", "tiny", tmp_path / "hubert", layerdrop=0.9)
    found = fit(asked | {"base_model": str(base), "method": "full", "num_epochs": 1})
    assert AutoModelForAudioClassification.from_pretrained(found.model_folder).config.layerdrop == 0.0


def test_layers_begin_to_learn_one_by_one(asked, bases):
    """Of two layers, an epoch lets the head alone learn, the next one the second layer with it, and so on."""
    options = {"method": "full", "unfreeze_every": 1, "keep": "last", "warmup_steps": 0, "weight_decay": 0.0}
    for epochs, expected in ((1, set()), (2, {"1"}), (3, {"0", "1"})):
        found = fit(asked | options | {"num_epochs": epochs})
        learned = changed(weights(bases["ast"]), weights(found.model_folder))
        assert {name.split(".")[2] for name in learned if ".layers." in name} == expected


def test_two_small_batches_make_the_step_of_a_large_one(asked, bases):
    """Without dropout the gradients are the same sums."""
    options = {"method": "full", "keep": "last", "learning_rate": 1e-3}
    large = fit(asked | options | {"batch_size": 8})
    small = fit(asked | options | {"batch_size": 4, "accumulate": 2})
    assert np.allclose(large.history["train_loss"], small.history["train_loss"], atol=1e-5)
    a, b = weights(large.model_folder), weights(small.model_folder)
    assert all(torch.allclose(a[name], b[name], atol=2e-5) for name in a)


def test_checkpointed_gradients_are_the_same(asked):
    options = {"method": "full", "keep": "last", "num_epochs": 1}
    plain, checkpointed = (fit(asked | options | {"gradient_checkpointing": told}) for told in (False, True))
    a, b = weights(plain.model_folder), weights(checkpointed.model_folder)
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)


def test_a_full_run_tells_what_it_cost(asked):
    found = fit(asked | {"method": "full", "precision": "auto"})
    cost = found.run.result()["training"]
    assert cost["method"] == "full" and cost["trainable_parameters"] == cost["parameters"]
    assert cost["clips_per_second"] > 0 and cost["peak_memory_mib"] > 100 and cost["seconds"] > 0
    assert cost["precision"] in ("32-true", "bf16-mixed") and cost["device"] == "cpu"


# ---- several processes

SCRIPT = """
import json, sys
from genre_lib.training import fit
found = fit(json.loads(sys.argv[1]))
"""


@pytest.mark.slow
def test_two_processes_train_together(asked, tmp_path):
    """Two processes with batches of four take the steps of one with batches of eight."""
    options = {"method": "lora", "lora_dropout": 0.0, "keep": "last", "num_epochs": 1, "learning_rate": 1e-3}
    alone = fit(asked | options)
    options |= {"strategy": "ddp", "devices": 2, "batch_size": 4, "run_path": str(tmp_path / "run"), "progress": False}
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), json.dumps(asked | options)]
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    a, b = weights(alone.model_folder), weights(tmp_path / "run" / "model")
    assert all(torch.allclose(a[name], b[name], atol=1e-4) for name in a)


def test_gpus_that_are_not_there_are_told(asked):
    with pytest.raises(ConfigurationError, match="there is none; take strategy='ddp'"):
        fit(asked | {"strategy": "fsdp", "method": "full"})
