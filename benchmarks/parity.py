"""Whether pretrained families say here what they say in plain transformers: on clips, through a file, CLI and HTTP.

    python benchmarks/parity.py ../shared/data/emotify
    python benchmarks/parity.py MUSIC --size tiny --families ast hubert

Models have random weights in the published sizes, and genres with a head that tells clips apart. What is expected comes
of transformers' own extractor and network, clip by clip; a track's logits are the mean of its clips'. "Clips" tells the
largest difference of any logit, and "of spread" the same as a share of how far clips differ from each other. "File"
compares logits, and "CLI" and "HTTP" logarithms of the confidences. "Folder" says that a process which knows nothing of
this package reads the saved model by ``pipeline``, ``AutoModel``, ``AutoFeatureExtractor`` and
``AutoModelForAudioClassification`` with the same logits; MusicGen's listener is a class of ours, and is left out there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from own_service import UNLIMITED, service
from scipy.io import wavfile
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification
from transformers.utils import logging as hf_logging

from genre_lib import audio
from genre_lib.clips import views
from genre_lib.inference import Predictor
from genre_lib.models.folder import load_base, save
from genre_lib.models.head import last_layer, with_genres
from genre_lib.models.untrained import FAMILIES, MUSICGEN, SIZES, make
from genre_lib.networks.front_ends import SHORTEST_SECONDS

GENRES = ["classical", "electronic", "pop", "rock"]
SECONDS = (12.0, 4.0)
"""Of the tracks: one that is cut into two clips, and one shorter than a clip."""
TOLERANCE = 1e-4

FOREIGN = """
import json, sys
import numpy as np
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, pipeline

folder, clip = sys.argv[1], np.load(sys.argv[2])
network = AutoModelForAudioClassification.from_pretrained(folder).eval()
extractor = AutoFeatureExtractor.from_pretrained(folder)
AutoModel.from_pretrained(folder)
logits = network(**extractor(clip, sampling_rate=extractor.sampling_rate, return_tensors="pt")).logits[0].tolist()
rows = pipeline("audio-classification", model=folder)(clip, top_k=99, function_to_apply="none")
assert "genre_lib" not in sys.modules
print(json.dumps([dict(zip(network.config.id2label.values(), logits)), {row["label"]: row["score"] for row in rows}]))
"""


@dataclass
class Found:
    """Largest differences of one family."""

    family: str
    parameters: int
    differences: dict[str, float] = field(default_factory=dict)
    spread: float = 0.0

    def line(self) -> str:
        told = [f"{self.differences[way]:.1e}" if way in self.differences else "–" for way in WAYS]
        share = f"{self.differences['clips'] / self.spread:.1e}"
        return f"| {self.family} | {self.parameters / 1e6:.1f} M | {told[0]} | {share} | {' | '.join(told[1:])} |"


QUIET = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}
WAYS = ("clips", "file", "CLI", "HTTP", "folder")


def main() -> int:
    given = parse_arguments()
    os.environ |= QUIET  # for the processes that are started here
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    print("| family | weights | clips | of spread | file | CLI | HTTP | folder |\n|---|---|---|---|---|---|---|---|")
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="genre-parity-") as name:
        for family in given.families:
            found = compared(family, given, Path(name) / family)
            worst = max(worst, *found.differences.values())
            print(found.line(), flush=True)
    print(f"\nlargest difference: {worst:.1e}, {'within' if worst <= TOLERANCE else 'BEYOND'} {TOLERANCE:g}")
    return int(worst > TOLERANCE)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of audio files, of which the first are taken")
    parser.add_argument("--families", nargs="+", default=[*FAMILIES, MUSICGEN], choices=[*FAMILIES, MUSICGEN])
    parser.add_argument("--size", choices=SIZES, default="base")
    given = parser.parse_args()
    given.files = audio.find(given.folder)[: len(SECONDS)] if given.folder.is_dir() else []
    if len(given.files) < len(SECONDS):
        parser.error(f"there are not {len(SECONDS)} audio files below {given.folder}")
    return given


def compared(family: str, given: argparse.Namespace, place: Path) -> Found:
    """What one family says by each way, beside what it says in transformers."""
    folder = written(family, given.size, place / family)
    predictor = Predictor.from_folder(folder, device="cpu", engine="torch")
    tracks = shortened(given.files, place, predictor.model.sample_rate)
    clips = [clips_of(predictor, track) for track in tracks]
    expected = [by_transformers(folder, each) for each in clips]
    pooled = [logits.mean(0) for logits in expected]
    found = Found(family, sum(p.numel() for p in predictor.network.parameters()))
    every = np.concatenate(expected)
    found.spread = float(every.std(0).mean())
    found.differences["clips"] = apart(predictor.clips([clip for each in clips for clip in each]), every)
    found.differences["file"] = max(
        apart(predictor.file(track).logits, logits) for track, logits in zip(tracks, pooled, strict=True)
    )
    said = {"CLI": by_command(folder, tracks), "HTTP": by_service(folder, tracks, place)}
    for way, confidences in said.items():
        found.differences[way] = max(
            apart(np.log(told), log_softmax(logits)) for told, logits in zip(confidences, pooled, strict=True)
        )
    if family != MUSICGEN:
        found.differences["folder"] = in_a_foreign_process(folder, clips[0][0], expected[0][0], place)
    return found


def written(family: str, size: str, folder: Path) -> Path:
    """A classifier of the family, as fine-tuning would leave it: read as a base model, given genres, saved."""
    base = load_base(make(family, size, folder.with_name("base")))
    with_genres(base.network, GENRES)
    torch.manual_seed(0)
    torch.nn.init.normal_(last_layer(base.network)[1].weight, std=1.0)  # tells clips apart as one that has learned
    return Path(save(base, folder).folder or folder)


def shortened(files: list[Path], place: Path, rate: int) -> list[Path]:
    """So many seconds of each file, as WAV at the model's rate."""
    tracks = []
    for number, (file, seconds) in enumerate(zip(files, SECONDS, strict=True)):
        tracks.append(place / f"{number}.wav")
        wavfile.write(tracks[-1], rate, audio.load(file, rate).waveform[: round(seconds * rate)])
    return tracks


def clips_of(predictor: Predictor, track: Path) -> list[np.ndarray]:
    """The clips that are predicted of a track; one shorter than a clip stays as it is, where the family takes it so."""
    model = predictor.model
    shortest = None if predictor.front is None else SHORTEST_SECONDS
    waveform = audio.load(track, model.sample_rate).waveform
    return views(waveform, model.sample_rate, model.inference.clip_seconds, model.inference.hop_seconds, shortest)


@torch.inference_mode()
def by_transformers(folder: Path, clips: list[np.ndarray]) -> np.ndarray:
    """Logits [clips, genres], each clip by itself."""
    network: Any = AutoModelForAudioClassification.from_pretrained(folder).eval()
    extractor: Any = AutoFeatureExtractor.from_pretrained(folder)
    inputs = [extractor(clip, sampling_rate=extractor.sampling_rate, return_tensors="pt") for clip in clips]
    return torch.cat([network(**each).logits for each in inputs]).numpy()


def by_command(folder: Path, tracks: list[Path]) -> list[np.ndarray]:
    """Confidences of ``genre predict``, in the order of the genres."""
    command = [str(Path(sys.executable).with_name("genre")), "predict", *map(str, tracks), "--model", str(folder)]
    command += ["--engine", "torch", "--format", "jsonl", "--top-k", str(len(GENRES))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [in_order(json.loads(line)["predictions"]) for line in done.stdout.splitlines()]


def by_service(folder: Path, tracks: list[Path], place: Path) -> list[np.ndarray]:
    """Confidences of ``POST /predict``."""
    told = []
    settings = {"MODEL_PATH": str(folder), **UNLIMITED, "PREDICTION_CACHE_BYTES": "0"}
    with service(place, settings) as url:
        for track in tracks:
            sent = {"files": {"file": (track.name, track.read_bytes())}, "data": {"top_k": str(len(GENRES))}}
            answer = httpx.post(f"{url}/predict", **sent, timeout=600, trust_env=False)  # type: ignore[arg-type]
            told.append(in_order(answer.raise_for_status().json()["predictions"]))
    return told


def in_a_foreign_process(folder: Path, clip: np.ndarray, expected: np.ndarray, place: Path) -> float:
    """Largest difference of what plain transformers read and tell of the saved folder."""
    np.save(place / "clip.npy", clip)
    command = [sys.executable, "-c", FOREIGN, str(folder), str(place / "clip.npy")]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ, cwd=place)
    return max(apart(np.array([told[genre] for genre in GENRES]), expected) for told in json.loads(done.stdout))


def in_order(predictions: list[dict[str, Any]]) -> np.ndarray:
    told = {row["genre"]: row["confidence"] for row in predictions}
    return np.array([told[genre] for genre in GENRES])


def apart(ours: np.ndarray | None, theirs: np.ndarray) -> float:
    assert ours is not None
    return float(np.abs(ours - theirs).max())


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).double().log_softmax(-1).numpy()


if __name__ == "__main__":
    sys.exit(main())
