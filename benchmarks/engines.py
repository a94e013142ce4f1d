"""What each engine is worth: full-size encoders beside ``pipeline("audio-classification")``, on the same clips.

    python benchmarks/engines.py ../shared/data/emotify
    python benchmarks/engines.py ../shared/data/emotify --families ast hubert wav2vec2 distilhubert --rounds 3

The encoders have the published architecture and random weights, and a head that is solved on the music, so that a
genre means something. First `genre models tune` finds out which engines say what float32 says, on clips that the head
was not solved on and that 8 bits were not calibrated on. Then one track and eight tracks of 30 s are predicted, which
are three clips of 10 s each, by the pipeline and by every engine, all in turns: each row's share is the median, over
the rounds, of its time by the pipeline's in the same round. The pipeline gets the clips as arrays and as many at once.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command and the service have it

import numpy as np
import torch

from genre_lib import audio
from genre_lib.clips import views
from genre_lib.data.catalogue_source import build
from genre_lib.engines.clips import heard, shared_out
from genre_lib.engines.report import Report
from genre_lib.engines.tuning import tune
from genre_lib.inference import Predictor
from genre_lib.models.embedding import embed, last_inputs
from genre_lib.models.folder import GenreModel, load, save
from genre_lib.models.probe import Examples, Head, solve
from genre_lib.models.untrained import FAMILIES, make

BATCH, SECONDS, TRACKS = 16, 30.0, (1, 8)
PIPELINE, FLOAT32 = "pipeline", "torch-float32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("music", help="a folder per genre, or a CSV")
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=["ast"])
    parser.add_argument("--size", choices=("tiny", "base"), default="base")
    parser.add_argument("--clips", type=int, default=60, help="that parity is asked of")
    parser.add_argument("--calibration", type=int, default=40, help="other clips, for 8 bits")
    parser.add_argument("--examples", type=int, default=96, help="tracks that the head is solved on")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    tracks = build(given.music).tracks.sample(frac=1, random_state=0)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    for family in given.families:
        with tempfile.TemporaryDirectory(prefix="genre-engines-") as name:
            measure(family, given, tracks, Path(name))


def measure(family: str, given: argparse.Namespace, tracks: Any, place: Path) -> None:
    """A family's table."""
    learned, rest = tracks[: given.examples], tracks["path"].tolist()[given.examples :]
    genres = sorted(tracks["genre"].unique())
    model = with_head(load(make(family, given.size, place / "made", genres)), learned, genres, place / family)
    found = heard(rest, model, given.clips + given.calibration)
    own, others = shared_out(found, given.clips, given.calibration)
    report = tune(model, own, others, device="cpu", cache_path=place / "cache", rounds=1, progress=print)
    waveforms = [track(path, model.sample_rate) for path in rest[: max(TRACKS)]]
    print(f"\n{family} ({given.size}), {sum(p.numel() for p in model.network.parameters()) / 1e6:.1f} M parameters")
    for count in TRACKS:
        print_table(count, timed(model, report, waveforms[:count], place / "cache", given.rounds), report)


def with_head(model: GenreModel, examples: Any, genres: list[str], folder: Path) -> GenreModel:
    """The model with a last layer that tells the examples' genres by what the encoder hears in their middles."""
    network, predictor = model.network, Predictor(model, device="cpu", engine=FLOAT32)
    found = []
    with torch.inference_mode():
        for path in examples["path"]:
            middle = middle_clip(path, model)
            found.append(last_inputs(network, embed(network, predictor.inputs([middle])))[0].double())
    targets = torch.tensor([genres.index(genre) for genre in examples["genre"]])
    data = Examples(torch.stack(found), targets, torch.ones(len(found), dtype=torch.float64))
    start = Head.of(network)
    solve(data, Head(torch.zeros_like(start.weight), torch.zeros_like(start.bias)), penalty=10.0).put_into(network)
    return save(model, folder)


def middle_clip(path: str, model: GenreModel) -> np.ndarray:
    waveform, length = (
        audio.load(path, model.sample_rate).waveform,
        round(model.inference.clip_seconds * model.sample_rate),
    )
    begin = max(0, (len(waveform) - length) // 2)
    return np.resize(waveform[begin : begin + length], length)


def track(path: str, rate: int) -> np.ndarray:
    """Thirty seconds of a track [samples]; a shorter one is repeated."""
    return np.resize(audio.load(path, rate).waveform, round(SECONDS * rate))


def timed(
    model: GenreModel, report: Report, waveforms: list[np.ndarray], cache: Path, rounds: int
) -> dict[str, list[float]]:
    """Seconds of each round, by engine, and by the pipeline."""
    engines = [name for name, measured in report.engines.items() if not measured.fault]
    calls: dict[str, Callable[[], Any]] = {PIPELINE: by_pipeline(model, waveforms)}
    for name in engines:
        predictor = Predictor(model, device="cpu", engine=name, cache_path=cache, batch_size=BATCH)
        calls[name] = lambda predictor=predictor: predictor.waveforms(waveforms)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - begun)
    return taken


def by_pipeline(model: GenreModel, waveforms: list[np.ndarray]) -> Callable[[], Any]:
    """The same clips by transformers' own means."""
    from transformers import pipeline

    classify = pipeline("audio-classification", model=str(model.folder), device="cpu")
    settings, rate = model.inference, model.sample_rate
    clips = [clip for one in waveforms for clip in views(one, rate, settings.clip_seconds, settings.hop_seconds)]

    def call() -> Any:
        given = [{"raw": clip, "sampling_rate": rate} for clip in clips]  # the pipeline takes them apart
        return classify(given, batch_size=min(BATCH, len(clips)), top_k=len(model.genres))

    return call


def print_table(count: int, taken: dict[str, list[float]], report: Report) -> None:
    """Seconds a track, and the share of the pipeline's time."""
    print(f"{count} track{'s' if count > 1 else ''} of {SECONDS:g} s, {len(taken[PIPELINE])} rounds")
    print(f"  {'engine':<18}{'s a track':>10}{'share':>8}{'difference':>12}{'same genre':>12}")
    for name, seconds in taken.items():
        share = statistics.median(own / beside for own, beside in zip(seconds, taken[PIPELINE], strict=True))
        row = f"  {name:<18}{statistics.median(seconds) / count:>10.3f}{share:>8.2f}"
        if name != PIPELINE:
            measured = report.engines[name]
            row += f"{measured.difference:>12.4f}{measured.agreements:>7} of {report.clips}"
        print(row + ("  <- auto" if name == report.chosen else ""))


if __name__ == "__main__":
    main()
