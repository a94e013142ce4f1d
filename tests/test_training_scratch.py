from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from genre_lib import audio
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_table import read
from genre_lib.errors import ConfigurationError
from genre_lib.inference import Predictor
from genre_lib.models.folder import load
from genre_lib.models.untrained import TINY, TINY_SPEECH, make
from genre_lib.networks import kaldi
from genre_lib.runs import Run
from genre_lib.training import TrainingConfig, fit
from genre_lib.training_network import build

SMALL = {"clip_seconds": 1.5, "clips_per_epoch": 16, "batch_size": 8, "accelerator": "cpu", "devices": 1}
SCRATCH = SMALL | {"init": "scratch", "num_epochs": 1, "learning_rate": 5e-3}
AST = {"model_type": "audio-spectrogram-transformer", "num_mel_bins": 32, **TINY}
SHAPES = {"ast": AST, "hubert": {"model_type": "hubert", **TINY_SPEECH},
          "wav2vec2": {"model_type": "wav2vec2", **TINY_SPEECH}}  # fmt: skip
GENRES = ["jazz", "rock"]


@pytest.fixture
def asked(synthetic_catalogue, tmp_path) -> dict:
    return {"data_path": str(synthetic_catalogue), "cache_path": str(tmp_path / "cache")}


@pytest.fixture
def tracks(synthetic_catalogue) -> Catalogue:
    return read(synthetic_catalogue / "catalogue.csv")


def built(**fields):
    return build(TrainingConfig(**SCRATCH | fields), GENRES, None).model


def statistics(tracks: Catalogue, split: str = "train") -> tuple[float, float]:
    import torch

    paths = tracks.split(split).tracks["path"]
    values = [kaldi.fbank(torch.from_numpy(audio.load(path, 16000).waveform), 16000, 32) for path in paths]
    everything = torch.cat(values).double()
    return everything.mean().item(), everything.std(correction=0).item()


def test_encoders_learn_from_nothing(asked, tracks):
    for shape in SHAPES.values():
        result = fit(SCRATCH | asked | {"architecture": shape})
        model = load(result.model_folder)
        assert (model.genres, model.network.config.model_type) == (tracks.genres, shape["model_type"])
        assert model.network.config.hidden_size == 16 and result.history["train_loss"].notna().all()


def test_the_statistics_of_the_train_tracks_go_with_the_model(asked, tracks):
    result = fit(SCRATCH | asked | {"architecture": AST})
    stored = json.loads((result.model_folder / "preprocessor_config.json").read_text())
    mean, std = statistics(tracks)
    assert (stored["mean"], stored["std"]) == pytest.approx((mean, std), abs=1e-3)
    event = Run(result.run.path).events("normalisation_measured")[0]
    assert (event["mean"], event["tracks"]) == (stored["mean"], len(tracks.split("train")))
    # Scores of the run are those of the model with them.
    code = "import sys; from transformers import pipeline; p = pipeline('audio-classification', model=sys.argv[1]); " \
           "print(p.feature_extractor.mean)"  # fmt: skip
    told = subprocess.run([sys.executable, "-c", code, str(result.model_folder)], capture_output=True, text=True)
    assert float(told.stdout) == stored["mean"]


def test_a_base_models_statistics_stay_unless_the_datas_are_asked_for(asked, tracks, tmp_path):
    base = {"base_model": str(make("ast", "tiny", tmp_path / "ast", num_mel_bins=32)), "num_epochs": 1}
    for normalize, expected in (({}, -4.2677393), ({"normalize": "data"}, statistics(tracks)[0])):
        result = fit(SMALL | asked | base | normalize)
        assert load(result.model_folder).extractor.mean == pytest.approx(expected, abs=1e-3)


def test_statistics_that_are_given_or_the_familys_may_be_kept(asked):
    for fields, expected in (({"feature_extractor": {"mean": -3.0}}, -3.0), ({"normalize": "model"}, -4.2677393)):
        result = fit(SCRATCH | asked | {"architecture": AST} | fields)
        assert load(result.model_folder).extractor.mean == expected
    with pytest.raises(ConfigurationError, match="Wav2Vec2FeatureExtractor makes none"):
        fit(SCRATCH | asked | {"architecture": SHAPES["hubert"], "normalize": "data"})


def test_an_ast_is_as_long_as_its_clips_unless_told():
    assert built(architecture=AST).network.config.max_length == 148  # 1 + (24000 - 400) // 160
    told = built(architecture=AST | {"max_length": 200})
    assert (told.network.config.max_length, told.extractor.max_length) == (200, 200)
    other = built(
        architecture={k: v for k, v in AST.items() if k != "num_mel_bins"}, feature_extractor={"num_mel_bins": 40}
    )
    assert (other.network.config.num_mel_bins, other.extractor.num_mel_bins) == (40, 40)


def test_speech_encoders_weigh_layers_and_are_told_what_is_there_by_their_norm():
    model = built(architecture=SHAPES["hubert"])
    assert model.network.config.use_weighted_layer_sum and not model.extractor.return_attention_mask
    other = built(architecture=SHAPES["hubert"] | {"feat_extract_norm": "layer", "use_weighted_layer_sum": False})
    assert other.extractor.return_attention_mask and not other.network.config.use_weighted_layer_sum


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"architecture": {"model_type": "hubret"}}, "did you mean hubert"),
        (
            {"architecture": AST | {"hidden_sise": 16}},
            r"Unknown field architecture\.hidden_sise; did you mean hidden_size",
        ),
        ({"architecture": AST, "feature_extractor": {"sampling": 1}}, "did you mean sampling_rate"),
        ({"architecture": AST | {"hidden_size": "wide"}}, "cannot be built: .*hidden_size.*int"),
        ({"architecture": AST | {"patch_size": 64}}, "cannot be built"),
        ({"architecture": AST | {"hidden_act": "jump"}}, "cannot be built: 'jump'"),
        ({"architecture": AST, "feature_extractor": {"num_mel_bins": 64}}, "num_mel_bins is 32 in one and 64"),
        (
            {"architecture": AST | {"max_length": 100}},
            "clip_seconds is 1.5, and the network hears the first 100 frames",
        ),
        ({"architecture": SHAPES["hubert"] | {"conv_dim": [8]}}, "cannot be built: .*convolutional layers"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:30],
)
def test_what_cannot_be_built_is_a_sentence(fields, says):
    with pytest.raises(ConfigurationError, match=says):
        built(**fields)


def test_clips_that_a_published_ast_would_not_hear_to_the_end_are_refused(tmp_path):
    base = str(make("ast", "tiny", tmp_path / "ast"))
    config = TrainingConfig(base_model=base, clip_seconds=20.0)
    with pytest.raises(ConfigurationError, match=r"hears the first 1024 frames of a clip, 10\.24 s"):
        build(config, GENRES, None)
    assert np.isclose(build(TrainingConfig(base_model=base), GENRES, None).model.inference.clip_seconds, 10.0)


def test_embeddings_by_other_statistics_are_others(asked, tracks, tmp_path):
    base = {"base_model": str(make("ast", "tiny", tmp_path / "ast", num_mel_bins=32)), "num_epochs": 1}
    for normalize in ("model", "data"):
        result = fit(SMALL | asked | base | {"method": "head", "normalize": normalize})
        assert result.run.events("features_ready")[0]["computed"] == len(tracks.split("train")) + len(
            tracks.split("valid")
        )
        valid = tracks.split("valid").tracks
        predictor = Predictor.from_folder(result.model_folder, device="cpu")
        told = [predictor.file(path).top(1)[0].genre for path in valid["path"]]
        assert result.metrics["valid_accuracy"] == pytest.approx(np.mean(np.array(told) == valid["genre"]))
