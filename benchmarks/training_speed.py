"""Clips that `fit` trains in a second of processor time, beside a bare PyTorch loop over the same network.

    python benchmarks/training_speed.py [--data-path synthetic] [--clips 192] [--batch-size 32] [--precision bf16-mixed]

Processor time, on one thread, so that what else the machine does changes little. The loop has its clips in memory,
those of `fit` come from the feature cache, and its first epoch, which may compute features, is subtracted.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import torch

from genre_lib.models.cnn import GenreCNNConfig, GenreCNNForAudioClassification
from genre_lib.models.parameter_groups import parameter_groups
from genre_lib.training import fit

BANDS, SECONDS, GENRES, EPOCHS = 128, 3.0, 4, 4


def bare(clips: int, batch_size: int, precision: str, frames: int) -> float:
    """Clips a second of forward, backward and AdamW on clips in memory."""
    network = GenreCNNForAudioClassification(GenreCNNConfig.for_labels([str(i) for i in range(GENRES)]))
    network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(parameter_groups(network, 0.01), lr=1e-3)
    inputs, targets = torch.randn(batch_size, BANDS, frames), torch.randint(GENRES, (batch_size,))
    began = time.process_time()
    for _ in range(clips // batch_size):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = network(inputs, labels=targets).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
    return clips / (time.process_time() - began)


def fitted(arguments: argparse.Namespace, folder: str, changes: dict) -> float:
    """Clips a second of all epochs after the first, loading included."""
    first, whole = (_fit_seconds(arguments, folder, changes, epochs) for epochs in (1, 1 + EPOCHS))
    return EPOCHS * arguments.clips / (whole - first)


def _fit_seconds(arguments: argparse.Namespace, folder: str, changes: dict, epochs: int) -> float:
    began = time.process_time()
    fit(
        {
            "init": "scratch",
            "data_path": arguments.data_path,
            "run_path": tempfile.mkdtemp(dir=folder),
            "num_epochs": epochs,
            "batch_size": arguments.batch_size,
            "clips_per_epoch": arguments.clips,
            "clip_seconds": SECONDS,
            "class_balance": "sampler",
            "learning_rate": 1e-3,
            "precision": arguments.precision,
            "evaluation_strategy": "no",
            "accelerator": "cpu",
            "devices": 1,
            "progress": False,
            **changes,
        }
    )
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-path", default="synthetic")
    parser.add_argument("--clips", type=int, default=192)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    frames = 1 + (round(SECONDS * 22050) - 2048) // 512
    augmentation = {"pitch_semitones": 1, "time_stretch": 0.1, "equalizer_db": 4, "frequency_masks": 2, "time_masks": 1}
    changed = {"augmentation": augmentation, "mixup": 0.3, "ema_decay": 0.99}
    with tempfile.TemporaryDirectory() as folder:
        _fit_seconds(arguments, folder, {}, 1)  # features, imports and compiled kernels
        bare(arguments.clips, arguments.batch_size, arguments.precision, frames)
        speeds = {
            "bare loop": bare(EPOCHS * arguments.clips, arguments.batch_size, arguments.precision, frames),
            "fit": fitted(arguments, folder, {}),
            "fit, augmented and averaged": fitted(arguments, folder, changed),
        }
    for name, value in speeds.items():
        print(f"{name:>28}: {value:6.1f} clips/s  {value / speeds['bare loop']:6.1%} of the bare loop")


if __name__ == "__main__":
    main()
