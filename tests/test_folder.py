from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    HubertConfig,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    pipeline,
)

from genre_lib.errors import ConfigurationError, ModelInvalid, ModelNotFound
from genre_lib.models.folder import InferenceSettings, load, resolve_device, save

LABELS = {"id2label": {0: "Jazz", 1: "Rock", 2: "Hip-Hop"}, "label2id": {"Jazz": 0, "Rock": 1, "Hip-Hop": 2}}
TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
SPEECH = {
    "conv_dim": (8, 8), "conv_stride": (10, 10), "conv_kernel": (20, 20), "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8, "num_feat_extract_layers": 2,
}  # fmt: skip


def make_foreign(kind: str, folder):
    """A model of another maker's architecture with random weights, saved by transformers alone."""
    if kind == "ast":
        network = ASTForAudioClassification(ASTConfig(max_length=128, num_mel_bins=32, **TINY, **LABELS))
        extractor = ASTFeatureExtractor(num_mel_bins=32, max_length=128)
    else:
        config, model = {
            "hubert": (HubertConfig, HubertForSequenceClassification),
            "wav2vec2": (Wav2Vec2Config, Wav2Vec2ForSequenceClassification),
        }[kind]
        network = model(config(**TINY, **SPEECH, **LABELS))
        extractor = Wav2Vec2FeatureExtractor()
    network.eval().save_pretrained(folder)
    extractor.save_pretrained(folder)
    return network


def test_comes_back_the_same(tiny_model, tmp_path):
    model = load(tiny_model)
    saved = save(model, tmp_path / "copy")
    again = load(tmp_path / "copy")
    clip = model.extractor(np.random.default_rng(0).normal(size=30000).astype(np.float32), return_tensors="pt")
    assert torch.equal(model.network(**clip).logits, again.network(**clip).logits)
    assert (again.name, again.version, again.genres) == ("copy", saved.version, model.genres)
    assert len(again.version) == 12
    assert again.inference == model.inference


def test_the_pipeline_gives_our_probabilities(tiny_model):
    model = load(tiny_model)
    waveform = np.random.default_rng(1).normal(0, 0.1, 3 * model.sample_rate).astype(np.float32)
    ours = model.network(**model.extractor(waveform, return_tensors="pt")).logits[0]
    rows = pipeline("audio-classification", model=str(tiny_model))(waveform, top_k=4, function_to_apply="none")
    theirs = {row["label"]: row["score"] for row in rows}
    assert np.allclose([theirs[genre] for genre in model.genres], ours.detach().numpy(), atol=1e-5)


def test_replacing_leaves_one_whole_folder(tiny_model, tmp_path):
    model = load(tiny_model)
    first = save(model, tmp_path / "m")
    (tmp_path / "m" / "metrics.json").write_text("{}")
    model.inference = InferenceSettings(2.0, 1.0, 1.5)
    second = save(model, tmp_path / "m")
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]
    assert not (tmp_path / "m" / "metrics.json").exists()  # scores of other weights must not stay beside these
    assert load(tmp_path / "m").inference == InferenceSettings(2.0, 1.0, 1.5)
    assert first.version != second.version


def test_a_failed_save_leaves_the_old_one(tiny_model, tmp_path, monkeypatch):
    model = load(tiny_model)
    save(model, tmp_path / "m")
    monkeypatch.setattr(
        type(model.extractor), "save_pretrained", lambda *_: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        save(model, tmp_path / "m")
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]
    assert load(tmp_path / "m").genres == model.genres


def test_absent_folder(tmp_path):
    with pytest.raises(ModelNotFound, match="nowhere"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_a_missing_file_is_named(tiny_model, tmp_path, name):
    shutil.copytree(tiny_model, tmp_path / "m")
    (tmp_path / "m" / name).unlink()
    with pytest.raises(ModelInvalid, match=f"missing: {name}"):
        load(tmp_path / "m")


def test_pickles_are_not_loaded(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "m" / "pytorch_model.bin")
    with pytest.raises(ModelInvalid, match="Pickled weights are never loaded"):
        load(tmp_path / "m")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_a_broken_file_is_a_sentence(tiny_model, tmp_path, name):
    shutil.copytree(tiny_model, tmp_path / "m")
    (tmp_path / "m" / name).write_bytes(b"\x00not this")
    with pytest.raises(ModelInvalid, match="could not be read"):
        load(tmp_path / "m")


def test_a_config_that_names_code_runs_none_of_it(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "m")
    (tmp_path / "m" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModelForAudioClassification": "evil.M"}}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelInvalid):
        load(tmp_path / "m")
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_shape_are_refused(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["channels"] = [4, 8, 16, 32]
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelInvalid):
        load(tmp_path / "m")


@pytest.mark.parametrize("kind", ["ast", "hubert", "wav2vec2"])
def test_other_makers_models_load_the_same_way(kind, tmp_path):
    network = make_foreign(kind, tmp_path / kind)
    model = load(tmp_path / kind)
    assert model.genres == ["Jazz", "Rock", "Hip-Hop"]
    assert model.inference == InferenceSettings(10.0, 10.0, 1.0)
    clip = model.extractor(np.zeros(16000, np.float32) + 0.1, sampling_rate=16000, return_tensors="pt")
    assert torch.allclose(model.network(**clip).logits, network(**clip).logits, atol=1e-5)


def test_devices():
    assert resolve_device("auto") in {"cpu", "cuda"}
    assert resolve_device("cpu") == "cpu"
    with pytest.raises(ConfigurationError, match="abacus"):
        resolve_device("abacus")
    with pytest.raises(ConfigurationError, match="cuda:99"):
        resolve_device("cuda:99")
