"""What epochs of `method: head` take after the first one, which hears every clip; and a second run on the same music.

    python benchmarks/finetune_head.py FOLDER_OR_CSV [--family distilhubert] [--clip-seconds 3] [--hop-seconds 60]

The base model has the published architecture and random weights, which take as long as learned ones. The first epoch
counts from the run's beginning: decoding and hearing are all done before its first step. Seconds on the clock.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from genre_lib.models import untrained
from genre_lib.training import FitResult, fit
from genre_lib.training_config import load_experiment
from genre_lib.training_defaults import EMBEDDINGS


def trained(asked: argparse.Namespace, base: Path, folder: str) -> FitResult:
    fields = load_experiment(EMBEDDINGS) | {
        "base_model": str(base),
        "data_path": asked.data_path,
        "run_path": tempfile.mkdtemp(dir=folder),
        "cache_path": f"{folder}/cache",
        "clip_seconds": asked.clip_seconds,
        "hop_seconds": asked.hop_seconds,
        "num_epochs": asked.epochs,
        "precision": "auto",
        "progress": False,
    }
    return fit(fields)


def tell(name: str, found: FitResult) -> None:
    history, ready = found.history, found.run.events("features_ready")[0]
    first = history["seconds"].iloc[0] + ready["seconds"]
    later = history["seconds"].iloc[1:].median()
    print(f"{name}: {ready['computed']} tracks heard, {ready['kept']} kept; first epoch {first:.1f} s, ", end="")
    print(f"a later one {later:.2f} s: {later / first:.2%} of it; whole run {found.seconds:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_path")
    parser.add_argument("--family", default="distilhubert", choices=["ast", "hubert", "distilhubert", "wav2vec2"])
    parser.add_argument("--clip-seconds", type=float, default=3.0)
    parser.add_argument("--hop-seconds", type=float, default=60.0)
    parser.add_argument("--epochs", type=int, default=6)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = untrained.make(asked.family, "base", Path(folder) / asked.family)
        tell("first run", trained(asked, base, folder))
        tell("second run", trained(asked, base, folder))


if __name__ == "__main__":
    main()
