from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoProcessor,
    HubertConfig,
    MusicgenForConditionalGeneration,
    Wav2Vec2Config,
)

from genre_lib.errors import ConfigurationError, ModelInvalid
from genre_lib.models.folder import load, load_base, save
from genre_lib.models.head import is_tagger, with_genres
from genre_lib.models.untrained import FAMILIES, make

HEADLESS = ["hubert", "distilhubert", "wav2vec2"]


@pytest.mark.parametrize("family", FAMILIES)
def test_genres_make_a_classifier(family, tmp_path):
    model = load(make(family, "tiny", tmp_path / family, ["jazz", "rock"]))
    assert model.genres == ["jazz", "rock"]
    clip = np.random.default_rng(0).normal(size=16000).astype(np.float32)
    inputs = model.extractor(clip, sampling_rate=16000, return_tensors="pt")
    assert model.network(**inputs).logits.shape == (1, 2)


def test_the_seed_makes_the_weights(tmp_path):
    weights = [load_file(make("hubert", "tiny", tmp_path / f"{i}", seed=seed) / "model.safetensors")
               for i, seed in enumerate((0, 0, 1))]  # fmt: skip
    name = "encoder.layers.0.attention.k_proj.weight"
    assert torch.equal(weights[0][name], weights[1][name]) and not torch.equal(weights[0][name], weights[2][name])


@pytest.mark.parametrize("family", HEADLESS)
def test_as_published_there_is_no_head(family, tmp_path):
    folder = make(family, "tiny", tmp_path / family)
    with pytest.raises(ModelInvalid, match=f"{family} is an encoder without genres; fine-tune it first: genre finetun"):
        load(folder)
    assert AutoModel.from_pretrained(folder).config.model_type == AutoConfig.from_pretrained(folder).model_type


@pytest.mark.parametrize("family", HEADLESS)
def test_an_encoder_gets_a_head_over_all_of_its_layers(family, tmp_path):
    model = load_base(make(family, "tiny", tmp_path / family))
    layers = model.network.config.num_hidden_layers + 1
    assert model.network.layer_weights.tolist() == pytest.approx([1 / layers] * layers)
    assert with_genres(model.network, ["polka", "rock", "jazz"]) == []
    again = load(save(model, tmp_path / "classifier").folder)
    assert again.genres == ["polka", "rock", "jazz"] and again.network.config.use_weighted_layer_sum
    clip = torch.randn(1, 16000)
    assert torch.allclose(again.network(clip).logits, model.network(clip).logits, atol=1e-6)


def test_a_classifier_is_its_own_base(tmp_path):
    folder = make("hubert", "tiny", tmp_path / "m", ["jazz", "rock"])
    weights = load_file(folder / "model.safetensors")
    assert torch.equal(load_base(folder).network.classifier.weight, weights["classifier.weight"])


def test_half_a_head_is_none(tmp_path):
    folder = make("hubert", "tiny", tmp_path / "m", ["jazz", "rock"])
    weights = load_file(folder / "model.safetensors")
    del weights["projector.bias"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    for read in (load, load_base):
        with pytest.raises(ModelInvalid, match=r"lack projector\.bias"):
            read(folder)


def test_what_only_spec_augment_needs_may_lack(tmp_path):
    folder = make("wav2vec2", "tiny", tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    del weights["wav2vec2.masked_spec_embed"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert load_base(folder).network.wav2vec2.masked_spec_embed.isfinite().all()


def test_older_names_of_the_same_weights_are_read(tmp_path):
    """Published encoders name the position convolution's weights as torch did before 2023."""
    folder = make("hubert", "tiny", tmp_path / "m")
    before = load_base(folder).network(torch.ones(1, 16000), output_hidden_states=True).hidden_states[-1]
    weights = load_file(folder / "model.safetensors")
    place = "encoder.pos_conv_embed.conv"
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        weights[f"{place}.{old}"] = weights.pop(f"{place}.parametrizations.weight.{new}")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    after = load_base(folder).network(torch.ones(1, 16000), output_hidden_states=True).hidden_states[-1]
    assert torch.equal(before, after)


def test_the_published_ast_tells_tags_and_starts_anew_on_genres(tmp_path):
    model = load(make("ast", "tiny", tmp_path / "ast"))
    assert len(model.genres) == 527 and is_tagger(model.network)
    assert with_genres(model.network, ["jazz", "rock"]) == []
    config = json.loads((save(model, tmp_path / "new").folder / "config.json").read_text())
    assert config["id2label"] == {"0": "jazz", "1": "rock"} and config["label2id"] == {"jazz": 0, "rock": 1}
    assert not is_tagger(model.network) and load(tmp_path / "new").network.num_labels == 2


def test_fields_of_the_configuration_may_be_others(tmp_path):
    folder = make("wav2vec2", "tiny", tmp_path / "m", feat_extract_norm="layer")
    assert AutoFeatureExtractor.from_pretrained(folder).return_attention_mask
    assert load_base(folder).network.config.feat_extract_norm == "layer"


def test_musicgen_hears_and_writes(tmp_path):
    folder = make("musicgen", "tiny", tmp_path / "musicgen")
    network = MusicgenForConditionalGeneration.from_pretrained(folder).eval()
    inputs = AutoProcessor.from_pretrained(folder)(text=["slow jazz"], return_tensors="pt")
    assert network.generate(**inputs, max_new_tokens=20).shape == (1, 1, 640 * (20 - 3))  # codebooks are delayed
    codes = network.audio_encoder.encode(torch.randn(1, 1, 32000)).audio_codes
    assert codes.shape == (1, 1, 4, 50) and all(len(book.unique()) > 10 for book in codes[0, 0])
    assert AutoFeatureExtractor.from_pretrained(folder).sampling_rate == 32000
    with pytest.raises(ModelInvalid, match="musicgen is an encoder without genres"):
        load(folder)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("bert", "tiny"), "Expected a family of ast, hubert"),
        (("ast", "huge"), "got 'ast' and 'huge'"),
        (("musicgen", "tiny", ["rock"]), "without genres"),
    ],
)
def test_what_cannot_be_made_is_a_sentence(asked, says, tmp_path):
    family, size, *genres = asked
    with pytest.raises(ConfigurationError, match=says):
        make(family, size, tmp_path / "m", *genres)


def test_full_sizes_are_the_published_ones():
    """Counted without weights: 86.6 M for AST, and 94.4 M for HuBERT and 23.5 M for DistilHuBERT."""
    with torch.device("meta"):
        counts = {
            name: sum(p.numel() for p in family.original(family.config(**family.fields | labels)).parameters())
            for name, family in FAMILIES.items()
            for labels in [{"num_labels": 527} if name == "ast" else {}]
        }
    assert {name: round(count / 1e6, 1) for name, count in counts.items()} == {
        "ast": 86.6, "hubert": 94.4, "distilhubert": 23.5, "wav2vec2": 95.0
    }  # fmt: skip
    assert (HubertConfig().feat_extract_norm, Wav2Vec2Config().feat_extract_norm) == ("group", "group")
