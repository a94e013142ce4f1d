"""What a training asks of the machine."""

from __future__ import annotations

import pytest
import torch

from genre_lib.errors import ConfigurationError
from genre_lib.models import untrained
from genre_lib.models.folder import load, load_base
from genre_lib.training_config import TrainingConfig
from genre_lib.training_hardware import check_hardware, device_of, precision_of, strategy_of
from genre_lib.training_network import build


@pytest.fixture
def ast(tmp_path):
    return load_base(untrained.make("ast", "tiny", tmp_path / "ast"))


def test_precision_is_what_was_asked_for():
    for precision in ("32-true", "bf16-mixed", "16-mixed"):
        assert precision_of(TrainingConfig(precision=precision)) == precision


def test_auto_is_bfloat16_where_the_processor_multiplies_in_it():
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123
            flags = file.read()
    except OSError:
        pytest.skip("only Linux tells what a processor can do")
    expected = "bf16-mixed" if "avx512_bf16" in flags or "amx_tile" in flags else "32-true"
    assert precision_of(TrainingConfig(precision="auto", accelerator="cpu")) == expected
    assert precision_of(TrainingConfig(precision="auto", accelerator="mps")) == "32-true"


def test_a_gpu_is_used_where_there_is_one():
    assert device_of(TrainingConfig(accelerator="cpu")) == "cpu"
    assert device_of(TrainingConfig()) == ("cuda" if torch.cuda.is_available() else "cpu")


def test_ddp_looks_for_weights_that_a_step_left_out(ast, tmp_path):
    hubert = load_base(untrained.make("hubert", "tiny", tmp_path / "hubert", layerdrop=0.1))
    ddp = TrainingConfig(strategy="ddp", method="full")
    assert strategy_of(ddp, ast) == "ddp"
    assert strategy_of(ddp, hubert) == "ddp_find_unused_parameters_true"
    layer_by_layer = TrainingConfig(strategy="ddp", method="full", unfreeze_every=1)
    assert strategy_of(layer_by_layer, ast) == "ddp_find_unused_parameters_true"
    assert strategy_of(TrainingConfig(), hubert) == "auto"


def test_what_the_network_cannot_do_is_told(tiny_model, tmp_path):
    with pytest.raises(ConfigurationError, match=r"GenreCNN.* cannot do it, so leave it out"):
        check_hardware(TrainingConfig(gradient_checkpointing=True), load(tiny_model))
    musicgen = str(untrained.make("musicgen", "tiny", tmp_path / "musicgen"))
    for method in ("lora", "full"):
        with pytest.raises(ConfigurationError, match="learn its head alone, by method='head'"):
            build(TrainingConfig(method=method, base_model=musicgen), ["a", "b"], None)


def test_without_a_compiler_nothing_can_be_compiled(ast, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ConfigurationError, match=r"needs a C\+\+ compiler"):
        check_hardware(TrainingConfig(compile=True), ast)
    (tmp_path / "g++").touch(mode=0o755)
    check_hardware(TrainingConfig(compile=True), ast)
