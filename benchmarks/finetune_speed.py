"""Clips that `fit` trains in a second of processor time, beside transformers' own Trainer (and peft) on the same model.

    OMP_NUM_THREADS=1 python benchmarks/finetune_speed.py [--layers 4] [--clip-seconds 1.28] [--batch-size 4]

An AST of the published width and fewer layers, with random weights, so that two processors can do it. Both learn clips
of the same size in as large batches with the same precision, clip the same norm, follow a cosine, and save after every
epoch; the Trainer has its clips in memory, those of `fit` come from the feature cache. A measurement is a training of
two epochs less one of one, so that what happens once does not count. The two take turns, and the ratio is of a turn.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.utils.data import Dataset
from transformers import AutoModelForAudioClassification, PrinterCallback, Trainer, TrainingArguments

from genre_lib.data import synthetic
from genre_lib.models import untrained
from genre_lib.training import fit

GENRES = list(synthetic.SYNTH_GENRES)
RANK, RATE, CLIP_NORM = 8, 1e-4, 5.0


class InMemory(Dataset):
    """Clips of noise, as the network takes them."""

    def __init__(self, clips: int, frames: int, bands: int) -> None:
        self.inputs, self.targets = torch.randn(clips, frames, bands), torch.arange(clips) % len(GENRES)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"input_values": self.inputs[row], "labels": self.targets[row]}


def theirs(method: str, base: Path, folder: str, asked: argparse.Namespace, epochs: int) -> float:
    """Seconds of processor time of a training by transformers' Trainer."""
    torch.manual_seed(0)
    network: Any = AutoModelForAudioClassification.from_pretrained(base)
    if method == "lora":
        adapted = LoraConfig(r=RANK, lora_alpha=2 * RANK, lora_dropout=0.05, target_modules=["q_proj", "v_proj"],
                             modules_to_save=["classifier"])  # fmt: skip
        network = get_peft_model(network, adapted)
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(dir=folder), num_train_epochs=epochs, per_device_train_batch_size=asked.batch_size,
        learning_rate=RATE, weight_decay=0.01, max_grad_norm=CLIP_NORM, lr_scheduler_type="cosine", warmup_steps=2,
        bf16=asked.precision == "bf16-mixed", use_cpu=True, report_to=[], disable_tqdm=True, logging_strategy="no",
        save_strategy="epoch", save_total_limit=1, seed=0,
    )  # fmt: skip
    trainer = Trainer(network, arguments, train_dataset=InMemory(asked.clips, asked.frames, 128))
    trainer.remove_callback(PrinterCallback)
    began = time.process_time()
    trainer.train()
    return time.process_time() - began


def ours(method: str, base: Path, folder: str, asked: argparse.Namespace, epochs: int) -> float:
    """Seconds of processor time of a training by `fit`."""
    fields = {
        "base_model": str(base), "data_path": f"{folder}/music", "run_path": tempfile.mkdtemp(dir=folder),
        "cache_path": f"{folder}/cache", "method": method, "num_epochs": epochs, "batch_size": asked.batch_size,
        "clips_per_epoch": asked.clips, "clip_seconds": asked.clip_seconds, "learning_rate": RATE,
        "gradient_clip": CLIP_NORM, "precision": asked.precision, "evaluation_strategy": "no", "keep": "last",
        "accelerator": "cpu", "devices": 1, "progress": False,
    }  # fmt: skip
    began = time.process_time()
    fit(fields)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--clip-seconds", type=float, default=1.28)
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="bf16-mixed", choices=["32-true", "bf16-mixed"])
    parser.add_argument("--methods", nargs="+", default=["full", "lora"], choices=["full", "lora"])
    asked = parser.parse_args()
    asked.frames = round(100 * asked.clip_seconds)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        base = untrained.make("ast", "base", Path(folder) / "ast", GENRES,
                              num_hidden_layers=asked.layers, max_length=asked.frames)  # fmt: skip
        synthetic.make(Path(folder) / "music", tracks_per_genre=6, seconds=6.0, seed=0)
        for method in asked.methods:
            compare(method, base, folder, asked)


def compare(method: str, base: Path, folder: str, asked: argparse.Namespace) -> None:
    ways = {"fit": ours, "Trainer": theirs}
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(method, base, folder, asked, 1)  # features, imports and first kernels
    for turn in range(asked.rounds):
        for name in ways if turn % 2 else reversed(ways):
            one, two = (ways[name](method, base, folder, asked, epochs) for epochs in (1, 2))
            speeds[name].append(asked.clips / (two - one))
    ratios = [ours / theirs for ours, theirs in zip(speeds["fit"], speeds["Trainer"], strict=True)]
    for name, values in speeds.items():
        print(f"{method}: {name:>7} {statistics.median(values):6.2f} clips/s   {', '.join(f'{v:.2f}' for v in values)}")
    print(f"{method}: fit is {statistics.median(ratios):.2f} times as fast ({', '.join(f'{v:.2f}' for v in ratios)})")


if __name__ == "__main__":
    main()
