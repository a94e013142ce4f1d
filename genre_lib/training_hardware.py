"""What a training asks of the machine, and what the machine can do: precision, processes, memory."""

from __future__ import annotations

import os
import shutil

import torch

from genre_lib.errors import ConfigurationError
from genre_lib.models.folder import GenreModel
from genre_lib.training_config import TrainingConfig

COMPILERS = ("c++", "g++", "clang++")


def on_gpu(config: TrainingConfig) -> bool:
    """Whether CUDA will do the work."""
    return config.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def device_of(config: TrainingConfig) -> str:
    return "cuda" if on_gpu(config) else "cpu"


def precision_of(config: TrainingConfig) -> str:
    """Lightning's precision; for ``auto``, bfloat16 where the hardware multiplies in it.

    Of processors these are such as have AVX-512's or AMX's instructions for it, with which a step takes a third to a
    half of the time; others only imitate it.
    """
    if config.precision != "auto":
        return config.precision
    if on_gpu(config):
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif config.accelerator in ("auto", "cpu"):
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    else:
        fast = False
    return "bf16-mixed" if fast else "32-true"


def strategy_of(config: TrainingConfig, model: GenreModel) -> str:
    """Lightning's strategy; DDP looks for weights without a gradient where a step leaves some of the layers out."""
    leaves_out = bool(config.unfreeze_every) or getattr(model.network.config, "layerdrop", 0) > 0
    return "ddp_find_unused_parameters_true" if config.strategy == "ddp" and leaves_out else config.strategy


def check_hardware(config: TrainingConfig, model: GenreModel) -> None:
    """Refuse what this machine or this network cannot do, before anything is computed.

    Raises:
        ConfigurationError: names the setting, and what to do.
    """
    if config.strategy.startswith(("fsdp", "deepspeed")) and not on_gpu(config):
        raise ConfigurationError(
            f"strategy={config.strategy!r} shares a network among GPUs, and there is none; take strategy='ddp', which "
            "processors can do too, or leave it out."
        )
    if config.strategy.startswith("fsdp") and config.gradient_clip is not None:
        raise ConfigurationError(
            f"strategy={config.strategy!r} knows the norm of none but its own part of the gradients; set gradient_clip "
            "to null."
        )
    if config.gradient_checkpointing and not model.network.supports_gradient_checkpointing:
        raise ConfigurationError(
            f"gradient_checkpointing is for transformers; {type(model.network).__name__} cannot do it, so leave it out."
        )
    if config.compile and not any(map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS))):
        raise ConfigurationError(
            "compile needs a C++ compiler such as g++, and there is none; install it, or leave out."
        )
