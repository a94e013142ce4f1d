from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
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
from genre_lib.inference import load_model
from genre_lib.models.folder import load, save
from genre_lib.networks.folder import InferenceSettings, resolve_device

LABELS = {"id2label": {0: "Jazz", 1: "Rock", 2: "Hip-Hop"}, "label2id": {"Jazz": 0, "Rock": 1, "Hip-Hop": 2}}
TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
SPEECH = {
    "conv_dim": (8, 8), "conv_stride": (10, 10), "conv_kernel": (20, 20), "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8, "num_feat_extract_layers": 2,
}  # fmt: skip


def make_foreign(kind: str, folder):
    """A model of another maker's architecture with random weights, saved by transformers alone."""
    if kind == "ast":
        network = ASTForAudioClassification(ASTConfig(max_length=160, num_mel_bins=32, **TINY, **LABELS))
        extractor = ASTFeatureExtractor(num_mel_bins=32, max_length=160)
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
    model.inference = InferenceSettings(2.0, 1.0, 1.5, 24)
    second = save(model, tmp_path / "m")
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]
    assert not (tmp_path / "m" / "metrics.json").exists()  # scores of other weights must not stay beside these
    assert load(tmp_path / "m").inference == InferenceSettings(2.0, 1.0, 1.5, 24)
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


@pytest.fixture(params=[load, load_model], ids=["transformers", "plain"])
def read(request: pytest.FixtureRequest) -> Callable:
    """Both ways to read a folder: what one refuses, the other does."""
    return request.param


@pytest.fixture
def folder(tiny_model, tmp_path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(tiny_model, tmp_path / "m"))


def rewrite(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def reweigh(folder: Path, change: Callable[[dict], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def test_absent_folder(read, tmp_path):
    with pytest.raises(ModelNotFound, match="nowhere"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_a_missing_file_is_named(read, folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelInvalid, match=f"missing: {name}"):
        read(folder)


def test_pickles_are_not_loaded(read, folder):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelInvalid, match="Pickled weights are never loaded"):
        read(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("content", [b"\x00not this", b"", b"[1]"])
def test_a_broken_file_is_a_sentence(read, folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(ModelInvalid, match="could not be read"):
        read(folder)


def test_weights_that_are_cut_off(read, folder):
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelInvalid, match="could not be read"):
        read(folder)


def test_a_config_that_names_code_runs_none_of_it(read, folder, tmp_path):
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    code = {"AutoConfig": "evil.C", "AutoModelForAudioClassification": "evil.M", "AutoFeatureExtractor": "evil.F"}
    rewrite(folder / "config.json", auto_map=code)
    rewrite(folder / "preprocessor_config.json", auto_map=code)
    assert len(read(folder).genres) == 4
    rewrite(folder / "config.json", model_type="evil")
    with pytest.raises(ModelInvalid):
        read(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda weights: weights.pop("classifier.bias"), "lack classifier.bias"),
        (lambda weights: weights.update(spare=torch.zeros(1)), "hold spare"),
        (lambda weights: weights.update({"classifier.bias": torch.zeros(9)}), "could not be read"),
    ],
    ids=["lacking", "strange", "of another shape"],
)
def test_weights_that_do_not_fit_are_refused(read, folder, change, says):
    reweigh(folder, change)
    with pytest.raises(ModelInvalid, match=says):
        read(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"channels": [4, 8, 16, 32]},
        {"pooling": "sum"},
        {"clip_norm": 3},
        {"band_relax": "half"},
        {"stem_stride": "two"},
        {"blocks_per_stage": None},
        {"id2label": {"0": "jazz", "1": "rock"}},
        {"id2label": {"0": "a", "1": "b", "2": "c", "4": "d"}},
        {"id2label": {"0": "a", "1": "b", "2": "c", "3": 4}},
        {"id2label": {"first": "a"}},
        {"id2label": ["a", "b", "c", "d"]},
        {"id2label": None},
        {"subclass_genre": [0, 1, 2, 2, 3]},
        {"subclass_genre": [0, 1, 2, 9]},
        {"inference": {"temperature": 0}},
        {"inference": {"clip_seconds": "long"}},
        {"inference": [3.0]},
    ],
    ids=str,
)
def test_a_configuration_that_does_not_fit_is_refused(read, folder, values):
    rewrite(folder / "config.json", **values)
    with pytest.raises(ModelInvalid, match="could not be read"):
        read(folder)


@pytest.mark.parametrize(
    "values", [{"n_fft": 0}, {"sampling_rate": "fast"}, {"std": None}, {"hop_length": 2.5}], ids=str
)
def test_a_front_end_that_cannot_be_is_refused(folder, values):
    rewrite(folder / "preprocessor_config.json", **values)
    with pytest.raises(ModelInvalid, match=next(iter(values))):
        load_model(folder)


@pytest.mark.parametrize("kind", ["ast", "hubert", "wav2vec2"])
def test_other_makers_models_load_the_same_way(read, kind, tmp_path):
    network = make_foreign(kind, tmp_path / kind)
    model = read(tmp_path / kind)
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
