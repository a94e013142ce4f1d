"""A model from outside, read with suspicion: what is refused, and why."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from packed_models import Files, config_with, files_of

from genre_lib.errors import ModelInvalid, UploadRefused
from genre_lib.service import model_check


@pytest.fixture
def files(tiny_model: Path) -> Files:
    return files_of(tiny_model)


def check(files: Files, folder: Path) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    model_check.check(folder)


def test_a_good_model_passes(files: Files, tmp_path: Path):
    check(files, tmp_path)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"auto_map": {"AutoConfig": "evil.Config"}}, r"code of its own \(auto_map\)"),
        ({"deep": [{"auto_map": {}}]}, r"code of its own \(auto_map\)"),
        ({"custom_pipelines": {}}, "code of its own"),
        ({"weight_map": {"a": "../../other.safetensors"}}, "not in the zip"),
        ({"model_type": "bert"}, "could not be read"),
        ({"model_type": "no_such_type"}, "could not be read"),
        ({"id2label": {"0": "rock"}, "label2id": {"rock": 0}}, "could not be read|genres"),
        ({"inference": {"clip_seconds": 1e9}}, "cuts clips of 1e\\+09 s"),
        ({"inference": {"clip_seconds": 3.0, "hop_seconds": 1e-6}}, "every 1e-06 s"),
        ({"inference": {"clip_seconds": -1}}, "must be positive"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(files: Files, tmp_path: Path, fields: dict, says: str):
    with pytest.raises((UploadRefused, ModelInvalid), match=says):
        check(config_with(files, **fields), tmp_path)


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "ro\nck", "jazz ", "\u202ekcor"])
def test_genres_that_cannot_be_shown_are_refused(files: Files, tmp_path: Path, name: str):
    labels = json.loads(files["config.json"])["id2label"] | {"0": name}
    with pytest.raises(UploadRefused, match="A genre is called"):
        check(config_with(files, id2label=labels), tmp_path)


def test_genres_are_told_apart(files: Files, tmp_path: Path):
    labels = json.loads(files["config.json"])["id2label"]
    with pytest.raises(UploadRefused, match="same name"):
        check(config_with(files, id2label=labels | {"0": labels["1"].upper()}), tmp_path)


def test_numbers_that_are_not_finite_are_refused(files: Files, tmp_path: Path):
    from safetensors.torch import load, save

    tensors = load(files["model.safetensors"])
    last = max(name for name in tensors if name.endswith("weight") and tensors[name].ndim == 2)
    tensors[last] = tensors[last] * float("nan")
    with pytest.raises(UploadRefused, match="not finite"):
        check(files | {"model.safetensors": save(tensors, {"format": "pt"})}, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", b"{", "no JSON"),
        ("config.json", b"[" * 100_000, "no JSON"),
        ("config.json", b"[]", "must hold an object"),
        ("model.safetensors", b"broken", "weights that cannot be read"),
        ("more.safetensors", b"broken", "weights that cannot be read"),
        ("model.safetensors", struct.pack("<Q", 2) + b"{}", "weights lack"),
        ("preprocessor_config.json", b'{"sampling_rate": 1}', "could not be read|samples a second"),
        ("metrics.json", b'{"accuracy": "good"}', r"metrics\.json is no evaluation that can be read \(accuracy"),
        ("metrics.json", b'{"accuracy": {"value": 1e999}}', "no evaluation"),
    ],
)
def test_broken_files_are_refused(files: Files, tmp_path: Path, name: str, content: bytes, says: str):
    with pytest.raises((UploadRefused, ModelInvalid), match=says):
        check(files | {name: content}, tmp_path)


def test_missing_files_are_refused(files: Files, tmp_path: Path):
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        folder = tmp_path / name
        folder.mkdir()
        with pytest.raises(ModelInvalid, match=f"missing: {name}|{name} is missing|no safetensors file"):
            check({other: data for other, data in files.items() if other != name}, folder)
