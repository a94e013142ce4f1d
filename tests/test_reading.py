"""The starter, read with transformers and without: the same numbers, and seconds of imports fewer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

import genre_lib
from genre_lib.inference import Predictor, load_model
from genre_lib.models.folder import load, save
from genre_lib.networks.files import is_plain
from genre_lib.networks.logmel import LogMel

STARTER = Path(genre_lib.__file__).resolve().parents[1] / "pretrained" / "genre_classifier"

HEAVY = {
    *("transformers", "huggingface_hub", "torchaudio", "lightning", "pytorch_lightning", "torchmetrics"),
    *("pandas", "scipy", "sklearn", "matplotlib", "seaborn", "librosa", "sympy"),
    *("torch._dynamo", "torch._inductor", "torch.distributed.tensor"),  # torch itself imports torch.distributed
}
"""What costs seconds, and predicting with the CNN has no use for."""


def loaded(*command: str) -> set[str]:
    """The modules that a Python process has imported in the end; its last line of output names them."""
    environment = os.environ | {"MODEL_PATH": str(STARTER)}
    ended = subprocess.run([sys.executable, "-c", *command], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.splitlines()[-1].split())


def test_predicting_by_the_library_imports_nothing_heavy(tmp_path, tone, write_wav):
    code = """
import sys
from genre_lib.inference import Predictor
track = next(Predictor.from_folder(sys.argv[1]).files([sys.argv[2]], timeline=True))
assert len(track.predictions) == 11, track
print(*sys.modules)
"""
    modules = loaded(code, str(STARTER), str(write_wav(tmp_path / "a.wav", tone(7.0))))
    assert "torch" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize("form", ["table", "jsonl"])
def test_predicting_on_the_command_line_imports_nothing_heavy(tmp_path, tone, write_wav, form):
    code = (
        "import gc, sys; from genre_lib.cli import main; assert main(sys.argv[1:]) == 0; "
        "assert gc.get_freeze_count() > 100_000; "  # torch's own objects: it was imported apart from the collector
        "print(*sys.modules)"
    )
    modules = loaded(code, "predict", str(write_wav(tmp_path / "a.wav", tone(7.0))), "--format", form)
    assert "torch" in modules
    assert not modules & HEAVY


@pytest.fixture(params=["starter", "cnn"])
def folder(request: pytest.FixtureRequest, tiny_model: Path) -> Path:
    """A folder of each of our networks."""
    return STARTER if request.param == "starter" else tiny_model


@pytest.mark.parametrize("batch_size", [1, 16])
def test_the_numbers_are_those_of_transformers(folder, batch_size):
    track = np.random.default_rng(0).normal(0, 0.1, 20 * 22050).astype(np.float32)
    plain, full = load_model(folder), load(folder)
    assert isinstance(full.network, PreTrainedModel) and not isinstance(plain.network, PreTrainedModel)
    ours, theirs = (
        Predictor(model, device="cpu", batch_size=batch_size).clip_logits([track])[0] for model in (plain, full)
    )
    assert np.allclose(ours, theirs, atol=1e-6)
    assert (plain.genres, plain.inference, plain.version) == (full.genres, full.inference, full.version)
    assert (plain.name, plain.folder, plain.sample_rate) == (full.name, full.folder, full.sample_rate)


def test_one_code_and_one_set_of_weights(folder):
    plain, full = load_model(folder), load(folder)
    assert type(plain.network).logits is type(full.network).logits
    assert LogMel.logmel is type(full.extractor).logmel
    ours, theirs = plain.network.state_dict(), full.network.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) and ours[name].dtype == theirs[name].dtype for name in ours)


def test_a_saved_starter_is_the_shipped_one(tmp_path):
    save(load(STARTER), tmp_path / "again")
    for name in ("config.json", "preprocessor_config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (STARTER / name).read_bytes()


def test_weights_of_half_precision_are_read_as_float32(tiny_model, tmp_path):
    model = save(load(tiny_model), tmp_path / "m")
    half = {n: t.half() if t.is_floating_point() else t for n, t in load_file(tmp_path / "m/model.safetensors").items()}
    save_file(half, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    weight = load_model(model.folder).network.get_parameter("classifier.weight")
    assert weight.dtype == torch.float32
    assert torch.equal(weight, half["classifier.weight"].float())


def test_weights_stay_when_their_file_is_written_anew(tiny_model, tmp_path):
    save(load(tiny_model), tmp_path / "m")
    model = load_model(tmp_path / "m")
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    with (tmp_path / "m" / "model.safetensors").open("r+b") as file:
        file.truncate(10)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.network.state_dict().items())


def test_what_is_plain(tiny_model, tmp_path):
    assert is_plain(tiny_model)
    assert is_plain(STARTER)
    save(load(tiny_model), tmp_path / "parts")
    (tmp_path / "parts" / "model.safetensors").rename(tmp_path / "parts" / "model-00001-of-00001.safetensors")
    assert not is_plain(tmp_path / "parts")
